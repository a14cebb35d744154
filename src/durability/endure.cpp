#include "durability/endure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace chaise::detail {

using protocol::ClusterMap;
using protocol::ObserveState;

namespace {

bool known(ObserveState state) noexcept {
    return state == ObserveState::found || state == ObserveState::persisted || state == ObserveState::not_found ||
           state == ObserveState::logically_deleted;
}

bool there(ObserveState state) noexcept { return state == ObserveState::found || state == ObserveState::persisted; }

std::uint8_t places(const ClusterMap& map) noexcept {
    return static_cast<std::uint8_t>(std::min<unsigned>(map.replicas + 1, Endure::most_copies));
}

/// Replicas of the vbucket that a node has now.
unsigned replicas_now(const ClusterMap& map, std::uint16_t vbucket) noexcept {
    unsigned n = 0;
    for (unsigned copy = 1; copy < places(map); ++copy) n += map.server(vbucket, copy) != ClusterMap::nobody ? 1u : 0u;
    return n;
}

/// "the bucket has 1 replica".
std::string replicas_text(std::size_t n) { return fmt::format("{} {}", n, n == 1 ? "replica" : "replicas"); }

std::string too_many(int persist_to, int replicate_to, unsigned replicas) {
    return fmt::format("persist_to {} and replicate_to {} were asked for, and nodes have {} of its vbucket now",
                       persist_to, replicate_to, replicas_text(replicas));
}
std::string too_many(const Endure::Key& key, unsigned replicas) {
    return too_many(key.persist_to, key.replicate_to, replicas);
}

/// A prefix of the collection's id, as it is on the wire, is taken off the key.
bool is_key(std::string_view sent, const Endure::Key& key) {
    if (key.collection) {
        char prefix[protocol::max_leb128_size];
        const auto size = static_cast<std::size_t>(protocol::store_leb128(prefix, *key.collection) - prefix);
        if (!sent.starts_with(std::string_view(prefix, size))) return false;
        sent.remove_prefix(size);
    }
    return sent == key.name;
}

}  // namespace

std::uint8_t Endure::Key::persisted_on() const noexcept {
    unsigned mask = 0;
    for (unsigned i = 0; i < copies; ++i) mask |= copy[i].view == View::on_disk ? 1u << i : 0u;
    return static_cast<std::uint8_t>(mask);
}

std::uint8_t Endure::Key::replicated_on() const noexcept {
    unsigned mask = 0;
    for (unsigned i = 1; i < copies; ++i) mask |= copy[i].view != View::nothing ? 1u << i : 0u;
    return static_cast<std::uint8_t>(mask);
}

std::string_view Endure::fault_of(int persist_to, int replicate_to) noexcept {
    if (persist_to == 0 && replicate_to == 0)
        return "persist_to and replicate_to are both 0: there is nothing to wait for";
    if (persist_to > most_copies) return "persist_to is more than 4: no document has more copies";
    if (replicate_to > most_copies - 1) return "replicate_to is more than 3: no document has more replicas";
    return {};
}

std::string Endure::fault_of(int persist_to, int replicate_to, const ClusterMap& map) {
    const std::size_t nodes = map.kv.size();
    const int replicas = static_cast<int>(std::min<std::size_t>(map.replicas, nodes == 0 ? 0 : nodes - 1));
    if (persist_to <= replicas + 1 && replicate_to <= replicas) return {};
    return fmt::format("persist_to {} and replicate_to {} were asked for; the bucket has {} on {} {}", persist_to,
                       replicate_to, replicas_text(map.replicas), nodes, nodes == 1 ? "node" : "nodes");
}

std::string Endure::fault_of(int persist_to, int replicate_to, const ClusterMap& map, std::uint16_t vbucket) {
    std::string fault = fault_of(persist_to, replicate_to, map);
    const unsigned replicas = replicas_now(map, vbucket);
    const int most = static_cast<int>(replicas);
    if (fault.empty() && (persist_to > most + 1 || replicate_to > most))
        fault = too_many(persist_to, replicate_to, replicas);
    return fault;
}

void Endure::begin(const ClusterMap& map, std::optional<std::uint32_t> collection) {
    follow(map);
    collection_ = collection;
    pending_ = keys_.size();
    for (Key& key : keys_) settle(key, map);
}

