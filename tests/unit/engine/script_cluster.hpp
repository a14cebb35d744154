#pragma once

// A Couchbase cluster of a few lines behind a ScriptLoop's connections: who owns a vbucket, what map each node believes
// in, and when anything is answered is the test's.

#include "protocol/feature.hpp"
#include "protocol/frame.hpp"
#include "protocol/opcode.hpp"
#include "protocol/status.hpp"
#include "protocol/vbucket_responses.hpp"
#include "tests/unit/engine/script_loop.hpp"
#include "tests/unit/engine/script_manifest.hpp"
#include "tests/unit/engine/script_map.hpp"
#include "tests/unit/engine/script_sasl.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise::protocol {
struct Response;
}

namespace chaise::testing {

class ScriptCluster {
public:
    using Opcode = protocol::Opcode;
    using Status = protocol::Status;

    struct Item {
        std::string value;
        std::uint32_t flags = 0;
        std::uint64_t cas = 0;
        std::uint8_t datatype = 0;
        protocol::ObserveState state = protocol::ObserveState::persisted;
    };
    enum class Speaks { couchbase, memcached, http, garbage };
    struct Node {
        std::string host;
        std::optional<ScriptMap> map;                  ///< what it believes; none: as the cluster's
        std::optional<std::string> map_text;           ///< said instead of it
        std::optional<std::set<std::uint16_t>> owned;  ///< what it holds; none: as the cluster's map says
        bool body = true;                              ///< NOT_MY_VBUCKET brings its map
        bool silent = false;                           ///< takes everything, answers nothing
        bool hold = false;                             ///< operations wait for answer(), not executed
        bool garbled = false;                          ///< answers to OBSERVE are nonsense
        bool no_maps = false;                          ///< does not know GET_CLUSTER_CONFIG, as very old servers
        bool hold_config = false;                      ///< so do questions for the map, after the bootstrap
        Speaks speaks = Speaks::couchbase;
        std::set<protocol::Feature> denied{};  ///< beside the cluster's
        std::map<std::string, Item> items;
        std::map<std::string, Item> copies;        ///< of vbuckets whose replica it has; the test puts them there
        std::size_t bootstraps = 0;                ///< HELLOs
        std::size_t config_asked = 0;              ///< after the bootstrap
        std::size_t refused = 0;                   ///< answers NOT_MY_VBUCKET
        std::optional<ScriptManifest> manifest{};  ///< the collections that it knows of; none: as the cluster
    };
    /// A request after the bootstrap, as it arrived.
    struct Seen {
        Opcode opcode{};
        std::string node;
        std::uint16_t vbucket = 0;
        std::uint32_t opaque = 0;
        std::string key, value, extras, framing;
        std::uint8_t datatype = 0;
        std::optional<std::uint32_t> collection{};  ///< that stood before the key
        std::uint64_t cas = 0;
        std::shared_ptr<Link> link;
        std::uint64_t executed = 0;  ///< how often
        bool answered = false;
        std::optional<Status> status{};
    };

    explicit ScriptCluster(ScriptLoop& loop, ScriptMap initial);
    ~ScriptCluster();
    ScriptCluster(const ScriptCluster&) = delete;
    ScriptCluster& operator=(const ScriptCluster&) = delete;

    /// The truth: whose each vbucket is, and what a node says that has no belief of its own.
    ScriptMap map;
    std::string user = "me", password = "secret";
    std::string mechanisms = "SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1 PLAIN";
    std::set<std::string> buckets = {"default"};
    std::set<protocol::Feature> denied;
    std::string error_map =
        R"({"version":1,"revision":1,"errors":{"f2":{"name":"ODD","desc":"an odd one","attrs":[]}}})";
    std::map<std::string, std::deque<Status>, std::less<>> refusals;  ///< key → what it is answered, one each time
    /// What a node (host, vbucket, uuid) says to OBSERVE_SEQNO; none: it does not know the command.
    std::function<std::pair<Status, std::string>(const std::string&, std::uint16_t, std::uint64_t)> seqnos;
    bool tokens = true;  ///< mutations are answered with one
    ScriptManifest manifest;
    std::deque<Seen> seen;  ///< operations; questions for the map are not among them, unless held

    Node& node(const std::string& host);
    [[nodiscard]] std::map<std::string, Node>& nodes();

    /// A new revision of the truth. Documents move with their vbuckets.
    void publish(ScriptMap next);
    /// The vbucket of the key goes to another server, in a newer map.
    [[nodiscard]] ScriptMap moved(std::string_view key, int server) const;
    [[nodiscard]] std::uint16_t vbucket_of(std::string_view key) const;
    [[nodiscard]] const std::string& owner_of(std::string_view key) const { return map.owner(vbucket_of(key)); }
    /// The host of a replica of the key; empty: none.
    [[nodiscard]] std::string replica_of(std::string_view key, std::size_t index = 0) const;
    /// "k", with a number behind it, that the host owns.
    [[nodiscard]] std::string key_at(const std::string& host, int nth = 0) const;
    void refuse(const std::string& host, bool yes = true);

    /// Executes the n-th request of `seen`, unless it was, and answers.
    void answer(std::size_t n);
    void answer_all();
    /// It happens, and nobody hears of it.
    void execute_silently(std::size_t n);
    /// A push to every connection of the node that is set up.
    void push(const std::string& host, bool brief);

    /// Connections to the host that the client holds open.
    [[nodiscard]] std::vector<std::shared_ptr<Link>> open(const std::string& host) const;
    [[nodiscard]] std::size_t open() const;
    /// How many connections there ever were to the host.
    [[nodiscard]] std::size_t connections(const std::string& host) const;
    void reset(const std::string& host);
    [[nodiscard]] std::size_t executed(std::string_view key) const;
    /// To which hosts requests with this key went, in order.
    [[nodiscard]] std::vector<std::string> path(std::string_view key) const;

private:
    [[nodiscard]] const ScriptMap& belief(const Node& node) const { return node.map ? *node.map : map; }
    [[nodiscard]] std::string map_text(const Node& node) const;
    [[nodiscard]] bool owns(const Node& node, std::uint16_t vbucket) const;

    [[nodiscard]] bool replicates(const Node& node, std::uint16_t vbucket) const;

    void serve(Link& link);
    [[nodiscard]] std::shared_ptr<Link> shared(const Link& link) const;
    static std::string unknown(const protocol::Frame& frame);

    std::string bootstrap(const protocol::Frame& frame, Link& link, Node& node);
    /// Whether the client's revision is as new as the node's.
    [[nodiscard]] bool knows(std::string_view extras, const Node& node) const;
    [[nodiscard]] bool knows(const protocol::Frame& frame, const Node& node) const { return knows(frame.extras, node); }
    std::string config_answer(const Seen& asked);

    /// Answers NOT_MY_VBUCKET.
    using Refuse = std::function<std::string()>;
    std::string execute(Seen& one);

    std::string observe(Seen& one, Node& node, protocol::Response& r, const Refuse& refuse);
    std::string statistics(Seen& one, Node& node, protocol::Response& r, const Refuse& refuse);

    ScriptLoop& loop_;
    std::map<std::string, Node> nodes_;
    std::map<std::string, Item> homeless_;
    ScriptSasl sasl_{user, password};
    std::set<const Link*> authenticated_, ready_, with_collections_;
    std::uint64_t last_cas_ = 100;
    std::uint64_t last_seqno_ = 0;
};

}  // namespace chaise::testing
