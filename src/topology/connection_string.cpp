// Connection strings (protocol.md 7.6).

#include <chaise/bucket_options.hpp>
#include <chaise/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace chaise {

namespace {

/// Every option that a connection string may hold, for one scheme or another; which of them are built yet the
/// bucket decides.
constexpr auto known_options = std::to_array<std::string_view>(
    {// built
     "operation_timeout", "connect_timeout", "quiet", "allow_plain", "enable_flush", "max_queue_operations",
     "max_queue_bytes", "network", "ordered", "retry", "compression", "compression_min_ratio", "compression_min_size",
     "auto_eject", "dead_timeout", "distribution", "server_failure_limit", "weights", "preferred_server_group",
     "drain_timeout", "idle_interval", "max_bucket_bytes", "max_bucket_operations", "silence_timeout", "tcp_keepalive",
     "tcp_user_timeout", "bootstrap_on", "config_poll_interval", "dns_nameserver", "dnssrv",
     // chaise's and today's clients', to come
     "query_timeout",
     // the seed's (seed-semantics.md B.1): who comes from there hears that it is not the name that is wrong
     "certpath", "client_string", "config_cache", "config_cache_ro", "config_node_timeout", "config_total_timeout",
     "console_log_level", "detailed_errcodes", "dur_mutation_tokens", "durability_interval", "durability_timeout",
     "enable_errmap", "enable_tracing", "error_thresh_count", "error_thresh_delay", "fetch_mutation_tokens",
     "http_pool_timeout", "http_poolsize", "http_timeout", "ipv6", "keypath", "log_redaction", "n1ql_grace_period",
     "n1ql_timeout", "randomize_nodes", "read_chunk_size", "retry_backoff", "retry_interval", "retry_nmv_delay",
     "retry_nmv_imm", "retry_policy", "sasl_mech_force", "select_bucket", "send_hello", "ssl", "sync_dtor",
     "tcp_keepcnt", "tcp_keepidle", "tcp_keepintvl", "tcp_nodelay", "timeout", "tracing_orphaned_queue_flush_interval",
     "tracing_orphaned_queue_size", "tracing_threshold_analytics", "tracing_threshold_fts", "tracing_threshold_kv",
     "tracing_threshold_n1ql", "tracing_threshold_queue_flush_interval", "tracing_threshold_queue_size",
     "tracing_threshold_view", "truststorepath", "vb_noremap", "views_timeout", "wait_for_config"});

/// Strings end up in logs: credentials are never part of them (protocol.md 7.6), though the seed allowed it.
constexpr auto credentials = std::to_array<std::string_view>({"username", "user", "password", "pass"});

template <std::size_t n>
bool among(const std::array<std::string_view, n>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// The string itself is not repeated: somebody may have put a password into it.
[[noreturn]] void malformed(std::string_view why) {
    throw InvalidError(
        Error(errc::parsing_failure, ErrorContext{.message = fmt::format("connection string: {}", why)}));
}

[[noreturn]] void refuse(fmt::format_string<const std::string&> why, const std::string& option) {
    throw ArgumentError(
        Error(errc::invalid_argument, ErrorContext{.message = "connection string: " + fmt::format(why, option)}));
}

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    ConnectionString parse() {
        ConnectionString out;
        parse_scheme(out);
        const std::size_t end_of_hosts = std::min(rest_.find_first_of("/?"), rest_.size());
        parse_hosts(rest_.substr(0, end_of_hosts), out);
        rest_.remove_prefix(end_of_hosts);
        if (rest_.starts_with('/')) {
            const std::size_t end = std::min(rest_.find('?'), rest_.size());
            out.bucket = decode(rest_.substr(1, end - 1));
            rest_.remove_prefix(end);
        }
        if (rest_.starts_with('?')) parse_options(rest_.substr(1), out);
        return out;
    }

private:
    void parse_scheme(ConnectionString& out) {
        const std::size_t at = text_.find("://");
        if (at == std::string_view::npos) {
            rest_ = text_;
            return;  // couchbase, as in SDK 3
        }
        const std::string_view scheme = text_.substr(0, at);
        rest_ = text_.substr(at + 3);
        if (scheme == "memcached") {
            out.scheme = Scheme::memcached;
        } else if (scheme == "couchbase") {
            out.scheme = Scheme::couchbase;
        } else if (scheme == "couchbases") {
            out.scheme = Scheme::couchbases;
        } else {
            malformed(fmt::format("unknown scheme \"{}\" (memcached, couchbase and couchbases are known)", scheme));
        }
    }

    void parse_hosts(std::string_view list, ConnectionString& out) {
        if (list.empty()) malformed("no host is named");
        while (true) {
            const std::size_t end = std::min(list.find_first_of(",;"), list.size());
            out.hosts.push_back(parse_host(list.substr(0, end)));
            if (end == list.size()) break;
            list.remove_prefix(end + 1);
        }
    }

    HostSpec parse_host(std::string_view item) {
        if (item.find('@') != std::string_view::npos) malformed("credentials belong in BucketOptions");
        HostSpec host;
        std::string_view port, protocol;
        if (const std::size_t equals = item.rfind('='); equals != std::string_view::npos) {
            protocol = item.substr(equals + 1);
            item = item.substr(0, equals);
            if (protocol != "http" && protocol != "mcd") {
                malformed(fmt::format("unknown protocol \"{}\" (mcd and http are known)", protocol));
            }
        }
        if (item.starts_with('[')) {
            const std::size_t close = item.find(']');
            if (close == std::string_view::npos) malformed("\"[\" without \"]\"");
            host.host = item.substr(1, close - 1);
            port = item.substr(close + 1);
            if (!port.empty() && !port.starts_with(':')) malformed(fmt::format("what is \"{}\"?", port));
        } else {
            const std::size_t colon = std::min(item.find(':'), item.size());
            host.host = item.substr(0, colon);
            port = item.substr(colon);
            if (port.find(':', 1) != std::string_view::npos) malformed("an IPv6 address belongs in brackets");
        }
        if (host.host.empty()) malformed("a host is empty");
        if (host.host.find_first_of(" \t\r\n") != std::string::npos) {
            malformed(fmt::format("host \"{}\" has a character that no host has", host.host));
        }
        if (!protocol.empty() && port.empty()) malformed(fmt::format("\"={}\" without a port", protocol));
        if (!port.empty()) (protocol == "http" ? host.management_port : host.port) = parse_port(port.substr(1));
        return host;
    }

    std::uint16_t parse_port(std::string_view digits) {
        std::uint16_t port = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (error != std::errc{} || end != digits.data() + digits.size() || port == 0) {
            malformed(fmt::format("\"{}\" is not a port", digits));
        }
        return port;
    }

    void parse_options(std::string_view list, ConnectionString& out) {
        while (!list.empty()) {
            const std::size_t end = std::min(list.find('&'), list.size());
            const std::string_view item = list.substr(0, end);
            const std::size_t equals = item.find('=');
            if (equals == std::string_view::npos || equals + 1 == item.size()) {
                malformed(fmt::format("option \"{}\" has no value", item.substr(0, equals)));
            }
            std::string name = decode(item.substr(0, equals));
            if (among(credentials, name)) refuse("no place for \"{}\", it belongs in BucketOptions", name);
            if (!among(known_options, name)) refuse("unknown option \"{}\"", name);
            if (!out.options.try_emplace(name, decode(item.substr(equals + 1))).second) {
                malformed(fmt::format("option \"{}\" is given twice", name));
            }
            list.remove_prefix(std::min(end + 1, list.size()));
        }
    }

    /// %XX
    std::string decode(std::string_view text) {
        std::string out;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] != '%') {
                out += text[i];
                continue;
            }
            unsigned value = 0;
            const char* from = text.data() + i + 1;
            if (i + 2 >= text.size() || std::from_chars(from, from + 2, value, 16).ptr != from + 2) {
                malformed("\"%\" without two hexadecimal digits");
            }
            out += static_cast<char>(value);
            i += 2;
        }
        return out;
    }

    std::string_view text_;
    std::string_view rest_;
};

}  // namespace

ConnectionString ConnectionString::parse(std::string_view text) { return Parser(text).parse(); }

std::uint16_t ConnectionString::default_port() const noexcept {
    switch (scheme) {
        case Scheme::memcached:
            return 11211;
        case Scheme::couchbase:
            return 11210;
        case Scheme::couchbases:
            return 11207;
    }
    return 0;
}

}  // namespace chaise
