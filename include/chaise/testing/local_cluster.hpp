#pragma once

/// \file
/// LocalCluster: a Couchbase cluster in the test's own process. It speaks the protocol that a real one speaks, so that
/// any client can use it, and each node keeps its own copies, so that what is slow, lost or failed over shows as it
/// would.
///
/// ```
/// chaise::EpollLoop loop;
/// chaise::testing::LocalCluster cluster{loop, {.nodes = 3, .replicas = 1}};
/// chaise::AsyncBucket bucket{loop, cluster.connection_string(), {.username = "Administrator", .password =
/// "password"}}; chaise::spawn(loop, test(bucket)); loop.run();
/// ```
///
/// Three ways to run it:
/// - on the test's own loop: everything happens in the turns of that loop; one thread, nothing to wait for;
/// - in a SimWorld: each node is a host of its own ("node1", "node2", …), on virtual time, with the world's faults;
/// - `on_thread()`: on a thread of its own, for clients that block.
///
/// Nodes listen on loopback at ports that the kernel chooses (in a SimWorld at the usual ports, 11210 and 8091).

#include <chaise/iops.hpp>
#include <chaise/testing/cluster_faults.hpp>
#include <chaise/testing/node_addresses.hpp>
#include <chaise/testing/simulation.hpp>
#include <chaise/time.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise::testing {

/// What a bucket is.
enum class LocalBucketType : std::uint8_t {
    couchbase,
    ephemeral,  ///< in memory only: nothing persists, no views; gone with kill_node()
    /// Keys on a ring over the nodes, one copy of each, in memory only; neither vbuckets nor replicas, no durable
    /// writes, observe, collections or mutation tokens. What a node has is gone with kill_node() and failover().
    memcached,
};

struct LocalClusterOptions {
    std::size_t nodes = 1;           ///< 1 to 64
    std::uint32_t replicas = 0;      ///< of each vbucket: 0 to 3, less than the nodes
    std::uint32_t vbuckets = 64;     ///< a power of two, 1 to 1024; real clusters have 1024 (some 64 or 128)
    std::string bucket = "default";  ///< made at the start; empty: none
    /// Of that bucket; a memcached one takes neither `replicas` nor `vbuckets` from here.
    LocalBucketType bucket_type = LocalBucketType::couchbase;
    std::string username = "Administrator";  ///< who may do everything
    std::string password = "password";
    /// From a write on the active copy to the moment when a replica has it.
    Duration replication_delay = Duration::zero();
    /// From a write to the moment when the node has it on its disk, which survives kill_node().
    Duration persistence_delay = Duration::zero();
    /// From a change of the cluster's map to the moment when a node believes it.
    Duration config_delay = Duration::zero();
    /// Nodes tell cluster maps on key-value connections. Without that, as very old servers, only over HTTP.
    bool cccp = true;
    /// The management service knows `/pools/default/bs/BUCKET`; without that, as old servers, only
    /// `/pools/default/bucketsStreaming/BUCKET`.
    bool terse_streams = true;
    /// Of uuids and the like: the same seed gives the same cluster.
    std::uint64_t seed = 1;
    /// In a SimWorld: node i is the host `host_prefix` + (i + 1).
    std::string host_prefix = "node";
    /// Of each node; empty: all are in "Group 1". Replicas are put into groups that have no other copy, if there are
    /// such.
    std::vector<std::string> server_groups{};
    /// How maps name the nodes, also those that are added. Hostnames or IP addresses.
    NodeAddresses addresses{};
};

/// A delay that never ends: replication or persistence stands still until another delay is set.
inline constexpr Duration never = Duration::max();

/// The services that answer over HTTP beside the management one.
enum class LocalService : std::uint8_t {
    views,      ///< JavaScript views over what the nodes have
    query,      ///< a subset of SQL++, docs/query-subset.md; anything else by script
    search,     ///< by script only
    analytics,  ///< by script only
};

