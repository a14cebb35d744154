#pragma once

/// \file
/// How a bucket is made: connection string and options.

#include <chaise/retry.hpp>
#include <chaise/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise {

/// Whether values travel compressed, by Snappy, between a Couchbase client and a node that grants it; the document is
/// the same either way. Names in connection strings are these.
enum class Compression : std::uint8_t {
    on,            ///< stored values are compressed where it pays, received ones inflated
    off,           ///< not asked for: the server inflates what others have stored compressed
    inflate_only,  ///< received values are inflated, stored ones go as they are
    /// As `on`, and a node that does not grant it is not worked with (errc::feature_not_available). (libcouchbase's
    /// `force` would send such a node what it cannot read.)
    force,
};

/// Where a Couchbase bucket has its cluster maps from.
enum class BootstrapOn : std::uint8_t {
    cccp,  ///< the key-value connections
    http,  ///< the management service: a stream of maps (`/pools/default/bs/BUCKET`)
    both,  ///< the key-value connections; HTTP when no seed gives a map there
};

/// Settings of a bucket. What the connection string sets
/// (`couchbase://host/bucket?operation_timeout=1.5`) wins over these.
struct BucketOptions {
    /// Which bucket of a Couchbase cluster; empty: "default". memcached has none.
    std::string_view bucket{};
    /// Couchbase needs one; memcached: empty means no authentication.
    std::string_view username{};
    std::string_view password{};
    /// Default of the `quiet` of operations.
    bool quiet = false;
    /// Default of the `timeout` of operations; more than 0. Connection string: seconds.
    Duration operation_timeout = std::chrono::milliseconds(2500);
    /// Resolving, connecting and authenticating, for one attempt; more than 0. Connection string: seconds.
    Duration connect_timeout = std::chrono::seconds(10);
    /// Operations in flight on one key complete in the order of issue, on Couchbase too: unordered execution is not
    /// asked for, so that a slow operation (a disk read) holds up those behind it on its connection. memcached is
    /// always so. What is tried again (retry.hpp), or goes to another node because its vbucket moved, is overtaken all
    /// the same; `retry=fail_fast` has none of the former.
    bool ordered = false;
    /// Which addresses of the nodes to use: "default" (those that the cluster itself uses), the name of another network
    /// ("external"), or "auto": the one that the address in the connection string belongs to (protocol.md 7.6).
    std::string_view network = "auto";
    /// The group of nodes (zone, rack) that reads from replicas with a read preference are confined to, by its name in
    /// the cluster; empty: none. Couchbase only.
    std::string_view preferred_server_group{};
    /// Couchbase only. HTTP is spoken with the hosts of the connection string that have no port (8091 then), or one
    /// marked so (`host:8091=http`).
    BootstrapOn bootstrap_on = BootstrapOn::both;
    /// How often a node is asked for the cluster map while one of those that are connected does not push maps (older
    /// servers); 50 ms or more. Connection string: seconds. Couchbase only.
    Duration config_poll_interval = std::chrono::milliseconds(2500);
    /// A single Couchbase host without a port may be the name of DNS SRV records (`_couchbase._tcp.HOST`), which name
    /// the nodes to connect to first. Connection string: `dnssrv`.
    bool dns_srv = true;
    /// Name servers to ask instead of the system's: "address[:port],…", IPv6 in brackets; empty: the system's. Asked
    /// for on every attempt to connect. Not every loop can: EpollLoop and Asio can.
    std::string_view dns_nameserver{};
    /// Send the password in the clear (SASL PLAIN) if the server lists nothing better.
    bool allow_plain = false;
    /// Decides about retries after answers such as LOCKED and ETMPFAIL (retry.hpp); must outlive the bucket. Null:
    /// BestEffortRetry. Connection string: `retry=best_effort` or `retry=fail_fast`.
    RetryStrategy* retry_strategy = nullptr;
    /// Allow `flush`, which deletes everything on the server.
    bool enable_flush = false;
    /// Couchbase only. upsert, insert and replace compress values of `compression_min_size` bytes or more (32 to 20
    /// MiB) if that leaves no more than `compression_min_ratio` of them (over 0, at most 1). What was called
    /// before a connection was ready, and what moves to a node that cannot inflate, goes uncompressed. Compressing
    /// allocates memory (libsnappy's).
    Compression compression = Compression::on;
    std::size_t compression_min_size = 32;
    double compression_min_ratio = 0.83;
    /// `close()` waits so long for the operations that are under way, unless it is told otherwise; 0: it ends them at
    /// once. Connection string: seconds.
    Duration drain_timeout{0};
    /// A node that has not sent a byte for so long, though it was asked something, is asked with a NOOP whether it is
    /// there; if that remains without an answer for as long again, or an operation times out meanwhile, its connection
    /// is given up for a new one. So is one that takes nothing for so long. More than 0. Longer than the slowest
    /// operation, where nodes answer in order (`ordered`, memcached). Connection string: seconds.
    Duration silence_timeout = std::chrono::milliseconds(2500);
    /// A connection over which nothing has come for so long is tried with a NOOP; 0: never. Connection string: seconds.
    Duration idle_interval = std::chrono::seconds(60);
    /// How long a connection is idle before the system asks the peer whether it is there (StreamOptions::keepalive);
    /// whole seconds, 0: as the system does. Connection string: seconds.
    Duration tcp_keepalive = std::chrono::seconds(60);
    /// How long sent data may remain unacknowledged before the system gives up the connection (TCP_USER_TIMEOUT);
    /// 0: as the system does. Connection string: seconds.
    Duration tcp_user_timeout = std::chrono::seconds(20);
    /// Bounds of the whole bucket. Operations that something is left of (`operations()`), the parts of multi operations
    /// among them: 1 to 1,000,000; beyond it the next one ends with `errc::queue_full`. Each costs half a kilobyte
    /// that is kept for others. Bytes of requests at all nodes and of those that wait for one, counted in blocks as
    /// `max_queue_bytes` is: 65,536 or more, and no less than one block for each node.
    std::size_t max_bucket_operations = 250'000;
    std::size_t max_bucket_bytes = std::size_t{256} << 20;
    /// Bounds of what waits and is in flight, per node: operations (1 to 1,000,000) and bytes of requests (1024 or
    /// more; memory is taken in blocks of 64 KiB, each kept until the last request in it is answered). Beyond them,
    /// and for one request larger than that, an operation ends with `errc::queue_full`.
    std::size_t max_queue_operations = 65'536;
    std::size_t max_queue_bytes = std::size_t{64} << 20;

