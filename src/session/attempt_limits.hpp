#pragma once

#include <chaise/time.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace chaise::detail {

/// How often a node is connected to, whatever the reason: sessions that come and go with maps, rounds of seeds,
/// connections that are lost as soon as they stand. After `burst` attempts at once one more every `interval`; so no
/// node ever sees more than `per_minute` within any minute.
class AttemptLimits {
public:
    static constexpr int burst = 20;
    static constexpr Duration interval = std::chrono::seconds(1);
    static constexpr int per_minute = burst + static_cast<int>(std::chrono::minutes(1) / interval);

    /// Zero: the attempt may be made, and is counted. Otherwise how long it has to wait; it is not counted then.
    [[nodiscard]] Duration admit(std::string_view node, TimePoint now) {
        if (const auto known = used_up_.find(node); known != used_up_.end()) {
            const TimePoint earliest = known->second - (burst - 1) * interval;
            if (earliest > now) return earliest - now;
            known->second = std::max(known->second, now) + interval;
            return Duration::zero();
        }
        std::erase_if(used_up_, [&](const auto& entry) { return entry.second <= now; });  // forgotten by now
        used_up_.emplace(node, now + interval);
        return Duration::zero();
    }
    [[nodiscard]] std::size_t size() const noexcept { return used_up_.size(); }

private:
    /// When each node's allowance will be whole again.
    std::map<std::string, TimePoint, std::less<>> used_up_;
};

}  // namespace chaise::detail
