#include "tests/unit/engine/script_cluster.hpp"

#include "protocol/byte_order.hpp"
#include "protocol/leb128.hpp"
#include "protocol/request_decoder.hpp"
#include "protocol/response_encoder.hpp"
#include "protocol/vbucket.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace chaise::testing {

ScriptCluster::ScriptCluster(ScriptLoop& loop, ScriptMap initial) : map(std::move(initial)), loop_(loop) {
    for (const std::string& host : map.hosts) node(host);
    loop.net.server = [this](Link& link) { serve(link); };
}

ScriptCluster::~ScriptCluster() = default;

ScriptCluster::Node& ScriptCluster::node(const std::string& host) {
    Node& node = nodes_[host];
    node.host = host;
    return node;
}

std::map<std::string, ScriptCluster::Node>& ScriptCluster::nodes() { return nodes_; }

void ScriptCluster::publish(ScriptMap next) {
    next.epoch = std::max(next.epoch, map.epoch);
    std::map<std::string, Item> all;
    for (auto& [host, one] : nodes_) all.merge(one.items);
    for (auto& [host, one] : nodes_) one.items.clear();
    map = std::move(next);
    for (const std::string& host : map.hosts) node(host);
    for (auto& [key, item] : all) {
        const std::string& owner = map.owner(vbucket_of(std::string_view(key).substr(key.find('/') + 1)));
        (owner.empty() ? homeless_ : node(owner).items)[key] = item;
    }
    for (auto& [key, item] : std::exchange(homeless_, {})) {
        const std::string& owner = map.owner(vbucket_of(std::string_view(key).substr(key.find('/') + 1)));
        (owner.empty() ? homeless_ : node(owner).items)[key] = item;
    }
}

ScriptMap ScriptCluster::moved(std::string_view key, int server) const {
    ScriptMap next = map;
    ++next.rev;
    next.active[vbucket_of(key)] = server;
    return next;
}

std::uint16_t ScriptCluster::vbucket_of(std::string_view key) const {
    return protocol::vbucket_of(key, static_cast<std::uint32_t>(map.active.size()));
}

std::string ScriptCluster::replica_of(std::string_view key, std::size_t index) const {
    return map.replica(vbucket_of(key), index);
}

std::string ScriptCluster::key_at(const std::string& host, int nth) const {
    for (int i = 0; i < 100'000; ++i) {
        std::string key = "k" + std::to_string(i);
        if (owner_of(key) == host && nth-- == 0) return key;
    }
    throw std::logic_error("no such key");
}

void ScriptCluster::refuse(const std::string& host, bool yes) {
    loop_.net.connect_errors.erase(host);
    if (yes) loop_.net.connect_errors[host] = std::make_error_code(std::errc::connection_refused);
}

void ScriptCluster::answer(std::size_t n) {
    Seen& one = seen.at(n);
    if (one.answered) return;
    one.answered = true;
    one.link->send(one.opcode == Opcode::get_cluster_config ? config_answer(one) : execute(one));
}

void ScriptCluster::answer_all() {
    for (std::size_t n = 0; n < seen.size(); ++n) answer(n);
}

void ScriptCluster::execute_silently(std::size_t n) {
    Seen& one = seen.at(n);
    if (one.answered || one.opcode == Opcode::get_cluster_config) return;
    one.answered = true;
    static_cast<void>(execute(one));
}

void ScriptCluster::push(const std::string& host, bool brief) {
    const Node& from = node(host);
    std::string extras(16, 0);
    const ScriptMap& told = belief(from);
    protocol::store_be64(extras.data(), static_cast<std::uint64_t>(told.epoch));
    protocol::store_be64(extras.data() + 8, static_cast<std::uint64_t>(told.rev));
    const std::string text = brief ? std::string() : map_text(from);
    for (const auto& link : open(host)) {
        if (!ready_.contains(link.get())) continue;
        link->send(protocol::encoded(
            protocol::ServerRequest{.opaque = 77, .extras = extras, .key = told.bucket, .value = text}));
    }
}

std::vector<std::shared_ptr<Link>> ScriptCluster::open(const std::string& host) const {
    std::vector<std::shared_ptr<Link>> out;
    for (const auto& link : loop_.net.links) {
        if (link->endpoint.address == host && !link->closed_by_client) out.push_back(link);
    }
    return out;
}

std::size_t ScriptCluster::open() const {
    std::size_t n = 0;
    for (const auto& link : loop_.net.links) n += link->closed_by_client ? 0u : 1u;
    return n;
}

std::size_t ScriptCluster::connections(const std::string& host) const {
    return static_cast<std::size_t>(std::count_if(loop_.net.links.begin(), loop_.net.links.end(),
                                                  [&](const auto& l) { return l->endpoint.address == host; }));
}

void ScriptCluster::reset(const std::string& host) {
    for (const auto& link : open(host)) link->reset();
}

std::size_t ScriptCluster::executed(std::string_view key) const {
    std::size_t n = 0;
    for (const Seen& one : seen) n += one.key == key ? one.executed : 0;
    return n;
}

std::vector<std::string> ScriptCluster::path(std::string_view key) const {
    std::vector<std::string> out;
    for (const Seen& one : seen) {
        if (one.key == key) out.push_back(one.node);
    }
    return out;
}

std::string ScriptCluster::map_text(const Node& node) const {
    return node.map_text ? *node.map_text : belief(node).text();
}

bool ScriptCluster::owns(const Node& node, std::uint16_t vbucket) const {
    if (node.owned) return node.owned->contains(vbucket);
    return vbucket < map.active.size() && map.owner(vbucket) == node.host;
}

