#pragma once

#include "protocol/ketama.hpp"
#include "session/line.hpp"

#include <cstddef>
#include <string_view>
#include <vector>

namespace chaise::detail {

/// Which host's line a key goes into where there are no vbuckets: a memcached:// list and Couchbase's memcached
/// buckets. With auto-eject, hosts that cannot be reached are out of the ring, and what was theirs belongs to the
/// others, until they are back.
class RingRoutes {
public:
    struct Member {
        protocol::RingHost host;
        Line* line;
    };

    RingRoutes() : entrance_({}, 1, 1) {}

    /// `failure_limit`: a host is out after so many failures to connect, one after another; 0: never.
    void assign(protocol::RingScheme scheme, std::vector<Member> members, unsigned failure_limit);
    void clear() { assign(protocol::RingScheme::couchbase, {}, 0); }

    /// Stands for "ask the ring" where a line is wanted before the key is looked at. It is never ready and nothing ever
    /// waits in it.
    [[nodiscard]] Line& entrance() noexcept { return entrance_; }
    [[nodiscard]] bool is_entrance(const Line& line) const noexcept { return &line == &entrance_; }
    [[nodiscard]] bool active() const noexcept { return !members_.empty(); }
    [[nodiscard]] bool ejects() const noexcept { return failure_limit_ != 0; }

    /// Of an active ring.
    [[nodiscard]] Line& line(std::string_view key) const noexcept { return *in_ring_[ring_.owner(key)]; }

    /// An attempt to connect has failed. True: routes have changed by it.
    [[nodiscard]] bool failed(const Line& line);
    /// The host answers. True: routes have changed by it.
    [[nodiscard]] bool answers(const Line& line);
    /// It was ejected. When all are, keys belong to them all the same, as there is nobody else.
    [[nodiscard]] bool out(const Line& line) const noexcept;

private:
    struct Place {
        Member member;
        unsigned failures = 0;
        bool out = false;
    };
    [[nodiscard]] const Place* find(const Line& line) const noexcept;
    [[nodiscard]] Place* find(const Line& line) noexcept {
        return const_cast<Place*>(static_cast<const RingRoutes*>(this)->find(line));
    }
    void rebuild();

    Line entrance_;
    protocol::RingScheme scheme_ = protocol::RingScheme::couchbase;
    std::vector<Place> members_;
    unsigned failure_limit_ = 0;
    protocol::Ring ring_;
    std::vector<Line*> in_ring_;  ///< by the ring's numbers
};

}  // namespace chaise::detail
