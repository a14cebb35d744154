#pragma once

// The pure part of endure, with a map and copies that say what the test likes.

#include "durability/endure.hpp"
#include "protocol/byte_order.hpp"
#include "tests/unit/engine/script_cluster.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chaise::testing::endure {

using namespace std::chrono_literals;
using detail::Endure;
using protocol::ObserveState;

using Map = std::shared_ptr<const protocol::ClusterMap>;
inline constexpr TimePoint begin{1h};
inline constexpr std::uint64_t history = 0xabc;

inline Map parsed(const ScriptMap& map) {
    auto result = protocol::parse_cluster_map(map.text(), "n1");
    REQUIRE(result.map);
    return result.map;
}

struct Copy {
    ObserveState state = ObserveState::not_found;
    std::uint64_t cas = 0;
};

/// Answers as the copies are: by server number.
inline std::string answer_to(const Endure& run, const Endure::Packet& packet,
                             const std::function<Copy(std::int16_t)>& copy) {
    std::string value;
    for (const protocol::ObserveKey& entry : run.entries(packet)) {
        const Copy is = copy(packet.server);
        char head[4], tail[8];
        protocol::store_be16(head, entry.vbucket);
        protocol::store_be16(head + 2, static_cast<std::uint16_t>(entry.key.size()));
        protocol::store_be64(tail, is.cas);
        value.append(head, 4).append(entry.key).append(1, static_cast<char>(is.state)).append(tail, 8);
    }
    return value;
}

/// Three nodes, two replicas, one key in vbucket 0: active on 0, replicas on 1 and 2.
struct One {
    explicit One(Endure::Options options, std::uint64_t cas = 7, std::optional<std::uint64_t> seqno = {},
                 ScriptMap first = ScriptMap::replicated({"n1", "n2", "n3"}, 2))
        : script(std::move(first)), map(parsed(script)), run(with_deadline(options)) {
        Endure::Key key;
        key.name = "key";
        key.cas = cas;
        if (seqno) key.token = MutationToken{.vbucket_uuid = history, .seqno = *seqno, .vbucket = 0};
        run.add(key);
        run.begin(*map);
    }
    static Endure::Options with_deadline(Endure::Options options) {
        if (options.deadline == TimePoint{}) options.deadline = begin + 5s;
        return options;
    }
    [[nodiscard]] const Endure::Key& key() const { return run.keys().front(); }
    [[nodiscard]] std::optional<errc> outcome() const { return key().outcome; }
    std::vector<Endure::Packet> ask() { return run.ask(*map, now); }
    /// Asks, and gives every node's answer.
    void sweep(const std::function<Copy(std::int16_t)>& copy) {
        for (const auto& packet : ask()) CHECK(run.answered(packet, answer_to(run, packet, copy), now));
    }
    void sweep(std::vector<Copy> copies) {
        sweep([copies](std::int16_t server) { return copies.at(static_cast<std::size_t>(server)); });
    }
    struct At {
        std::uint64_t persisted, current;
        std::optional<std::uint64_t> old_history_ends{};
    };
    void sweep_seqno(std::vector<At> copies) {
        for (const auto& packet : ask()) {
            const At at = copies.at(static_cast<std::size_t>(packet.server));
            CHECK(run.answered(packet, answer(packet, at), now));
        }
    }
    static protocol::ObserveSeqnoResponse answer(const Endure::Packet& packet, const At& at) {
        protocol::ObserveSeqnoResponse r{.vbucket = packet.vbucket,
                                         .vbucket_uuid = packet.uuid,
                                         .last_persisted_seqno = at.persisted,
                                         .current_seqno = at.current};
        if (at.old_history_ends) {
            r.vbucket_uuid = 0xdef;
            r.failover = {packet.uuid, *at.old_history_ends};
        }
        return r;
    }
    void change(const std::function<void(ScriptMap&)>& by) {
        by(script);
        ++script.rev;
        map = parsed(script);
    }

    ScriptMap script;
    Map map;
    Endure run;
    TimePoint now = begin;
};

inline constexpr Copy found{ObserveState::found, 7}, persisted{ObserveState::persisted, 7}, missing{},
    deleted{ObserveState::logically_deleted, 9}, other{ObserveState::persisted, 5};

}  // namespace chaise::testing::endure
