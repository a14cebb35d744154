#include "bucket/settings.hpp"

#include "topology/seeds.hpp"

#include <chaise/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
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
    void read(std::string_view name, RetryStrategy*& value) {
        static BestEffortRetry best_effort;
        static FailFastRetry fail_fast;
        const auto text = take(name);
        if (!text) {
            if (!value) value = &best_effort;
        } else if (*text == "best_effort") {
            value = &best_effort;
        } else if (*text == "fail_fast") {
            value = &fail_fast;
        } else {
            bad(name, *text, "best_effort or fail_fast");
        }
    }
    void read(std::string_view name, std::size_t& value) {
        const auto text = take(name);
        if (!text) return;
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
        if (error != std::errc{} || end != text->data() + text->size()) bad(name, *text, "a whole number");
    }
    void read(std::string_view name, double& value) {
        const auto text = take(name);
        if (!text) return;
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
        if (error != std::errc{} || end != text->data() + text->size()) bad(name, *text, "a number");
    }
    void read(std::string_view name, Compression& value) {
        const auto text = take(name);
        if (!text) return;
        constexpr auto names =
            std::to_array<std::pair<std::string_view, Compression>>({{"on", Compression::on},
                                                                     {"off", Compression::off},
                                                                     {"inflate_only", Compression::inflate_only},
                                                                     {"force", Compression::force}});
        for (const auto& [known, meant] : names) {
            if (*text == known) {
                value = meant;
                return;
            }
        }
        bad(name, *text, "on, off, inflate_only or force");
    }
    void read(std::string_view name, BootstrapOn& value) {
        const auto text = take(name);
        if (!text) return;
        if (*text == "cccp") {
            value = BootstrapOn::cccp;
        } else if (*text == "http") {
            value = BootstrapOn::http;
        } else if (*text == "both" || *text == "all") {  // "all" is the seed's word
            value = BootstrapOn::both;
        } else {
            bad(name, *text, "cccp, http or both");
        }
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

protocol::RingScheme read_distribution(std::string_view text) {
    using enum protocol::RingScheme;
    if (text == "ketama_weighted") return ketama_weighted;
    if (text == "ketama") return ketama;
    if (text == "couchbase") return couchbase;
    refuse(errc::invalid_argument,
           fmt::format("option distribution: \"{}\" is not ketama_weighted, ketama or couchbase", text));
}

constexpr std::uint32_t largest_weight = 65'535;

std::vector<std::uint32_t> read_weights(std::string_view list) {
    std::vector<std::uint32_t> weights;
    while (!list.empty()) {
        const std::string_view item = list.substr(0, list.find(','));
        std::uint32_t& weight = weights.emplace_back(0);
        const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), weight);
        const bool more = item.size() < list.size();
        if (error != std::errc{} || end != item.data() + item.size() || weight == 0 || weight > largest_weight ||
            (more && item.size() + 1 == list.size())) {
            refuse(errc::invalid_argument,
                   fmt::format("option weights: \"{}\" is not a whole number from 1 to {}", item, largest_weight));
        }
        list.remove_prefix(item.size() + (more ? 1 : 0));
    }
    return weights;
}

void check_hosts(const Settings& s) {
    const auto& hosts = s.connection.hosts;
    const auto port = [&](const HostSpec& host) { return host.port.value_or(s.connection.default_port()); };
    for (std::size_t i = 0; i < hosts.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (hosts[i].host == hosts[j].host && port(hosts[i]) == port(hosts[j])) {
                refuse(errc::invalid_argument,
                       fmt::format("connection string: host \"{}\" is there twice", hosts[i].host));
            }
        }
    }
    if (!s.weights.empty() && s.weights.size() != hosts.size()) {
        refuse(errc::invalid_argument,
               fmt::format("option weights: {} weights for {} hosts", s.weights.size(), hosts.size()));
    }
    if (!s.weights.empty() && s.distribution == protocol::RingScheme::couchbase) {
        refuse(errc::invalid_argument, "option weights: the distribution couchbase has none");
    }
    if (s.server_failure_limit == 0 || s.server_failure_limit > 1'000'000) {
        refuse(errc::invalid_argument, "server_failure_limit must be from 1 to 1000000");
    }
    if (s.dead_timeout <= Duration{0}) refuse(errc::invalid_argument, "dead_timeout must be more than 0");
}

void check_memcached(const Settings& s) {
    check_hosts(s);
    if (!s.bucket.empty()) {
        refuse(errc::invalid_argument, fmt::format("plain memcached has no buckets (\"{}\")", s.bucket));
    }
    if (s.network != "auto") refuse(errc::invalid_argument, "option network: plain memcached has no networks");
    if (s.bootstrap_on != BootstrapOn::both) {
        refuse(errc::invalid_argument, "option bootstrap_on: plain memcached has no cluster maps");
    }
    for (const std::string_view name : {"config_poll_interval", "dnssrv"}) {
        if (s.connection.options.contains(name)) {
            refuse(errc::invalid_argument, fmt::format("option {}: plain memcached has no cluster maps", name));
        }
    }
    for (const HostSpec& host : s.connection.hosts) {
        if (host.management_port) refuse(errc::invalid_argument, "plain memcached does not speak HTTP (\"=http\")");
    }
    for (const std::string_view name : {"compression", "compression_min_size", "compression_min_ratio"}) {
        if (s.connection.options.contains(name)) {
            refuse(errc::invalid_argument, fmt::format("option {}: plain memcached has no compression", name));
        }
    }
    if (!s.preferred_server_group.empty()) {
        refuse(errc::invalid_argument, "option preferred_server_group: plain memcached has no server groups");
    }
}