void Endure::join(Key key, const ClusterMap& map, TimePoint deadline) {
    follow(map);
    options_.deadline = deadline;
    interval_ = options_.interval.value_or(first_interval);
    ++pending_;
    settle(keys_.emplace_back(std::move(key)), map);
}

void Endure::settle(Key& key, const ClusterMap& map) {
    key.collection = collection_;
    const unsigned replicas = replicas_now(map, key.vbucket);
    const auto settled = [](int wanted, unsigned most) {
        return static_cast<std::uint8_t>(wanted < 0 ? most : static_cast<unsigned>(wanted));
    };
    key.persist_to = settled(options_.persist_to, replicas + 1);
    key.replicate_to = settled(options_.replicate_to, replicas);
    key.copies = places(map);
    for (unsigned copy = 0; copy < key.copies; ++copy) key.copy[copy].server = map.server(key.vbucket, copy);
    if (key.persist_to > replicas + 1 || key.replicate_to > replicas) {
        finish(key, errc::durability_impossible, too_many(key, replicas));
    }
}

bool Endure::follow(const ClusterMap& map) {
    const bool same = map.rev && map.rev == rev_ && map.epoch == epoch_ && map.uuid == bucket_uuid_;
    if (same) return false;
    epoch_ = map.epoch;
    rev_ = map.rev;
    bucket_uuid_ = map.uuid;
    // Server numbers of the map before → of this one.
    std::vector<std::int16_t> now(servers_.size(), ClusterMap::nobody);
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        const auto found = std::find(map.kv.begin(), map.kv.end(), servers_[i]);
        if (found != map.kv.end()) now[i] = static_cast<std::int16_t>(found - map.kv.begin());
    }
    // A map without a revision is told apart by what it says.
    bool another = map.rev || servers_ != map.kv;
    servers_ = map.kv;
    if (pending_ == 0) return another;
    for (Key& key : keys_) {
        if (key.outcome) continue;
        for (unsigned i = 0; i < most_copies; ++i) {
            Copy& copy = key.copy[i];
            const std::int16_t server = i < places(map) ? map.server(key.vbucket, i) : ClusterMap::nobody;
            const std::int16_t same_node =
                copy.server == ClusterMap::nobody ? ClusterMap::nobody : now[static_cast<std::size_t>(copy.server)];
            another = another || server != same_node;
            if (server != same_node || server == ClusterMap::nobody) copy = {};
            copy.server = server;
        }
        key.copies = places(map);
        const unsigned replicas = replicas_now(map, key.vbucket);
        if (key.persist_to > replicas + 1 || key.replicate_to > replicas) {
            finish(key, errc::durability_impossible,
                   "there are fewer copies than when it began: " + too_many(key, replicas));
        }
    }
    return another;
}

bool Endure::wanted(const Key& key, std::size_t at) noexcept {
    const Copy& copy = key.copy[at];
    if (copy.server == ClusterMap::nobody || copy.asked != 0) return false;
    if (at == 0) {
        // By CAS as long as it lasts: it alone tells that there is a newer version.
        if (!key.token) return true;
        return copy.view == View::nothing || (key.persist_to > 0 && copy.view != View::on_disk);
    }
    if (key.replicate_to == 0 && key.persist_to <= 1) return false;
    return copy.view == View::nothing || (key.persist_to > 1 && copy.view != View::on_disk);
}

std::vector<Endure::Packet> Endure::ask(const ClusterMap& map, TimePoint now) {
    follow(map);
    std::vector<Packet> packets;
    struct Open {
        std::size_t packet;
        std::size_t bytes;
    };
    std::map<std::int16_t, Open> by_cas;
    std::map<std::tuple<std::int16_t, std::uint16_t, std::uint64_t>, std::size_t> by_seqno;
    for (std::size_t k = 0; k < keys_.size(); ++k) {
        Key& key = keys_[k];
        if (key.outcome) continue;
        for (std::size_t c = 0; c < key.copies; ++c) {
            if (!wanted(key, c)) continue;
            Copy& copy = key.copy[c];
            std::size_t at = packets.size();
            if (key.token) {
                at = by_seqno.try_emplace({copy.server, key.vbucket, key.token->vbucket_uuid}, at).first->second;
            } else {
                const std::size_t bytes = 4 + protocol::max_leb128_size + key.name.size();
                Open& open = by_cas.try_emplace(copy.server, Open{at, 0}).first->second;
                if (open.bytes + bytes > most_bytes) open = {at, 0};
                open.bytes += bytes;
                at = open.packet;
            }
            if (at == packets.size()) {
                packets.push_back({.server = copy.server,
                                   .by_seqno = key.token.has_value(),
                                   .vbucket = key.vbucket,
                                   .uuid = key.token ? key.token->vbucket_uuid : 0,
                                   .at = now});
            }
            asked_anything_ = true;
            copy.asked = ++questions_ == 0 ? ++questions_ : questions_;
            packets[at].targets.push_back({static_cast<std::uint32_t>(k), static_cast<std::uint8_t>(c), copy.asked});
        }
    }
    return packets;
}

