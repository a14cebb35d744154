#pragma once

// A Couchbase cluster of a few lines behind a ScriptLoop's connections: who owns a vbucket, what map each node believes
// in, and when anything is answered is the test's.

#include "protocol/leb128.hpp"
#include "protocol/request_decoder.hpp"
#include "protocol/response_encoder.hpp"
#include "protocol/sasl.hpp"
#include "protocol/vbucket.hpp"
#include "protocol/vbucket_responses.hpp"
#include "tests/unit/engine/script_map.hpp"
#include "tests/unit/engine/session_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace chaise::testing {

/// Collections, by their path; the default collection is not among them.
struct ScriptManifest {
    std::uint64_t uid = 1;
    std::map<std::string, std::uint32_t> ids{};

    [[nodiscard]] bool has(std::uint32_t id) const {
        return id == 0 || std::any_of(ids.begin(), ids.end(), [&](const auto& one) { return one.second == id; });
    }
    /// Where a collection's document is among a node's items.
    [[nodiscard]] std::string place(std::uint32_t id, std::string key) const {
        const auto path = std::find_if(ids.begin(), ids.end(), [&](const auto& one) { return one.second == id; });
        return path == ids.end() ? key : path->first + "/" + key;
    }
    [[nodiscard]] bool has_scope(const std::string& scope) const {
        return scope == "_default" ||
               std::any_of(ids.begin(), ids.end(), [&](const auto& one) { return one.first.starts_with(scope + "."); });
    }
};

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

    explicit ScriptCluster(ScriptLoop& loop, ScriptMap initial) : map(std::move(initial)), loop_(loop) {
        for (const std::string& host : map.hosts) node(host);
        loop.net.server = [this](Link& link) { serve(link); };
    }

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

    Node& node(const std::string& host) {
        Node& node = nodes_[host];
        node.host = host;
        return node;
    }
    [[nodiscard]] std::map<std::string, Node>& nodes() { return nodes_; }

    /// A new revision of the truth. Documents move with their vbuckets.
    void publish(ScriptMap next) {
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
    /// The vbucket of the key goes to another server, in a newer map.
    [[nodiscard]] ScriptMap moved(std::string_view key, int server) const {
        ScriptMap next = map;
        ++next.rev;
        next.active[vbucket_of(key)] = server;
        return next;
    }
    [[nodiscard]] std::uint16_t vbucket_of(std::string_view key) const {
        return protocol::vbucket_of(key, static_cast<std::uint32_t>(map.active.size()));
    }
    [[nodiscard]] const std::string& owner_of(std::string_view key) const { return map.owner(vbucket_of(key)); }
    /// The host of a replica of the key; empty: none.
    [[nodiscard]] std::string replica_of(std::string_view key, std::size_t index = 0) const {
        return map.replica(vbucket_of(key), index);
    }
    /// "k", with a number behind it, that the host owns.
    [[nodiscard]] std::string key_at(const std::string& host, int nth = 0) const {
        for (int i = 0; i < 100'000; ++i) {
            std::string key = "k" + std::to_string(i);
            if (owner_of(key) == host && nth-- == 0) return key;
        }
        throw std::logic_error("no such key");
    }
    void refuse(const std::string& host, bool yes = true) {
        loop_.net.connect_errors.erase(host);
        if (yes) loop_.net.connect_errors[host] = std::make_error_code(std::errc::connection_refused);
    }

    /// Executes the n-th request of `seen`, unless it was, and answers.
    void answer(std::size_t n) {
        Seen& one = seen.at(n);
        if (one.answered) return;
        one.answered = true;
        one.link->send(one.opcode == Opcode::get_cluster_config ? config_answer(one) : execute(one));
    }
    void answer_all() {
        for (std::size_t n = 0; n < seen.size(); ++n) answer(n);
    }
    /// It happens, and nobody hears of it.
    void execute_silently(std::size_t n) {
        Seen& one = seen.at(n);
        if (one.answered || one.opcode == Opcode::get_cluster_config) return;
        one.answered = true;
        static_cast<void>(execute(one));
    }
    /// A push to every connection of the node that is set up.
    void push(const std::string& host, bool brief) {
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

    /// Connections to the host that the client holds open.
    [[nodiscard]] std::vector<std::shared_ptr<Link>> open(const std::string& host) const {
        std::vector<std::shared_ptr<Link>> out;
        for (const auto& link : loop_.net.links) {
            if (link->endpoint.address == host && !link->closed_by_client) out.push_back(link);
        }
        return out;
    }
    [[nodiscard]] std::size_t open() const {
        std::size_t n = 0;
        for (const auto& link : loop_.net.links) n += link->closed_by_client ? 0u : 1u;
        return n;
    }
    /// How many connections there ever were to the host.
    [[nodiscard]] std::size_t connections(const std::string& host) const {
        return static_cast<std::size_t>(std::count_if(loop_.net.links.begin(), loop_.net.links.end(),
                                                      [&](const auto& l) { return l->endpoint.address == host; }));
    }
    void reset(const std::string& host) {
        for (const auto& link : open(host)) link->reset();
    }
    [[nodiscard]] std::size_t executed(std::string_view key) const {
        std::size_t n = 0;
        for (const Seen& one : seen) n += one.key == key ? one.executed : 0;
        return n;
    }
    /// To which hosts requests with this key went, in order.
    [[nodiscard]] std::vector<std::string> path(std::string_view key) const {
        std::vector<std::string> out;
        for (const Seen& one : seen) {
            if (one.key == key) out.push_back(one.node);
        }
        return out;
    }

private:
    [[nodiscard]] const ScriptMap& belief(const Node& node) const { return node.map ? *node.map : map; }
    [[nodiscard]] std::string map_text(const Node& node) const {
        return node.map_text ? *node.map_text : belief(node).text();
    }
    [[nodiscard]] bool owns(const Node& node, std::uint16_t vbucket) const {
        if (node.owned) return node.owned->contains(vbucket);
        return vbucket < map.active.size() && map.owner(vbucket) == node.host;
    }

    [[nodiscard]] bool replicates(const Node& node, std::uint16_t vbucket) const {
        for (std::size_t i = 0; i < map.replica_count(); ++i) {
            if (map.replica(vbucket, i) == node.host) return true;
        }
        return false;
    }

    void serve(Link& link) {
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
    [[nodiscard]] std::shared_ptr<Link> shared(const Link& link) const {
        return *std::find_if(loop_.net.links.begin(), loop_.net.links.end(),
                             [&](const auto& one) { return one.get() == &link; });
    }
    static std::string unknown(const protocol::Frame& frame) {
        return protocol::encoded(protocol::Response{.opcode = frame.opcode,
                                                    .status = Status::unknown_command,
                                                    .opaque = frame.opaque,
                                                    .value = "Unknown command"});
    }

    std::string bootstrap(const protocol::Frame& frame, Link& link, Node& node) {
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
                sasl_.insert_or_assign(
                    &link, protocol::SaslServer(
                               frame.key, {.password_of = [this](std::string_view name) -> std::optional<std::string> {
                                               return name == user ? std::optional(password) : std::nullopt;
                                           },
                                           .nonce = "a-nonce-of-the-server-1234",
                                           .salt = "salt-of-16-bytes",
                                           .iterations = 4096}));
                if (mechanisms.find(frame.key) == std::string::npos) {
                    r.status = Status::auth_error;
                    break;
                }
                [[fallthrough]];
            case Opcode::sasl_step: {
                const auto reply = sasl_.at(&link).step(frame.value);
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
    /// Whether the client's revision is as new as the node's.
    [[nodiscard]] bool knows(std::string_view extras, const Node& node) const {
        if (extras.size() != 16) return false;
        const auto epoch = static_cast<std::int64_t>(protocol::load_be64(extras.data()));
        const auto rev = static_cast<std::int64_t>(protocol::load_be64(extras.data() + 8));
        const ScriptMap& own = belief(node);
        return std::pair<std::int64_t, std::int64_t>(epoch, rev) >=
               std::pair<std::int64_t, std::int64_t>(own.epoch, own.rev);
    }
    [[nodiscard]] bool knows(const protocol::Frame& frame, const Node& node) const { return knows(frame.extras, node); }
    std::string config_answer(const Seen& asked) {
        const Node& from = node(asked.node);
        const std::string text = knows(asked.extras, from) ? std::string() : map_text(from);
        return protocol::encoded(
            protocol::Response{.opcode = Opcode::get_cluster_config, .opaque = asked.opaque, .value = text});
    }

    std::string execute(Seen& one) {
        Node& node = this->node(one.node);
        protocol::Response r{.opcode = one.opcode, .opaque = one.opaque};
        std::string extras, value;
        const auto finish = [&](Status status, std::uint64_t cas = 0) {
            one.status = r.status = status;
            r.cas = cas;
            r.extras = extras;
            r.value = value;
            return protocol::encoded(r);
        };
        const auto refuse = [&] {
            ++node.refused;
            value = node.body ? map_text(node) : std::string();
            return finish(Status::not_my_vbucket);
        };
        if (one.opcode == Opcode::observe) return observe(one, node, r, refuse);
        if (one.opcode == Opcode::stat) return statistics(one, node, r, refuse);
        if (one.opcode == Opcode::get_replica) {
            if (!replicates(node, one.vbucket)) return refuse();
            const auto copy = node.copies.find(one.key);
            if (copy == node.copies.end()) return finish(Status::key_enoent);
            extras.assign(4, 0);
            value = copy->second.value;
            return finish(Status::success, copy->second.cas);
        }
        if (one.opcode == Opcode::observe_seqno) {
            if (!owns(node, one.vbucket) && !replicates(node, one.vbucket)) return refuse();
            if (!seqnos) return finish(Status::unknown_command);
            const auto answer = seqnos(one.node, one.vbucket, protocol::load_be64(one.value.data()));
            value = answer.second;
            return finish(answer.first);
        }
        if (!one.key.empty() && !owns(node, one.vbucket)) return refuse();
        if (!one.key.empty() && one.vbucket != vbucket_of(one.key)) throw std::logic_error("a wrong vbucket");
        const ScriptManifest& known = node.manifest ? *node.manifest : manifest;
        const auto unknown = [&](Status status) {
            char text[64];
            std::snprintf(text, sizeof text, R"({"manifest_uid":"%llx"})", static_cast<unsigned long long>(known.uid));
            value = text;
            return finish(status);
        };
        if (one.opcode == Opcode::collections_get_id) {
            if (one.value == "_default._default" || known.ids.contains(one.value)) {
                extras.assign(12, 0);
                protocol::store_be64(extras.data(), known.uid);
                protocol::store_be32(extras.data() + 8, known.ids.contains(one.value) ? known.ids.at(one.value) : 0);
                return finish(Status::success);
            }
            const std::string scope = one.value.substr(0, one.value.find('.'));
            return unknown(known.has_scope(scope) ? Status::unknown_collection : Status::unknown_scope);
        }
        if (!known.has(one.collection.value_or(0))) return unknown(Status::unknown_collection);
        const std::string plain = one.key;
        one.key = known.place(one.collection.value_or(0), one.key);
        struct Restore {
            std::string& key;
            const std::string& plain;
            ~Restore() { key = plain; }
        } restore{one.key, plain};
        if (const auto refusal = refusals.find(one.key); refusal != refusals.end() && !refusal->second.empty()) {
            const Status status = refusal->second.front();
            refusal->second.pop_front();
            return finish(status);
        }
        const auto found = node.items.find(one.key);
        const bool there = found != node.items.end();
        const auto token = [&] {
            if (!tokens) return;
            extras.assign(16, 0);
            protocol::store_be64(extras.data(), 0xabc0u + one.vbucket);
            protocol::store_be64(extras.data() + 8, ++last_seqno_);
        };
        const auto store = [&](std::string bytes, std::uint32_t flags) {
            ++one.executed;
            Item& item = node.items[one.key];
            item = {std::move(bytes), flags, ++last_cas_, one.datatype};
            return item.cas;
        };
        switch (one.opcode) {
            case Opcode::get:
                if (!there) return finish(Status::key_enoent);
                extras.assign(4, 0);
                protocol::store_be32(extras.data(), found->second.flags);
                value = found->second.value;
                r.datatype = found->second.datatype;
                return finish(Status::success, found->second.cas);
            case Opcode::set: {
                const std::uint64_t cas = store(one.value, protocol::load_be32(one.extras.data()));
                token();
                return finish(Status::success, cas);
            }
            case Opcode::increment: {
                const std::uint64_t delta = protocol::load_be64(one.extras.data());
                const std::uint64_t initial = protocol::load_be64(one.extras.data() + 8);
                const std::uint64_t next = there ? std::stoull(found->second.value) + delta : initial;
                const std::uint64_t cas = store(std::to_string(next), 0);
                token();
                value.assign(8, 0);
                protocol::store_be64(value.data(), next);
                return finish(Status::success, cas);
            }
            case Opcode::noop:
                return finish(Status::success);
            case Opcode::get_meta:
                if (!there) return finish(Status::key_enoent);
                extras.assign(21, 0);
                extras[3] = found->second.state == protocol::ObserveState::logically_deleted ? 1 : 0;
                protocol::store_be32(extras.data() + 4, found->second.flags);
                protocol::store_be32(extras.data() + 8, 1'900'000'000);
                protocol::store_be64(extras.data() + 12, 77);
                extras[20] = 1;
                return finish(Status::success, found->second.cas);
            case Opcode::get_random_key: {
                if (node.items.empty()) return finish(Status::key_enoent);
                const auto& [key, item] = *node.items.begin();
                extras.assign(4, 0);
                protocol::store_be32(extras.data(), item.flags);
                value = item.value;
                const std::string on_wire =
                    (with_collections_.contains(one.link.get()) ? std::string(1, '\0') : "") + key;
                r.key = on_wire;
                return finish(Status::success, item.cas);
            }
            default:
                return finish(Status::unknown_command);
        }
    }

    template <class Refuse>
    std::string observe(Seen& one, Node& node, protocol::Response& r, const Refuse& refuse) {
        std::string value;
        std::string_view left = one.value;
        while (left.size() >= 4) {
            const std::uint16_t vbucket = protocol::load_be16(left.data());
            const std::size_t size = protocol::load_be16(left.data() + 2);
            std::string key(left.substr(4, size));
            if (with_collections_.contains(one.link.get())) {
                const auto id = protocol::load_leb128(key);
                if (!id || id->size == key.size()) throw std::logic_error("a key without collection");
                key = (node.manifest ? *node.manifest : manifest).place(id->value, key.substr(id->size));
            }
            value += left.substr(0, 4 + size);
            left.remove_prefix(4 + size);
            const bool active = owns(node, vbucket);
            if (!active && !replicates(node, vbucket)) return refuse();
            const auto& items = active ? node.items : node.copies;
            const auto found = items.find(key);
            const bool there = found != items.end();
            value += static_cast<char>(there ? found->second.state : protocol::ObserveState::not_found);
            char cas[8];
            protocol::store_be64(cas, there ? found->second.cas : 0);
            value.append(cas, 8);
        }
        one.status = Status::success;
        r.value = node.garbled ? std::string_view("nonsense") : std::string_view(value);
        return protocol::encoded(r);
    }
    template <class Refuse>
    std::string statistics(Seen& one, Node& node, protocol::Response& r, const Refuse& refuse) {
        std::string out;
        const auto put = [&](std::string_view key, std::string_view value) {
            r.key = key;
            r.value = value;
            out += protocol::encoded(r);
        };
        if (one.key.starts_with("key ")) {
            const std::size_t end = one.key.rfind(' ');
            const std::string key = one.key.substr(4, end - 4);
            const auto vbucket = static_cast<std::uint16_t>(std::stoul(one.key.substr(end + 1)));
            const bool active = owns(node, vbucket);
            if (!active && !replicates(node, vbucket)) return refuse();
            const auto& items = active ? node.items : node.copies;
            const auto found = items.find(key);
            if (found == items.end()) {
                r.status = Status::key_enoent;
                return protocol::encoded(r);
            }
            put("key_vb_state", active ? "active" : "replica");
            put("key_cas", std::to_string(found->second.cas));
        } else if (one.key == "nonsense") {
            r.status = Status::key_enoent;
            return protocol::encoded(r);
        } else {
            put(one.key.empty() ? "general" : one.key, node.host);
        }
        one.status = Status::success;
        put({}, {});
        return out;
    }

    ScriptLoop& loop_;
    std::map<std::string, Node> nodes_;
    std::map<std::string, Item> homeless_;
    std::map<const Link*, protocol::SaslServer> sasl_;
    std::set<const Link*> authenticated_, ready_, with_collections_;
    std::uint64_t last_cas_ = 100;
    std::uint64_t last_seqno_ = 0;
};

/// A bucket on a scripted cluster.
struct ClusterFixture : Fixture {
    static BucketOptions signed_in(BucketOptions options) {
        if (options.username.empty()) options.username = "me";
        if (options.password.empty()) options.password = "secret";
        return options;
    }
    explicit ClusterFixture(ScriptMap map = ScriptMap::spread({"n1", "n2", "n3"}),
                            std::string_view where = "couchbase://n1", BucketOptions options = {})
        : Fixture(signed_in(options), where), cluster(loop, std::move(map)) {}
    ~ClusterFixture() { bucket.reset(); }

    /// How many requests of that kind came, to any node or to this one.
    [[nodiscard]] std::size_t asked(protocol::Opcode opcode, std::string_view node = {}) const {
        return static_cast<std::size_t>(std::count_if(cluster.seen.begin(), cluster.seen.end(), [&](const auto& one) {
            return one.opcode == opcode && (node.empty() || one.node == node);
        }));
    }
    /// Nothing is left when all that was held is answered.
    void check_clean(std::size_t operations = 0) {
        for (auto& [host, node] : cluster.nodes()) node.hold = false;
        cluster.answer_all();
        loop.run();
        CHECK(bucket->operations() == operations);
        CHECK(unobserved.empty());
    }

    ScriptCluster cluster;
};

}  // namespace chaise::testing
