#include "tests/unit/engine/script_node.hpp"

#include "protocol/request_decoder.hpp"
#include "protocol/response_encoder.hpp"

#include <stdexcept>
#include <utility>

namespace chaise::testing {

ScriptNodes::ScriptNodes(ScriptLoop& loop) {
    loop.net.server = [this](Link& link) { serve(link); };
}

ScriptNodes::~ScriptNodes() = default;

std::string ScriptNodes::map_of(const std::vector<std::string>& hosts, int revision, int vbuckets) {
    std::string servers, rows, nodes, ext;
    for (const std::string& host : hosts) {
        const std::string comma = servers.empty() ? "" : ",";
        servers += comma + "\"" + host + ":11210\"";
        nodes += comma + "{}";
        ext += comma + R"({"hostname":")" + host + R"(","services":{"kv":11210,"mgmt":8091}})";
    }
    for (int v = 0; v < vbuckets; ++v) {
        rows += (v == 0 ? "[" : ",[") + std::to_string(v % static_cast<int>(hosts.size())) + "]";
    }
    return R"({"rev":)" + std::to_string(revision) + R"(,"revEpoch":1,"name":"default","uuid":"u",)" +
           R"("bucketCapabilities":["subdoc.ReplicaRead"],"nodeLocator":"vbucket","nodes":[)" + nodes +
           R"(],"nodesExt":[)" + ext + R"(],"vBucketServerMap":{)" +
           R"("hashAlgorithm":"CRC","numReplicas":0,"serverList":[)" + servers + R"(],"vBucketMap":[)" + rows + "]}}";
}

void ScriptNodes::serve(Link& link) {
    while (true) {
        protocol::Frame frame;
        const auto rest = std::string_view(link.received).substr(link.parsed);
        const auto parsed = protocol::parse_frame(rest, frame);
        if (parsed.status == protocol::ParseStatus::error) throw std::logic_error("the client sends garbage");
        if (parsed.status != protocol::ParseStatus::complete) return;
        link.parsed += parsed.size;
        Answer reply;
        if (frame.opaque >= 0xffffff00) {
            const auto other = instead.find(frame.opcode);
            reply = other != instead.end() ? other->second : bootstrap(frame, link);
        } else if (frame.opcode == Opcode::get_cluster_config) {
            reply.value = map;
        } else {
            std::string key(frame.key);
            if (protocol::carries_collection(frame.opcode)) {  // of the default collection, all of them
                if (key.empty() || key.front() != '\0') throw std::logic_error("a key without its collection");
                key.erase(0, 1);
            }
            seen.push_back({frame.opcode, frame.vbucket(), frame.opaque, frame.cas, std::string(frame.extras),
                            std::move(key), std::string(frame.value), link.endpoint.to_string()});
            reply = answer(seen.back());
        }
        if (reply.silent) continue;
        link.send(protocol::encoded(protocol::Response{.opcode = frame.opcode,
                                                       .status = reply.status,
                                                       .opaque = frame.opaque,
                                                       .cas = reply.cas,
                                                       .extras = reply.extras,
                                                       .value = reply.value}));
    }
}

ScriptNodes::Answer ScriptNodes::bootstrap(const protocol::Frame& frame, Link& link) {
    switch (frame.opcode) {
        case Opcode::hello:
            return {.value = std::string(frame.value)};  // everything that is asked for
        case Opcode::get_error_map:
            return {.status = protocol::Status::unknown_command};
        case Opcode::sasl_list_mechs:
            return {.value = "SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1 PLAIN"};
        case Opcode::sasl_auth:
            sasl_.begin(link, frame.key);
            [[fallthrough]];
        case Opcode::sasl_step: {
            auto reply = sasl_.step(link, frame.value);
            return {.status = reply.status, .value = reply.data};
        }
        case Opcode::select_bucket:
            return {};
        case Opcode::get_cluster_config:
            return {.value = map};
        default:
            return {.status = protocol::Status::unknown_command};
    }
}

}  // namespace chaise::testing
