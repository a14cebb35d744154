#pragma once

#include <chaise/time.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace chaise::detail {

/// When the requests of a connection were sent, by their sequence numbers. A mark stands for all that was sent within
/// a millisecond; when there are too many, each two neighbours become one: the older, the less exact.
class SendLog {
public:
    /// Everything up to `sequence` has been sent.
    void note(std::uint64_t sequence, TimePoint at) noexcept {
        if (count_ == 0 || at - marks_[count_ - 1].at >= resolution) [[unlikely]]
            add(at);
        marks_[count_ - 1].sequence = sequence;
    }
    /// Of a request that was sent, or is being sent; `now` if nothing is known.
    [[nodiscard]] TimePoint sent_at(std::uint64_t sequence, TimePoint now) const noexcept {
        for (std::size_t i = 0; i < count_; ++i) {
            if (sequence <= marks_[i].sequence) return marks_[i].at;
        }
        return now;
    }
    void clear() noexcept { count_ = 0; }

private:
    static constexpr Duration resolution = std::chrono::milliseconds(1);
    struct Mark {
        std::uint64_t sequence = 0;
        TimePoint at{};
    };
    [[gnu::noinline]] void add(TimePoint at) noexcept {
        if (count_ == marks_.size()) {
            count_ /= 2;
            for (std::size_t i = 0; i < count_; ++i) marks_[i] = {marks_[2 * i + 1].sequence, marks_[2 * i].at};
        }
        marks_[count_++].at = at;
    }
    std::array<Mark, 64> marks_{};
    std::size_t count_ = 0;
};

}  // namespace chaise::detail
