#include "topology/ring_routes.hpp"

#include <algorithm>
#include <utility>

namespace chaise::detail {

void RingRoutes::assign(protocol::RingScheme scheme, std::vector<Member> members, unsigned failure_limit) {
    scheme_ = scheme;
    failure_limit_ = failure_limit;
    members_.clear();
    for (Member& member : members) members_.push_back({std::move(member)});
    rebuild();
}

void RingRoutes::rebuild() {
    std::vector<protocol::RingHost> hosts;
    in_ring_.clear();
    const bool all = std::all_of(members_.begin(), members_.end(), [](const Place& place) { return place.out; });
    for (const Place& place : members_) {
        if (place.out && !all) continue;
        hosts.push_back(place.member.host);
        in_ring_.push_back(place.member.line);
    }
    ring_ = protocol::Ring(scheme_, hosts);
}

const RingRoutes::Place* RingRoutes::find(const Line& line) const noexcept {
    for (const Place& place : members_) {
        if (place.member.line == &line) return &place;
    }
    return nullptr;
}

bool RingRoutes::failed(const Line& line) {
    Place* const place = find(line);
    if (!place || ++place->failures < failure_limit_ || failure_limit_ == 0) return false;
    if (std::exchange(place->out, true)) return false;
    rebuild();
    return true;
}

bool RingRoutes::answers(const Line& line) {
    Place* const place = find(line);
    if (!place) return false;
    place->failures = 0;
    if (!std::exchange(place->out, false)) return false;
    rebuild();
    return true;
}

bool RingRoutes::out(const Line& line) const noexcept {
    const Place* const place = find(line);
    return place && place->out;
}

}  // namespace chaise::detail
