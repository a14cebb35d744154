#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace chaise::bench {

/// Nanoseconds in log-linear buckets: 32 to each power of two, so quantiles are right within 3 %. Never allocates.
class Histogram {
public:
    void add(std::uint64_t value) noexcept {
        ++buckets_[index(value)];
        ++count_;
    }
    void merge(const Histogram& other) noexcept {
        for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
        count_ += other.count_;
    }
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

    /// The smallest value (the middle of its bucket) that at least `share` of the values do not exceed; 0 if empty.
    [[nodiscard]] double quantile(double share) const noexcept {
        const auto wanted = std::max(1.0, share * static_cast<double>(count_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            seen += buckets_[i];
            if (count_ != 0 && static_cast<double>(seen) >= wanted) return middle(i);
        }
        return 0;
    }

private:
    static constexpr unsigned bits = 5;  // 2^bits buckets to each power of two
    static constexpr std::size_t per_octave = std::size_t{1} << bits;

    // Values below 2^bits have a bucket each.
    static constexpr std::size_t index(std::uint64_t value) noexcept {
        const auto width = static_cast<unsigned>(std::bit_width(value));
        if (width <= bits) return static_cast<std::size_t>(value);
        const unsigned shift = width - 1 - bits;
        return shift * per_octave + static_cast<std::size_t>(value >> shift);
    }
    static constexpr double middle(std::size_t index) noexcept {
        if (index < per_octave) return static_cast<double>(index);
        const std::size_t shift = index / per_octave - 1;
        const std::uint64_t first = (index - shift * per_octave) << shift;
        return static_cast<double>(first) + static_cast<double>((std::uint64_t{1} << shift) - 1) / 2;
    }

    std::array<std::uint64_t, (64 - bits + 1) * per_octave> buckets_{};
    std::uint64_t count_ = 0;
};

}  // namespace chaise::bench