std::vector<protocol::ObserveKey> Endure::entries(const Packet& packet) const {
    std::vector<protocol::ObserveKey> out;
    out.reserve(packet.targets.size());
    for (const Target& target : packet.targets) {
        const Key& key = keys_[target.key];
        out.push_back({.vbucket = key.vbucket, .key = key.name, .collection = key.collection});
    }
    return out;
}

TimePoint Endure::next(TimePoint now) {
    const TimePoint due = now + interval_;
    if (!options_.interval) interval_ = std::min(2 * interval_, longest_interval);
    // The time is used to its end: the last question goes when its answer can still come.
    const Duration margin = std::max<Duration>(std::chrono::milliseconds(1), 2 * round_trip_);
    const TimePoint last = options_.deadline - margin;
    if (due < last) return due;
    return now < last ? last : options_.deadline;
}

Endure::Copy* Endure::take(const Target& target) noexcept {
    Key& key = keys_[target.key];
    Copy& copy = key.copy[target.copy];
    if (key.outcome || copy.asked != target.question) return nullptr;
    copy.asked = 0;
    return &copy;
}

void Endure::time(const Packet& packet, TimePoint now) { round_trip_ = std::max(round_trip_, now - packet.at); }

bool Endure::answered(const Packet& packet, std::string_view value, TimePoint now) {
    time(packet, now);
    protocol::Frame frame;
    frame.value = value;
    protocol::ObserveReader check(frame);
    bool right = true;
    for (const Target& target : packet.targets) {
        const auto entry = check.next();
        right = entry && is_key(entry->key, keys_[target.key]) && known(entry->state);
        if (!right) break;
    }
    if (!right || check.next() || check.malformed()) {
        refused(packet, errc::protocol_error, "the node's answer is not about what was asked");
        return false;
    }
    protocol::ObserveReader reader(frame);
    for (const Target& target : packet.targets) {
        const auto entry = reader.next();
        Copy* const copy = take(target);
        if (!copy) continue;
        Key& key = keys_[target.key];
        copy->answered = true;
        copy->state = entry->state;
        copy->cas = entry->cas;
        copy->view = view_by_cas(key, *copy);
        if (target.copy == 0) judge_active(key);
        judge(key);
    }
    return true;
}

Endure::View Endure::view_by_cas(const Key& key, const Copy& copy) const noexcept {
    if (!copy.answered) return View::nothing;
    if (options_.check_removed) {
        if (copy.state == ObserveState::not_found) return View::on_disk;
        return copy.state == ObserveState::logically_deleted ? View::in_memory : View::nothing;
    }
    const std::uint64_t version = key.cas != 0 ? key.cas : key.copy[0].answered ? key.copy[0].cas : 0;
    if (!there(copy.state) || version == 0 || copy.cas != version) return View::nothing;
    return copy.state == ObserveState::persisted ? View::on_disk : View::in_memory;
}

/// The active copy's word decides, by CAS, about the version.
void Endure::judge_active(Key& key) {
    const Copy& active = key.copy[0];
    const bool other = key.cas != 0 && active.cas != 0 && active.cas != key.cas;
    if (options_.check_removed) {
        if (there(active.state) && other) {
            finish(key, errc::mutation_superseded, "the document is there again, with another CAS");
        }
        return;
    }
    if (other) {
        return finish(key, errc::mutation_superseded,
                      there(active.state) ? "the active copy has another CAS" : "the document was removed after it");
    }
    if (!there(active.state)) return finish(key, errc::document_not_found, "the active copy is not there");
    // Which version is meant without a CAS was not known before, or is another one now.
    for (unsigned i = 1; i < key.copies; ++i) key.copy[i].view = view_by_cas(key, key.copy[i]);
}

