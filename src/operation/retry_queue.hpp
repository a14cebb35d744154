#pragma once

#include <chaise/time.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace chaise::detail {

/// When which operation is to be tried again; of equal times, in the order of adding. Operations are named by their
/// opaques: those that ended meanwhile are found out when it is their time.
class RetryQueue {
public:
    struct Entry {
        TimePoint at;
        std::uint64_t order;
        std::uint32_t opaque;
    };
    void add(TimePoint at, std::uint32_t opaque) {
        heap_.push_back({at, next_order_++, opaque});
        std::push_heap(heap_.begin(), heap_.end(), later);
    }
    [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }
    /// Only if it is not empty.
    [[nodiscard]] TimePoint first() const noexcept { return heap_.front().at; }
    /// The next whose time has come.
    [[nodiscard]] std::optional<std::uint32_t> take(TimePoint now) {
        if (heap_.empty() || heap_.front().at > now) return std::nullopt;
        std::pop_heap(heap_.begin(), heap_.end(), later);
        const std::uint32_t opaque = heap_.back().opaque;
        heap_.pop_back();
        return opaque;
    }
    void clear() noexcept { heap_.clear(); }
    /// Those for whom `gone` says so are forgotten.
    template <class F>
    void forget_if(F&& gone) {
        std::erase_if(heap_, [&](const Entry& entry) { return gone(entry.opaque); });
        std::make_heap(heap_.begin(), heap_.end(), later);
    }

private:
    static bool later(const Entry& a, const Entry& b) noexcept {
        return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
    std::vector<Entry> heap_;
    std::uint64_t next_order_ = 0;
};

}  // namespace chaise::detail
