#pragma once

#include "protocol/ketama.hpp"

#include <chaise/bucket_options.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace chaise::detail {

/// Longer ones mean this: far enough, and no overflow when added to any time.
inline constexpr Duration longest_timeout = std::chrono::hours(24 * 365 * 10);

/// What a bucket was told, checked: its options with those of the connection string over them.
struct Settings {
    ConnectionString connection;
    std::string bucket;  ///< Couchbase: never empty
    std::string username;
    std::string password;
    bool quiet = false;
    std::string network = "auto";
    std::string preferred_server_group;  ///< empty: none
    bool ordered = false;
    bool allow_plain = false;
    bool enable_flush = false;
    RetryStrategy* retry_strategy = nullptr;  ///< set by make()
    Duration operation_timeout{};
    Duration connect_timeout{};
    BootstrapOn bootstrap_on = BootstrapOn::both;
    Duration config_poll_interval{};
    bool dns_srv = true;
    std::string dns_nameserver;  ///< empty: the system's
    Compression compression = Compression::on;
    std::size_t compression_min_size = 0;
    double compression_min_ratio = 0;
    std::size_t max_queue_operations = 0;
    std::size_t max_queue_bytes = 0;
    // Of several memcached hosts.
    protocol::RingScheme distribution = protocol::RingScheme::ketama_weighted;
    std::vector<std::uint32_t> weights;  ///< one for each host, or none
    bool auto_eject = false;
    unsigned server_failure_limit = 0;
    Duration dead_timeout{};

    /// \throws ArgumentError, InvalidError, NotSupportedError
    static Settings make(std::string_view connection_string, const BucketOptions& options);
};

}  // namespace chaise::detail