bool Endure::answered(const Packet& packet, const protocol::ObserveSeqnoResponse& answer, TimePoint now) {
    time(packet, now);
    const std::uint64_t uuid = answer.failover ? answer.failover->old_vbucket_uuid : answer.vbucket_uuid;
    if (answer.vbucket != packet.vbucket || uuid != packet.uuid) {
        refused(packet, errc::protocol_error, "the node's answer is not about what was asked");
        return false;
    }
    for (const Target& target : packet.targets) {
        Copy* const copy = take(target);
        if (!copy) continue;
        Key& key = keys_[target.key];
        const std::uint64_t seqno = key.token->seqno;
        copy->doubted = false;
        // What the old history had at the failover is in the new one, with its numbers.
        if (answer.failover && answer.failover->last_received_seqno < seqno) {
            copy->view = View::nothing;
            if (target.copy == 0) {
                finish(key, errc::mutation_lost,
                       fmt::format("after a failover the vbucket's old history ends at {}, before its {}",
                                   answer.failover->last_received_seqno, seqno));
            }
            continue;
        }
        copy->view = answer.current_seqno < seqno          ? View::nothing
                     : answer.last_persisted_seqno < seqno ? View::in_memory
                                                           : View::on_disk;
        judge(key);
    }
    return true;
}

void Endure::unknown_history(const Packet& packet) {
    for (const Target& target : packet.targets) {
        Copy* const copy = take(target);
        if (!copy) continue;
        copy->view = View::nothing;
        if (target.copy != 0) continue;
        // A node that is not the active one any more, by a map that we have not got yet, may not know it either.
        if (std::exchange(copy->doubted, true)) {
            finish(keys_[target.key], errc::mutation_lost, "the active node does not know the history that it was in");
        } else {
            wants_news_ = true;
        }
    }
}

void Endure::failed(const Packet& packet, std::string_view trouble) {
    trouble_ = trouble;
    for (const Target& target : packet.targets) static_cast<void>(take(target));
}

void Endure::refused(const Packet& packet, errc code, std::string_view trouble) {
    trouble_ = trouble;
    for (const Target& target : packet.targets) {
        if (take(target) && target.copy == 0) finish(keys_[target.key], code, std::string(trouble));
    }
}

void Endure::judge(Key& key) {
    if (key.outcome || key.copy[0].view == View::nothing) return;
    unsigned persisted = 0;
    unsigned replicated = 0;
    for (unsigned i = 0; i < key.copies; ++i) {
        persisted += key.copy[i].view == View::on_disk ? 1u : 0u;
        replicated += i != 0 && key.copy[i].view != View::nothing ? 1u : 0u;
    }
    const bool on_disk = key.persist_to == 0 || (key.copy[0].view == View::on_disk && persisted >= key.persist_to);
    if (on_disk && replicated >= key.replicate_to) finish(key, errc::success, {});
}

void Endure::finish(Key& key, errc code, std::string why) {
    key.outcome = code;
    key.why = std::move(why);
    --pending_;
}

void Endure::end(errc code, std::string_view why) {
    for (Key& key : keys_) {
        if (!key.outcome) finish(key, code, std::string(why));
    }
}

void Endure::expire() {
    const errc code = asked_anything_ ? errc::timeout_after_send : errc::timeout_before_send;
    for (Key& key : keys_) {
        if (key.outcome) continue;
        unsigned persisted = 0;
        unsigned replicated = 0;
        for (unsigned i = 0; i < key.copies; ++i) {
            persisted += key.copy[i].view == View::on_disk ? 1u : 0u;
            replicated += i != 0 && key.copy[i].view != View::nothing ? 1u : 0u;
        }
        std::string why = key.copy[0].view == View::nothing
                              ? "the active copy was not seen to have it"
                              : fmt::format("persisted to {} of {}, replicated to {} of {}", persisted, key.persist_to,
                                            replicated, key.replicate_to);
        if (key.persist_to > 0 && key.copy[0].view == View::in_memory) why += ", not on the active node's disk";
        if (!trouble_.empty()) why += "; " + trouble_;
        finish(key, code, std::move(why));
    }
}

}  // namespace chaise::detail
