#include "durability/observe_round.hpp"

#include "protocol/byte_order.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace chaise::detail {

using protocol::ClusterMap;
using protocol::ObserveState;

namespace {

bool known(ObserveState state) noexcept {
    return state == ObserveState::found || state == ObserveState::persisted || state == ObserveState::not_found ||
           state == ObserveState::logically_deleted;
}

}  // namespace

std::size_t ObserveRound::add(std::string key, std::uint16_t vbucket) {
    keys_.push_back({std::move(key), vbucket, {}});
    return keys_.size() - 1;
}

void ObserveRound::want_all(std::size_t key, const ClusterMap& map) {
    want(key, 0);
    for (unsigned copy = 1; copy <= map.replicas; ++copy) {
        if (map.server(keys_[key].vbucket, copy) != ClusterMap::nobody) want(key, static_cast<std::uint8_t>(copy));
    }
}

std::vector<ObserveRound::Packet> ObserveRound::packets(const ClusterMap& map, std::size_t most) const {
    std::vector<Packet> all;
    std::map<std::int16_t, std::size_t> open;  // server → the packet that has room
    for (std::size_t k = 0; k < keys_.size(); ++k) {
        const Key& key = keys_[k];
        for (std::size_t c = 0; c < key.copies.size(); ++c) {
            if (key.copies[c].answered) continue;
            const std::int16_t server = map.server(key.vbucket, key.copies[c].copy);
            const auto [at, fresh] = open.try_emplace(server, all.size());
            if (!fresh && all[at->second].targets.size() >= most) at->second = all.size();
            if (at->second == all.size()) all.push_back({server, {}});
            all[at->second].targets.push_back({k, c});
        }
    }
    return all;
}

std::vector<protocol::ObserveKey> ObserveRound::entries(const Packet& packet) const {
    std::vector<protocol::ObserveKey> out;
    out.reserve(packet.targets.size());
    for (const Target& target : packet.targets) {
        const Key& key = keys_[target.key];
        out.push_back({.vbucket = key.vbucket, .key = key.key});
    }
    return out;
}

bool ObserveRound::answer(const Packet& packet, std::string_view value) {
    protocol::Frame frame;
    frame.value = value;
    protocol::ObserveReader check(frame);
    for (const Target& target : packet.targets) {
        const auto entry = check.next();
        if (!entry || entry->key != keys_[target.key].key || !known(entry->state)) return false;
    }
    if (check.next() || check.malformed()) return false;
    protocol::ObserveReader reader(frame);
    for (const Target& target : packet.targets) {
        const auto entry = reader.next();
        Copy& copy = keys_[target.key].copies[target.copy];
        copy = {.copy = copy.copy, .answered = true, .state = entry->state, .cas = entry->cas};
    }
    return true;
}

std::string_view the_observed_key(std::string_view value) noexcept {
    if (value.size() < 4) return {};
    const std::size_t size = protocol::load_be16(value.data() + 2);
    const std::string_view rest = value.substr(4);
    return rest.size() == size ? rest : std::string_view();
}

}  // namespace chaise::detail
