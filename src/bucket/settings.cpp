#include "bucket/settings.hpp"

#include <chaise/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace chaise::detail {

namespace {

[[noreturn]] void refuse(errc code, std::string message) {
    throw_error(Error(code, ErrorContext{.message = std::move(message)}));
}

/// Takes options out of the connection string, so that those left over are known to be unused.
class OptionReader {
public:
    explicit OptionReader(std::map<std::string, std::string, std::less<>> options) : options_(std::move(options)) {}

    void read(std::string_view name, bool& value) {
        const auto text = take(name);
        if (!text) return;
        if (*text == "true" || *text == "1" || *text == "on") {
            value = true;
        } else if (*text == "false" || *text == "0" || *text == "off") {
            value = false;
        } else {
            bad(name, *text, "true or false");
        }
    }
    void read(std::string_view name, Duration& value) {
        const auto text = take(name);
        if (!text) return;
        double seconds = 0;
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
        if (error != std::errc{} || end != text->data() + text->size() || !(seconds > 0) || seconds > 1e8) {
            bad(name, *text, "a number of seconds, more than 0");
        }
        value = Duration(static_cast<std::int64_t>(std::ceil(seconds * 1e9)));
    }
    void read(std::string_view name, std::string& value) {
        if (auto text = take(name)) value = std::move(*text);
    }
    void read(std::string_view name, std::size_t& value) {
        const auto text = take(name);
        if (!text) return;
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
        if (error != std::errc{} || end != text->data() + text->size()) bad(name, *text, "a whole number");
    }
    /// Nothing is accepted and ignored.
    void finish() const {
        if (options_.empty()) return;
        refuse(errc::unsupported_operation,
               fmt::format("connection string: option \"{}\" is known but not built yet", options_.begin()->first));
    }

private:
    std::optional<std::string> take(std::string_view name) {
        const auto found = options_.find(name);
        if (found == options_.end()) return std::nullopt;
        std::string text = std::move(found->second);
        options_.erase(found);
        return text;
    }
    [[noreturn]] static void bad(std::string_view name, std::string_view text, std::string_view wanted) {
        refuse(errc::invalid_argument, fmt::format("option {}: \"{}\" is not {}", name, text, wanted));
    }
    std::map<std::string, std::string, std::less<>> options_;
};

/// What the slots' opaques can tell apart, with room for outcomes that wait.
constexpr std::size_t most_operations = 1'000'000;

void check_memcached(const Settings& s) {
    if (s.connection.hosts.size() != 1) {
        refuse(errc::unsupported_operation, "several memcached hosts (consistent hashing) are not built yet");
    }
    if (!s.bucket.empty()) {
        refuse(errc::invalid_argument, fmt::format("plain memcached has no buckets (\"{}\")", s.bucket));
    }
    if (s.network != "auto") refuse(errc::invalid_argument, "option network: plain memcached has no networks");
}

/// By server rule (protocol.md 10).
constexpr std::size_t longest_bucket_name = 100;

void check_couchbase(const Settings& s) {
    if (s.username.empty())
        refuse(errc::invalid_argument,
               "couchbase:// needs a username and a password (for a plain memcached say memcached://)");
    const auto odd = [](char c) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        return !letter && !(c >= '0' && c <= '9') && std::string_view("_-.%").find(c) == std::string_view::npos;
    };
    if (s.bucket.size() > longest_bucket_name || std::any_of(s.bucket.begin(), s.bucket.end(), odd)) {
        refuse(errc::invalid_argument,
               fmt::format("\"{}\" is no name of a bucket: letters, digits and _-.%, at most {}",
                           s.bucket.substr(0, longest_bucket_name), longest_bucket_name));
    }
    if (s.network.empty()) refuse(errc::invalid_argument, "option network: \"\" is not auto, default or a name");
}

void check(const Settings& s) {
    if (s.operation_timeout <= Duration{0}) refuse(errc::invalid_argument, "operation_timeout must be more than 0");
    if (s.connect_timeout <= Duration{0}) refuse(errc::invalid_argument, "connect_timeout must be more than 0");
    if (s.max_queue_operations == 0 || s.max_queue_operations > most_operations) {
        refuse(errc::invalid_argument, fmt::format("max_queue_operations must be from 1 to {}", most_operations));
    }
    if (s.max_queue_bytes < 1024) refuse(errc::invalid_argument, "max_queue_bytes must be at least 1024");
    if (s.username.empty() && !s.password.empty()) refuse(errc::invalid_argument, "a password without a username");
    if (s.username.find('\0') != std::string::npos || s.password.find('\0') != std::string::npos) {
        refuse(errc::invalid_argument, "username and password cannot hold a NUL");
    }
    switch (s.connection.scheme) {
        case Scheme::memcached:
            return check_memcached(s);
        case Scheme::couchbase:
            return check_couchbase(s);
        case Scheme::couchbases:
            break;
    }
    refuse(errc::unsupported_operation, "the scheme couchbases:// (TLS) is not built yet; couchbase:// is");
}

}  // namespace

Settings Settings::make(std::string_view connection_string, const BucketOptions& options) {
    Settings s;
    s.connection = ConnectionString::parse(connection_string);
    s.bucket = s.connection.bucket.empty() ? std::string(options.bucket) : s.connection.bucket;
    if (s.bucket.empty() && s.connection.scheme != Scheme::memcached) s.bucket = "default";
    s.username = options.username;
    s.password = options.password;
    s.quiet = options.quiet;
    s.ordered = options.ordered;
    s.network = options.network;
    s.allow_plain = options.allow_plain;
    s.enable_flush = options.enable_flush;
    s.operation_timeout = std::min(options.operation_timeout, longest_timeout);
    s.connect_timeout = std::min(options.connect_timeout, longest_timeout);
    s.max_queue_operations = options.max_queue_operations;
    s.max_queue_bytes = options.max_queue_bytes;

    OptionReader reader(s.connection.options);
    reader.read("quiet", s.quiet);
    reader.read("ordered", s.ordered);
    reader.read("network", s.network);
    reader.read("allow_plain", s.allow_plain);
    reader.read("enable_flush", s.enable_flush);
    reader.read("operation_timeout", s.operation_timeout);
    reader.read("connect_timeout", s.connect_timeout);
    reader.read("max_queue_operations", s.max_queue_operations);
    reader.read("max_queue_bytes", s.max_queue_bytes);
    reader.finish();
    check(s);
    return s;
}

}  // namespace chaise::detail
