#pragma once

#include <chaise/testing/simulation.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/kv/kv_conversation.hpp"
#include "protocol/requests.hpp"
#include "protocol/response_encoder.hpp"
#include "protocol/responses.hpp"
#include "protocol/sasl.hpp"
#include "protocol/vbucket.hpp"
#include "recording_outlet.hpp"

namespace chaise::testing {

using protocol::Feature;
using protocol::Opcode;
using protocol::Status;

/// A frame that owns its bytes.
struct KvAnswer {
    explicit KvAnswer(std::string raw) : bytes(std::make_unique<std::string>(std::move(raw))) {
        REQUIRE(protocol::parse_frame(*bytes, frame).status == protocol::ParseStatus::complete);
    }
    [[nodiscard]] Status status() const { return frame.status(); }
    [[nodiscard]] std::string value() const { return std::string(frame.value); }
    [[nodiscard]] protocol::MutationToken token() const {
        const auto mutation = protocol::decode_mutation(frame);
        REQUIRE((mutation && mutation->token));
        return *mutation->token;
    }
    std::unique_ptr<std::string> bytes;
    protocol::Frame frame;
};

inline const std::vector<Feature>& modern_features() {
    static const std::vector<Feature> features{Feature::tcp_nodelay,
                                               Feature::mutation_seqno,
                                               Feature::xerror,
                                               Feature::select_bucket,
                                               Feature::json,
                                               Feature::snappy,
                                               Feature::alt_request,
                                               Feature::sync_replication,
                                               Feature::collections,
                                               Feature::preserve_ttl,
                                               Feature::get_cluster_config_with_known_version,
                                               Feature::dedupe_nmvb_clustermap};
    return features;
}

/// A client without a socket.
class KvClient {
public:
    explicit KvClient(KvNode& node) : conversation(make_kv_conversation(node, outlet)) {}

    std::vector<KvAnswer> take() {
        std::vector<KvAnswer> answers;
        std::string bytes = outlet.take();
        std::string_view left = bytes;
        protocol::Frame frame;
        while (!left.empty()) {
            const auto parsed = protocol::parse_frame(left, frame);
            REQUIRE(parsed.status == protocol::ParseStatus::complete);
            answers.emplace_back(std::string(left.substr(0, parsed.size)));
            left.remove_prefix(parsed.size);
        }
        return answers;
    }
    /// As the server offers them: until no more are used.
    std::vector<KvAnswer> send(std::string_view bytes) {
        input.append(bytes);
        offer();
        return take();
    }
    void offer() {
        while (!input.empty() && !outlet.closed) {
            const std::size_t used = conversation->on_bytes(input);
            if (used == 0) return;
            input.erase(0, used);
        }
    }
    template <class Request>
    KvAnswer ask(const Request& request) {
        auto answers = send(protocol::encoded(request));
        REQUIRE(answers.size() == 1);
        return std::move(answers.front());
    }
    template <class Request>
    std::size_t silent(const Request& request) {
        return send(protocol::encoded(request)).size();
    }

    KvClient& hello(const std::vector<Feature>& features = modern_features()) {
        const KvAnswer answer = ask(protocol::HelloRequest{.agent = "test", .features = features});
        REQUIRE(answer.status() == Status::success);
        granted = *protocol::decode_hello(answer.frame);
        return *this;
    }
    KvClient& login(std::string_view user = "Administrator", std::string_view password = "password") {
        REQUIRE(
            ask(protocol::SaslAuthRequest{.mechanism = "PLAIN", .data = protocol::plain_message("", user, password)})
                .status() == Status::success);
        return *this;
    }
    KvClient& select(std::string_view bucket = "default") {
        REQUIRE(ask(protocol::SelectBucketRequest{.bucket = bucket}).status() == Status::success);
        return *this;
    }

    /// The context of a data request; the default collection when collections are on.
    [[nodiscard]] protocol::RequestContext at(std::uint16_t vbucket, std::uint64_t cas = 0) const {
        protocol::RequestContext context{.opaque = 7, .vbucket = vbucket, .cas = cas};
        if (granted.contains(Feature::collections)) context.collection = 0;
        return context;
    }