    // ---- several memcached hosts (`memcached://a,b:11212,c`); refused with Couchbase ------------------------------

    /// How keys find their host: "ketama_weighted" as libmemcached's MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED and libketama
    /// do it, "ketama" as its MEMCACHED_BEHAVIOR_KETAMA with the default hash, "couchbase" as in Couchbase's memcached
    /// buckets. All clients of the hosts must do it alike, and name the hosts alike: a host's name and port, as
    /// written, decide which keys are its own (protocol.md 6.2).
    std::string_view distribution = "ketama_weighted";
    /// Shares of the keys: "3,1,2", one for each host in the order of the connection string, 1 to 65535 (libmemcached's
    /// `host:port/?weight`). Empty: equal ones. Not with "couchbase".
    std::string_view weights{};
    /// A host that cannot be reached loses its keys to the others, until it can be reached again, and what waits for it
    /// goes there (libmemcached's AUTO_EJECT_HOSTS). Without it operations on its keys wait for it, with their timeout.
    /// Right for a cache only: when the host is back, it may have values that were changed or removed meanwhile.
    bool auto_eject = false;
    /// Of auto_eject: failures to connect, one after another, by which a host is out; 1 or more.
    std::size_t server_failure_limit = 5;
    /// Of auto_eject: how long after a failure to connect a host that is out is tried again; more than 0. Connection
    /// string: seconds.
    Duration dead_timeout = std::chrono::seconds(2);
};

/// One host of a connection string.
struct HostSpec {
    std::string host;                                ///< name or address, IPv6 without brackets
    std::optional<std::uint16_t> port;               ///< as written, of the key-value service
    std::optional<std::uint16_t> management_port{};  ///< of the management service: `host:port=http`
    friend bool operator==(const HostSpec&, const HostSpec&) = default;
};

enum class Scheme : std::uint8_t { memcached, couchbase, couchbases };

/// `scheme://host[:port][,host[:port]…][/bucket][?option=value&…]`, separators `,` or `;`, IPv6 in brackets
/// (protocol.md 7.6).
struct ConnectionString {
    Scheme scheme = Scheme::couchbase;
    std::vector<HostSpec> hosts;
    std::string bucket;  ///< empty: none named
    std::map<std::string, std::string, std::less<>> options;

    /// \throws InvalidError or ArgumentError naming what is wrong and where: a malformed string, an unknown scheme,
    /// an unknown option; NotSupportedError for what is known but not built yet.
    [[nodiscard]] static ConnectionString parse(std::string_view text);
    /// 11211 or 11210 or 11207.
    [[nodiscard]] std::uint16_t default_port() const noexcept;
};

}  // namespace chaise
