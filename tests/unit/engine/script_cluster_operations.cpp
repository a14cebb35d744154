#include "tests/unit/engine/script_cluster.hpp"

#include "protocol/byte_order.hpp"
#include "protocol/leb128.hpp"
#include "protocol/response_encoder.hpp"

#include <cstdio>
#include <stdexcept>
#include <utility>

// What a node of a ScriptCluster does with an operation.

namespace chaise::testing {

std::string ScriptCluster::execute(Seen& one) {
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
            const std::string on_wire = (with_collections_.contains(one.link.get()) ? std::string(1, '\0') : "") + key;
            r.key = on_wire;
            return finish(Status::success, item.cas);
        }
        default:
            return finish(Status::unknown_command);
    }
}

std::string ScriptCluster::observe(Seen& one, Node& node, protocol::Response& r, const Refuse& refuse) {
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

std::string ScriptCluster::statistics(Seen& one, Node& node, protocol::Response& r, const Refuse& refuse) {
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

}  // namespace chaise::testing