    RecordingOutlet outlet;
    std::unique_ptr<Conversation> conversation;
    std::string input;
    protocol::FeatureSet granted;
};

/// A cluster on virtual time, without a network.
struct KvCluster {
    explicit KvCluster(std::size_t count = 1, BucketSettings settings = {}, ClusterOptions options = {})
        : state(std::make_shared<ClusterState>(std::move(options))) {
        for (std::size_t i = 0; i < count; ++i) {
            const NodeId id = state->add_node("node" + std::to_string(i));
            state->set_ports(id, {static_cast<std::uint16_t>(11000 + i), static_cast<std::uint16_t>(9000 + i)});
            iops.push_back(world.make_iops("node" + std::to_string(i)));
            nodes.push_back(std::make_unique<KvNode>(state, id, *iops.back()));
        }
        state->create_bucket(settings);
    }
    KvNode& node(std::size_t i) { return *nodes.at(i); }
    void kill(std::size_t i) { nodes.at(i).reset(); }
    void restart(std::size_t i) { nodes.at(i) = std::make_unique<KvNode>(state, i, *iops.at(i)); }
    [[nodiscard]] std::uint16_t vbucket_of(std::string_view key) const {
        return protocol::vbucket_of(key, state->bucket_config("default")->settings.vbuckets);
    }
    [[nodiscard]] NodeId active(std::string_view key) const {
        return static_cast<NodeId>(state->bucket_config("default")->row(vbucket_of(key))[0]);
    }
    [[nodiscard]] NodeId replica(std::string_view key, std::size_t i = 1) const {
        return static_cast<NodeId>(state->bucket_config("default")->row(vbucket_of(key))[i]);
    }

    SimWorld world{1};
    std::shared_ptr<ClusterState> state;
    std::vector<std::unique_ptr<IOPS>> iops;
    std::vector<std::unique_ptr<KvNode>> nodes;
};

/// A client with a bucket, and short words for what it says.
struct KvUser : KvClient {
    KvUser(KvCluster& its_cluster, NodeId id, const std::vector<Feature>& features = modern_features())
        : KvClient(its_cluster.node(id)), cluster(its_cluster) {
        hello(features).login().select();
    }
    [[nodiscard]] protocol::RequestContext to(std::string_view key, std::uint64_t cas = 0) const {
        return at(cluster.vbucket_of(key), cas);
    }
    KvAnswer get(std::string_view key, Opcode opcode = Opcode::get) {
        return ask(protocol::GetRequest{to(key), key, opcode});
    }
    KvAnswer set(std::string_view key, std::string_view value, std::uint32_t expiry = 0, std::uint64_t cas = 0,
                 Opcode opcode = Opcode::set) {
        return ask(protocol::StoreRequest{to(key, cas), opcode, key, value, 0xcafe, expiry});
    }
    KvAnswer remove(std::string_view key, std::uint64_t cas = 0) {
        return ask(protocol::RemoveRequest{to(key, cas), key});
    }
    KvAnswer append(std::string_view key, std::string_view value, std::uint64_t cas = 0,
                    Opcode opcode = Opcode::append) {
        return ask(protocol::ConcatRequest{to(key, cas), opcode, key, value});
    }
    KvAnswer counter(std::string_view key, std::uint64_t delta, Opcode opcode = Opcode::increment,
                     std::uint64_t initial = 0, std::uint32_t expiry = 0) {
        return ask(protocol::CounterRequest{to(key), opcode, key, delta, initial, expiry});
    }
    KvAnswer touch(std::string_view key, std::uint32_t expiry) {
        return ask(protocol::TouchRequest{to(key), key, expiry});
    }
    KvAnswer gat(std::string_view key, std::uint32_t expiry) {
        return ask(protocol::GetAndTouchRequest{to(key), key, expiry});
    }
    KvAnswer lock(std::string_view key, std::optional<std::uint32_t> seconds = std::nullopt) {
        return ask(protocol::GetLockedRequest{to(key), key, seconds});
    }
    KvAnswer unlock(std::string_view key, std::uint64_t cas) { return ask(protocol::UnlockRequest{to(key, cas), key}); }
    KvAnswer meta(std::string_view key) { return ask(protocol::GetMetaRequest{to(key), key, 2}); }
    protocol::ObserveState observe(std::string_view key) {
        const protocol::ObserveKey keys[] = {{cluster.vbucket_of(key), key, to(key).collection}};
        const KvAnswer answer = ask(protocol::ObserveRequest{{}, keys});
        REQUIRE(answer.status() == Status::success);
        protocol::ObserveReader reader(answer.frame);
        const auto entry = reader.next();
        REQUIRE(entry);
        return entry->state;
    }

    KvCluster& cluster;
};

}  // namespace chaise::testing
