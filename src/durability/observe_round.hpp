#pragma once

#include "protocol/cluster_map.hpp"
#include "protocol/vbucket_responses.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::detail {

/// One round of asking the nodes about copies of documents (OBSERVE, protocol.md 2.4): which node is to be asked about
/// which copies, and what the answers say. Knows no socket, no time and no slot: the map comes in, packets come out;
/// answers come in, the states of the copies come out.
class ObserveRound {
public:
    struct Copy {
        std::uint8_t copy = 0;  ///< 0: active, from 1 on: replicas
        bool answered = false;
        protocol::ObserveState state = protocol::ObserveState::not_found;
        std::uint64_t cas = 0;
    };
    struct Key {
        std::string key;
        std::uint16_t vbucket = 0;
        std::vector<Copy> copies;
    };
    /// Into keys(), and into the key's copies.
    struct Target {
        std::size_t key = 0;
        std::size_t copy = 0;
    };
    /// What one node is asked in one packet.
    struct Packet {
        std::int16_t server = protocol::ClusterMap::nobody;  ///< of the map; nobody: of no node now
        std::vector<Target> targets;
    };

    /// A key that is to be asked about, without copies yet; its place.
    std::size_t add(std::string key, std::uint16_t vbucket);
    /// Of this copy of the key, too.
    void want(std::size_t key, std::uint8_t copy) { keys_[key].copies.push_back({.copy = copy}); }
    /// The active copy, and every replica that the map gives to a node.
    void want_all(std::size_t key, const protocol::ClusterMap& map);

    /// One packet for each node that has something to be asked about what has no answer yet; those that no node has are
    /// together in one, too. No packet has more than `most` targets.
    [[nodiscard]] std::vector<Packet> packets(const protocol::ClusterMap& map, std::size_t most = 1000) const;
    /// The entries of a packet's request.
    [[nodiscard]] std::vector<protocol::ObserveKey> entries(const Packet& packet) const;
    /// Takes the value of the answer to a packet. False, and nothing taken, if it is not one.
    [[nodiscard]] bool answer(const Packet& packet, std::string_view value);

    [[nodiscard]] const std::vector<Key>& keys() const noexcept { return keys_; }

private:
    std::vector<Key> keys_;
};

/// The key that a request or an answer is about; empty unless it is just one.
[[nodiscard]] std::string_view the_observed_key(std::string_view value) noexcept;

}  // namespace chaise::detail