/// By server rule (protocol.md 10).
constexpr std::size_t longest_bucket_name = 100;

void check_couchbase(const Settings& s) {
    const Settings unset;
    const BucketOptions untold;
    if (s.distribution != unset.distribution || !s.weights.empty() || s.auto_eject ||
        s.server_failure_limit != untold.server_failure_limit || s.dead_timeout != untold.dead_timeout) {
        refuse(errc::invalid_argument,
               "options distribution, weights, auto_eject, server_failure_limit and dead_timeout are for memcached:// "
               "hosts: a cluster's map says where keys are");
    }
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
    if (s.config_poll_interval < std::chrono::milliseconds(50)) {
        refuse(errc::invalid_argument, "config_poll_interval must be at least 0.05 seconds");
    }
    if (s.bootstrap_on == BootstrapOn::http && management_hosts(s).empty()) {
        refuse(errc::invalid_argument,
               "bootstrap_on=http: every host has a key-value port; write the management port as host:8091=http");
    }
    if (s.bootstrap_on == BootstrapOn::cccp && key_value_hosts(s).empty()) {
        refuse(errc::invalid_argument, "bootstrap_on=cccp: every host is marked for HTTP");
    }
}

void check_name_servers(const std::string& servers) {
    if (servers.empty()) return;
    constexpr std::string_view letters = "0123456789abcdefABCDEF.:[],";
    if (servers.find_first_not_of(letters) != std::string::npos || servers.find(",,") != std::string::npos ||
        servers.front() == ',' || servers.back() == ',' || servers.size() > 1024) {
        refuse(errc::invalid_argument,
               "option dns_nameserver: addresses with or without a port (\"10.0.0.2:53,[fd00::2]:53\") are wanted");
    }
}

constexpr std::size_t least_compressed = 32;
constexpr std::size_t most_compressed = std::size_t{20} << 20;

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
    if (s.compression_min_size < least_compressed || s.compression_min_size > most_compressed) {
        refuse(errc::invalid_argument,
               fmt::format("compression_min_size must be from {} to {}", least_compressed, most_compressed));
    }
    if (!(s.compression_min_ratio > 0 && s.compression_min_ratio <= 1)) {
        refuse(errc::invalid_argument, "compression_min_ratio must be more than 0 and at most 1");
    }
    check_name_servers(s.dns_nameserver);
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
    s.preferred_server_group = options.preferred_server_group;
    s.allow_plain = options.allow_plain;
    s.enable_flush = options.enable_flush;
    s.retry_strategy = options.retry_strategy;
    s.operation_timeout = std::min(options.operation_timeout, longest_timeout);
    s.connect_timeout = std::min(options.connect_timeout, longest_timeout);
    s.bootstrap_on = options.bootstrap_on;
    s.config_poll_interval = std::min(options.config_poll_interval, longest_timeout);
    s.dns_srv = options.dns_srv;
    s.dns_nameserver = options.dns_nameserver;
    s.compression = options.compression;
    s.compression_min_size = options.compression_min_size;
    s.compression_min_ratio = options.compression_min_ratio;
    s.max_queue_operations = options.max_queue_operations;
    s.max_queue_bytes = options.max_queue_bytes;

    s.auto_eject = options.auto_eject;
    s.dead_timeout = std::min(options.dead_timeout, longest_timeout);
    std::size_t server_failure_limit = options.server_failure_limit;
    std::string distribution(options.distribution), weights(options.weights);

    OptionReader reader(s.connection.options);
    reader.read("distribution", distribution);
    reader.read("weights", weights);
    reader.read("auto_eject", s.auto_eject);
    reader.read("server_failure_limit", server_failure_limit);
    reader.read("dead_timeout", s.dead_timeout);
    reader.read("quiet", s.quiet);
    reader.read("ordered", s.ordered);
    reader.read("network", s.network);
    reader.read("preferred_server_group", s.preferred_server_group);
    reader.read("allow_plain", s.allow_plain);
    reader.read("enable_flush", s.enable_flush);
    reader.read("retry", s.retry_strategy);
    reader.read("operation_timeout", s.operation_timeout);
    reader.read("connect_timeout", s.connect_timeout);
    reader.read("bootstrap_on", s.bootstrap_on);
    reader.read("config_poll_interval", s.config_poll_interval);
    reader.read("dnssrv", s.dns_srv);
    reader.read("dns_nameserver", s.dns_nameserver);
    reader.read("compression", s.compression);
    reader.read("compression_min_size", s.compression_min_size);
    reader.read("compression_min_ratio", s.compression_min_ratio);
    reader.read("max_queue_operations", s.max_queue_operations);
    reader.read("max_queue_bytes", s.max_queue_bytes);
    reader.finish();
    s.distribution = read_distribution(distribution);
    s.weights = read_weights(weights);
    s.server_failure_limit = static_cast<unsigned>(std::min<std::size_t>(server_failure_limit, 1'000'001));
    check(s);
    return s;
}

}  // namespace chaise::detail
