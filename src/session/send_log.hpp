#pragma once

#include <chaise/time.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace chaise::detail {

/// When the requests of a connection were sent, by their sequence numbers. A mark stands for all that was sent within
/// a millisecond; when there are too many, neighbours become one: they are exact to a quarter of their age.
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
    static constexpr Duration longest = std::chrono::minutes(1);
    [[gnu::noinline]] void add(TimePoint at) noexcept {
        if (count_ == marks_.size()) thin_out(at);
        marks_[count_++].at = at;
    }
    void thin_out(TimePoint now) noexcept {
        std::size_t kept = 0;
        for (std::size_t i = 1; i < count_; ++i) {
            const TimePoint end = i + 1 < count_ ? marks_[i + 1].at : now;  // of what the mark stands for
            if (now - end > longest) {
                marks_[kept] = marks_[i];
            } else if (end - marks_[kept].at <= (now - end) / 4) {
                marks_[kept].sequence = marks_[i].sequence;
            } else {
                marks_[++kept] = marks_[i];
            }
        }
        count_ = kept + 1;
        if (count_ == marks_.size()) {
            std::copy(marks_.begin() + 1, marks_.end(), marks_.begin());
            --count_;
        }
    }
    std::array<Mark, 128> marks_{};
    std::size_t count_ = 0;
};

}  // namespace chaise::detail