/// What goes wrong with a service's next answers. Several of it may be combined.
struct ServiceFault {
    std::optional<std::size_t> node{};  ///< of this node only; nothing: of any
    std::uint64_t times = 1;            ///< answers that it happens to
    int status = 0;                     ///< not 0: this HTTP status and `body` are the answer
    std::string_view body{};
    Duration delay{};                    ///< before anything is sent, the status line included
    Duration piece_delay{};              ///< between the pieces of the body
    std::size_t piece = 0;               ///< bytes of the body sent at a time; 0: as the service makes them
    std::optional<std::uint64_t> cut{};  ///< the connection ends behind so many bytes of the body; 0: before the head
};

/// What one node keeps of a document.
struct StoredDocument {
    std::string value;  ///< as clients see it
    std::uint32_t flags = 0;
    std::uint32_t expiry = 0;  ///< Unix seconds; 0: none
    std::uint64_t cas = 0;
    std::uint64_t seqno = 0;  ///< in its vbucket's history
    std::size_t bytes = 0;    ///< that the value takes there, which may be compressed
};

/// The nodes that keep a key, by the present map.
struct KeyPlacement {
    std::uint16_t vbucket = 0;          ///< 0 of memcached buckets
    std::optional<std::size_t> active;  ///< nobody after the failover of a node that had no replica
    std::vector<std::size_t> replicas;
};

/// Nodes are named by their number, from 0. Except on_thread(), everything is called on the loop's thread.
/// Numbers that are out of range and names of buckets that do not exist are std::out_of_range.
class LocalCluster {
public:
    /// All nodes in one loop (EpollLoop, or whatever makes IOPS), which must outlive the cluster's use of it;
    /// destroying the cluster is right also after the loop's end. \throws std::invalid_argument for options that make
    /// no cluster, std::system_error when it cannot listen.
    template <Loop L>
        requires(!std::same_as<L, SimWorld>)
    explicit LocalCluster(L& loop, const LocalClusterOptions& options = {})
        : LocalCluster([&loop] { return std::unique_ptr<IOPS>(loop.make_iops()); }, options) {}
    /// Each node on a host of its own, which the world's faults may hit like any other.
    explicit LocalCluster(SimWorld& world, const LocalClusterOptions& options = {});
    /// With a loop and a thread of its own; ready when this returns. Its functions may be called from any thread.
    [[nodiscard]] static LocalCluster on_thread(const LocalClusterOptions& options = {});

    LocalCluster(LocalCluster&& other) noexcept;
    LocalCluster& operator=(LocalCluster&& other) noexcept;
    /// Ends all connections; at any time, also inside a callback of a client. Ends the thread of on_thread().
    ~LocalCluster();

    // ---- how to reach it ----------------------------------------------------------------------------------------

    /// "couchbase://127.0.0.1:P1,127.0.0.1:P2": the members; with the bucket's name behind it, if one is given.
    [[nodiscard]] std::string connection_string(std::string_view bucket = {}) const;
    /// The same by the management service: "couchbase://127.0.0.1:P1=http,127.0.0.1:P2=http".
    [[nodiscard]] std::string management_connection_string(std::string_view bucket = {}) const;
    [[nodiscard]] std::size_t nodes() const;
    /// Where a node's key-value service listens, or listened when it was last alive.
    [[nodiscard]] Endpoint endpoint(std::size_t node) const;
    /// Its management service, HTTP.
    [[nodiscard]] Endpoint management_endpoint(std::size_t node) const;

    // ---- what happens to nodes ----------------------------------------------------------------------------------

