#pragma once

#include "protocol/cluster_map.hpp"
#include "protocol/vbucket_responses.hpp"

#include <chaise/error.hpp>
#include <chaise/mutation_token.hpp>
#include <chaise/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::detail {

/// Polling of the copies of documents until enough of them have a version, in memory or on disk. Knows no socket, no
/// clock and no slot: maps, answers and times come in; what to ask whom, and outcomes, come out.
///
/// A version is named by its mutation's token (OBSERVE_SEQNO: one packet for a copy of a vbucket, whatever the number
/// of keys) or, without one, by its CAS (OBSERVE: one packet for a node). Each copy is asked again by itself, one
/// interval after the last sweep that it was asked in: one that keeps silent holds up nobody else.
class Endure {
public:
    struct Options {
        int persist_to = -1;    ///< copies on disk, the active one among them; negative: as many as there are now
        int replicate_to = -1;  ///< replicas that have it
        bool check_removed = false;
        TimePoint deadline{};
        std::optional<Duration> interval{};  ///< none: first_interval, doubling to longest_interval
    };
    static constexpr Duration first_interval = std::chrono::milliseconds(10);
    static constexpr Duration longest_interval = std::chrono::milliseconds(100);
    static constexpr int most_copies = 4;                            ///< the active one, and 3 replicas
    static constexpr std::size_t most_bytes = std::size_t{8} << 20;  ///< of the keys in one OBSERVE

    /// What a copy has of the version wanted.
    enum class View : std::uint8_t { nothing, in_memory, on_disk };
    struct Copy {
        std::int16_t server = protocol::ClusterMap::nobody;  ///< by the map in force
        View view = View::nothing;
        bool doubted = false;     ///< the active one: its node has said once that it does not know the history
        std::uint32_t asked = 0;  ///< number of the question under way; 0: none is
        // By CAS: the last answer, as the version may become known after it.
        bool answered = false;
        protocol::ObserveState state = protocol::ObserveState::not_found;
        std::uint64_t cas = 0;
    };
    struct Key {
        std::string name{};
        std::uint16_t vbucket = 0;
        std::uint64_t cas = 0;                 ///< of the version; 0: the one that the active copy has
        std::optional<MutationToken> token{};  ///< if there is one, the CAS is not looked at
        // From here on it is the machine's.
        std::optional<std::uint32_t> collection{};
        std::uint8_t persist_to = 0;  ///< settled for this key
        std::uint8_t replicate_to = 0;
        std::uint8_t copies = 1;               ///< places that the map has for them
        std::array<Copy, most_copies> copy{};  ///< 0: active
        std::optional<errc> outcome{};         ///< success, or why not
        std::string why{};

        [[nodiscard]] std::uint8_t persisted_on() const noexcept;   ///< bit 0: active, bit n: replica n
        [[nodiscard]] std::uint8_t replicated_on() const noexcept;  ///< bit n: replica n
        /// That the active copy had last, or the one asked for.
        [[nodiscard]] std::uint64_t last_cas() const noexcept { return copy[0].cas != 0 ? copy[0].cas : cas; }
    };
    struct Target {
        std::uint32_t key = 0;
        std::uint8_t copy = 0;
        std::uint32_t question = 0;
    };
    /// What one node is asked in one packet.
    struct Packet {
        std::int16_t server = protocol::ClusterMap::nobody;  ///< of the map that it was made by
        bool by_seqno = false;
        std::uint16_t vbucket = 0;  ///< by_seqno
        std::uint64_t uuid = 0;     ///< by_seqno
        TimePoint at{};
        std::vector<Target> targets{};
    };

    explicit Endure(const Options& options) : options_(options), interval_(options.interval.value_or(first_interval)) {}

    /// What is wrong with the numbers in any cluster; empty: nothing.
    [[nodiscard]] static std::string_view fault_of(int persist_to, int replicate_to) noexcept;
    /// What is wrong with them in this one; empty: nothing.
    [[nodiscard]] static std::string fault_of(int persist_to, int replicate_to, const protocol::ClusterMap& map);
    /// And for the keys of this vbucket, now.
    [[nodiscard]] static std::string fault_of(int persist_to, int replicate_to, const protocol::ClusterMap& map,
                                              std::uint16_t vbucket);

    void add(Key key) { keys_.push_back(std::move(key)); }
    /// All keys are added: settles for each how many copies are meant, and fails those that have not got as many.
    /// `collection`: whose they are, where keys say so on the wire.
    void begin(const protocol::ClusterMap& map, std::optional<std::uint32_t> collection = {});
    /// One more, when it has begun; the deadline is this one now, and the interval the first again.
    void join(Key key, const protocol::ClusterMap& map, TimePoint deadline);

    /// What to ask now, of whom: all that is wanted and not being asked. What it names must be asked, or failed().
    [[nodiscard]] std::vector<Packet> ask(const protocol::ClusterMap& map, TimePoint now);
    [[nodiscard]] std::vector<protocol::ObserveKey> entries(const Packet& packet) const;
    /// A sweep has begun now: when the next one is due. From the deadline on nothing is to be asked.
    [[nodiscard]] TimePoint next(TimePoint now);
    /// OBSERVE's value. False, and nothing taken but that it was asked: it is no answer to the packet.
    [[nodiscard]] bool answered(const Packet& packet, std::string_view value, TimePoint now);
    [[nodiscard]] bool answered(const Packet& packet, const protocol::ObserveSeqnoResponse& answer, TimePoint now);
    /// OBSERVE_SEQNO: the node does not know the history.
    void unknown_history(const Packet& packet);
    /// No answer, or one that says nothing; it is asked again.
    void failed(const Packet& packet, std::string_view trouble);
    /// It will not be any other: the keys end with it where it is the active copy's word.
    void refused(const Packet& packet, errc code, std::string_view trouble);
    /// The map has changed: what is known of a copy holds while the same node has it. True: it is another one.
    bool follow(const protocol::ClusterMap& map);
    /// What is left ends with this.
    void end(errc code, std::string_view why);
    /// The deadline has come.
    void expire();

    [[nodiscard]] bool done() const noexcept { return pending_ == 0; }
    [[nodiscard]] const std::vector<Key>& keys() const noexcept { return keys_; }
    [[nodiscard]] TimePoint deadline() const noexcept { return options_.deadline; }
    /// An answer gave reason to look for a newer map; asked once.
    [[nodiscard]] bool wants_news() noexcept { return std::exchange(wants_news_, false); }

private:
    /// The copy, if the question under way is this one's, which ends.
    [[nodiscard]] Copy* take(const Target& target) noexcept;
    [[nodiscard]] static bool wanted(const Key& key, std::size_t copy) noexcept;
    void settle(Key& key, const protocol::ClusterMap& map);
    [[nodiscard]] View view_by_cas(const Key& key, const Copy& copy) const noexcept;
    void judge_active(Key& key);
    void judge(Key& key);
    void finish(Key& key, errc code, std::string why);
    void time(const Packet& packet, TimePoint now);

    Options options_;
    std::vector<Key> keys_;
    std::vector<protocol::Endpoint> servers_;  ///< of the map followed last
    std::optional<std::int64_t> epoch_, rev_;
    std::optional<std::uint32_t> collection_;
    std::string bucket_uuid_;
    std::size_t pending_ = 0;
    std::uint32_t questions_ = 0;
    Duration interval_;
    Duration round_trip_{};  ///< the longest
    std::string trouble_;
    bool asked_anything_ = false;
    bool wants_news_ = false;
};

}  // namespace chaise::detail