bool ScriptCluster::replicates(const Node& node, std::uint16_t vbucket) const {
    for (std::size_t i = 0; i < map.replica_count(); ++i) {
        if (map.replica(vbucket, i) == node.host) return true;
    }
    return false;
}

void ScriptCluster::serve(Link& link) {
    Node& node = this->node(link.endpoint.address);
    if (node.speaks == Speaks::http || node.speaks == Speaks::garbage) {
        if (link.received.size() == link.parsed) return;
        link.parsed = link.received.size();
        link.send(node.speaks == Speaks::http ? "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
                                              : "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n");
        return;
    }
    while (!node.silent && !link.end_of_stream) {
        protocol::Frame frame;
        const auto rest = std::string_view(link.received).substr(link.parsed);
        const auto parsed = protocol::parse_frame(rest, frame);
        if (parsed.status == protocol::ParseStatus::error) throw std::logic_error("the client sends garbage");
        if (parsed.status != protocol::ParseStatus::complete) return;
        link.parsed += parsed.size;
        if (frame.opaque >= 0xffffff00) {
            link.send(node.speaks == Speaks::memcached ? unknown(frame) : bootstrap(frame, link, node));
            continue;
        }
        Seen one{.opcode = frame.opcode,
                 .node = node.host,
                 .vbucket = frame.vbucket(),
                 .opaque = frame.opaque,
                 .key = std::string(frame.key),
                 .value = std::string(frame.value),
                 .extras = std::string(frame.extras),
                 .framing = std::string(frame.framing_extras),
                 .datatype = frame.datatype,
                 .cas = frame.cas,
                 .link = shared(link)};
        if (with_collections_.contains(&link) && protocol::carries_collection(frame.opcode)) {
            const auto id = protocol::load_leb128(one.key);
            if (!id || id->size == one.key.size()) throw std::logic_error("a key without collection");
            one.collection = id->value;
            one.key.erase(0, id->size);
        }
        if (frame.opcode == Opcode::get_cluster_config) {
            ++node.config_asked;
            if (node.no_maps) {
                link.send(unknown(frame));
                continue;
            }
            if (!node.hold_config) {
                link.send(config_answer(one));
                continue;
            }
            seen.push_back(std::move(one));
        } else {
            seen.push_back(std::move(one));
            if (!node.hold) answer(seen.size() - 1);
        }
    }
}

std::shared_ptr<Link> ScriptCluster::shared(const Link& link) const {
    return *std::find_if(loop_.net.links.begin(), loop_.net.links.end(),
                         [&](const auto& one) { return one.get() == &link; });
}

std::string ScriptCluster::unknown(const protocol::Frame& frame) {
    return protocol::encoded(protocol::Response{
        .opcode = frame.opcode, .status = Status::unknown_command, .opaque = frame.opaque, .value = "Unknown command"});
}

std::string ScriptCluster::bootstrap(const protocol::Frame& frame, Link& link, Node& node) {
    protocol::Response r{.opcode = frame.opcode, .opaque = frame.opaque};
    std::string value;
    switch (frame.opcode) {
        case Opcode::hello:
            ++node.bootstraps;
            for (std::size_t i = 0; i + 1 < frame.value.size(); i += 2) {
                const auto code = static_cast<protocol::Feature>(protocol::load_be16(frame.value.data() + i));
                if (denied.contains(code) || node.denied.contains(code)) continue;
                value += frame.value.substr(i, 2);
                if (code == protocol::Feature::collections) with_collections_.insert(&link);
            }
            break;
        case Opcode::get_error_map:
            value = error_map;
            break;
        case Opcode::sasl_list_mechs:
            value = mechanisms;
            break;
        case Opcode::sasl_auth:
            sasl_.begin(link, frame.key);
            if (mechanisms.find(frame.key) == std::string::npos) {
                r.status = Status::auth_error;
                break;
            }
            [[fallthrough]];
        case Opcode::sasl_step: {
            const auto reply = sasl_.step(link, frame.value);
            r.status = reply.status;
            value = reply.data;
            if (reply.status == Status::success) authenticated_.insert(&link);
            break;
        }
        case Opcode::select_bucket:
            if (!authenticated_.contains(&link)) {
                r.status = Status::eaccess;
            } else if (!buckets.contains(std::string(frame.key))) {
                r.status = Status::key_enoent;
            } else {
                ready_.insert(&link);
            }
            break;
        case Opcode::get_cluster_config:
            if (!ready_.contains(&link)) {
                r.status = Status::no_bucket;
            } else if (node.no_maps) {
                r.status = Status::unknown_command;
            } else if (!knows(frame, node)) {
                value = map_text(node);
            }
            break;
        default:
            r.status = Status::unknown_command;
            break;
    }
    r.value = value;
    return protocol::encoded(r);
}

bool ScriptCluster::knows(std::string_view extras, const Node& node) const {
    if (extras.size() != 16) return false;
    const auto epoch = static_cast<std::int64_t>(protocol::load_be64(extras.data()));
    const auto rev = static_cast<std::int64_t>(protocol::load_be64(extras.data() + 8));
    const ScriptMap& own = belief(node);
    return std::pair<std::int64_t, std::int64_t>(epoch, rev) >=
           std::pair<std::int64_t, std::int64_t>(own.epoch, own.rev);
}

std::string ScriptCluster::config_answer(const Seen& asked) {
    const Node& from = node(asked.node);
    const std::string text = knows(asked.extras, from) ? std::string() : map_text(from);
    return protocol::encoded(
        protocol::Response{.opcode = Opcode::get_cluster_config, .opaque = asked.opaque, .value = text});
}

}  // namespace chaise::testing