    /// The process dies: its connections end, its memory is gone, its disk stays. Maps do not change by that.
    void kill_node(std::size_t node);
    /// It starts again, where it was if that can be had, with what is on its disk. No effect if it is alive. In a
    /// SimWorld it is alive after the world's next dispatch.
    void restart_node(std::size_t node);
    /// It is taken out of the map and replicas become active in its place; what they had not got is lost. A living one
    /// goes on running, but has no bucket any more, and ends the connections of those who used it.
    /// \throws std::logic_error for the last member.
    void failover(std::size_t node);
    /// What it has active becomes active on a replica that is alive, and it keeps a replica itself, as at the end of a
    /// rebalance: its clients hear "not my vbucket" and the new map. What the replica had not got is lost.
    void hand_over(std::size_t node);
    /// The node hangs: it accepts and takes bytes, and neither executes nor answers until resume(). In a SimWorld all
    /// of it stands still; on a loop its replication and persistence go on (set their delays to `never` to hold them).
    /// As hand_over(), but each vbucket stands still until the replica has all: nothing is lost. Then the node is
    /// failed over. Goes on for a while, as rebalance() does. \throws std::logic_error while another such thing goes
    /// on, for a vbucket without a replica, and for the last member.
    void graceful_failover(std::size_t node);
    /// A node that joins, alive, but has no vbuckets before a rebalance. Its number.
    /// \throws std::invalid_argument for an empty group.
    std::size_t add_node(std::string_view group = "Group 1");
    /// Makes these the members, and spreads all vbuckets over them, one by one (set_rebalance_pace), while clients go
    /// on: each of them stands still until its new node has all of it, so that nothing is lost; meanwhile maps have a
    /// fast-forward map. Vbuckets that nobody had are made anew, empty. Goes on for a while: rebalancing(). Gives up,
    /// and leaves things where they are, when a node that it needs dies, at a failover, and when a node takes minutes
    /// to believe a map. \throws std::logic_error while one goes on, std::invalid_argument for no members or dead ones.
    void rebalance(const std::vector<std::size_t>& members);
    void rebalance_in(std::size_t node);   ///< with the present members and this one
    void rebalance_out(std::size_t node);  ///< with the present members without this one
    [[nodiscard]] bool rebalancing() const;
    /// From one vbucket's move to the next; 1 ms by default.
    void set_rebalance_pace(Duration pace);
    void pause(std::size_t node);
    void resume(std::size_t node);
    [[nodiscard]] bool alive(std::size_t node) const;
    /// Belongs to the cluster: was not failed over.
    [[nodiscard]] bool member(std::size_t node) const;
    /// Clients that are connected to the key-value service.
    [[nodiscard]] std::size_t connections(std::size_t node) const;
    /// How often it has answered "not my vbucket" since the cluster was made, in all its lives: requests that clients
    /// sent to the wrong node.
    [[nodiscard]] std::uint64_t not_my_vbucket(std::size_t node) const;
    /// Ends them, as a network does.
    void close_connections(std::size_t node);

    // ---- what goes wrong ------------------------------------------------------------------------------------------

    /// From now on; also of the connections that there are. Until it is set again, also when the node is restarted.
    void set_link_faults(std::size_t node, const LinkFaults& faults);
    /// One more; of several that meet a request, the oldest answers it. \throws std::invalid_argument for status 0.
    void add_error_burst(const ErrorBurst& burst);
    void clear_error_bursts();
    /// All locks of documents end now.
    void expire_locks();
    /// The calendar of all nodes goes on by `duration`, also back: what expires, expires. Locks too, going forward.
    void time_travel(Duration duration);
    /// The node tells clients maps in which each vbucket's active node and first replica have changed places, with
    /// the revisions that the others' maps have. False: no more; there is a new revision then.
    void set_conflicting_config(std::size_t node, bool on);
    /// As of the options, of one node. A new map. \throws std::invalid_argument for what is no address.
    void set_addresses(std::size_t node, const NodeAddresses& addresses);

    // ---- delays; a change also holds for what is under way --------------------------------------------------------

    void set_replication_delay(Duration delay);
    void set_replication_delay(std::size_t from, std::size_t to, Duration delay);
    void set_persistence_delay(Duration delay);
    void set_persistence_delay(std::size_t node, Duration delay);
    void set_config_delay(std::size_t node, Duration delay);
    /// Of replication and persistence on all nodes: what is written from now on takes, beside the delay, a random part
    /// of this time, each change its own. So changes of different vbuckets overtake each other, while those of one
    /// vbucket keep their order, as a real server's do. Zero: in the order of the writes. \throws
    /// std::invalid_argument for a negative one and for `never`.
    void set_replication_spread(Duration spread);
    void set_persistence_spread(Duration spread);

    // ---- users and buckets ----------------------------------------------------------------------------------------

    /// Adds, or replaces. No buckets named: all of them.
    void add_user(std::string_view name, std::string_view password, std::vector<std::string> buckets = {});
    void remove_user(std::string_view name);
    /// \throws std::invalid_argument when there is one of that name, or for settings that make no bucket;
    /// std::logic_error during a rebalance.
    void create_bucket(std::string_view name, std::uint32_t replicas = 0, std::uint32_t vbuckets = 64);
    /// \throws std::invalid_argument when there is one of that name.
    void create_memcached_bucket(std::string_view name);
    /// False: there was none.
    bool delete_bucket(std::string_view name);
    /// All its documents are gone. False: there is no such bucket.
    bool flush_bucket(std::string_view name);

    // ---- views, queries, search, analytics: over HTTP, at ports that the map tells ----------------------------------

    [[nodiscard]] Endpoint service_endpoint(LocalService service, std::size_t node) const;
    /// What is answered to a request from now on, by every node: of query and analytics to that statement, of search to
    /// that path ("/api/index/hotels/query"). "{{requestID}}" and "{{clientContextID}}" are filled in. Again: replaced.
    /// \throws std::invalid_argument for views.
    void script(LocalService service, std::string_view request, std::string_view body, int status = 200);
    void script_query(std::string_view statement, std::string_view body, int status = 200);
    /// Happens to the answers that come next; faults that fit the same answer happen one after another.
    void add_service_fault(LocalService service, const ServiceFault& fault);
    void clear_service_faults();
    /// As a restart of the query nodes does it: who executes by name hears error 4040.
    void forget_prepared_statements();

    // ---- scopes and collections; an empty bucket means the one of the options -------------------------------------

    /// Each makes a new manifest and returns its uid; the nodes believe it after the config delay. A collection that is
    /// dropped and made again has another id: what was in it is gone.
    /// \throws std::invalid_argument when there is one of that name, for a name that Couchbase refuses (1 to 251 of
    /// A-Z a-z 0-9 _ - %, not beginning with _ or %), for `_default`, and for memcached buckets; std::out_of_range when
    /// there is no such bucket, scope or collection.
    std::uint64_t create_scope(std::string_view scope, std::string_view bucket = {});
    /// With its collections.
    std::uint64_t drop_scope(std::string_view scope, std::string_view bucket = {});
    /// `max_expiry`: no document lives longer; zero: no limit.
    std::uint64_t create_collection(std::string_view scope, std::string_view collection, std::string_view bucket = {},
                                    std::chrono::seconds max_expiry = {});
    std::uint64_t drop_collection(std::string_view scope, std::string_view collection, std::string_view bucket = {});

    // ---- what the nodes have; an empty bucket means the one of the options ----------------------------------------

    [[nodiscard]] KeyPlacement placement(std::string_view key, std::string_view bucket = {}) const;
    /// What this node has in memory, active or replica. Nothing: no copy of the vbucket, no such document, a dead node.
    [[nodiscard]] std::optional<StoredDocument> stored(std::size_t node, std::string_view key,
                                                       std::string_view bucket = {}) const;
    /// What it has on its disk, dead or alive.
    [[nodiscard]] std::optional<StoredDocument> persisted(std::size_t node, std::string_view key,
                                                          std::string_view bucket = {}) const;

    /// The same of a document in a named collection, by the present manifest. Nothing also: there is no such
    /// collection.
    [[nodiscard]] std::optional<StoredDocument> stored_in(std::string_view scope, std::string_view collection,
                                                          std::size_t node, std::string_view key,
                                                          std::string_view bucket = {}) const;

    /// Hears of every request that a node has executed with success and that is not a plain read: its opcode (as on
    /// the wire), key and value as sent. On the cluster's loop, before the answer is sent; may not change the cluster.
    /// Durable writes are not told. Null: nobody.
    void on_executed(
        std::function<void(std::size_t node, std::uint8_t opcode, std::string_view key, std::string_view value)>
            witness);

private:
    class Impl;
    LocalCluster(std::function<std::unique_ptr<IOPS>()> make_iops, const LocalClusterOptions& options);
    explicit LocalCluster(std::unique_ptr<Impl> impl) noexcept;

    std::unique_ptr<Impl> impl_;
};

}  // namespace chaise::testing
