#pragma once

/// \file
/// The one generator of a simulation. Streams are forked by name and number, so that one more connection does not
/// shift what the others draw. Everything is integer arithmetic: the same seed gives the same run with every compiler
/// and at every optimisation level.

#include <bit>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace chaise::testing {

/// splitmix64's finaliser: a bijection that spreads every input bit.
constexpr std::uint64_t sim_mix(std::uint64_t x) noexcept {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/// xoshiro256** with splitmix64 seeding (Blackman and Vigna, public domain). Satisfies UniformRandomBitGenerator,
/// but the standard distributions differ between libraries: use the members.
class SimRandom {
public:
    using result_type = std::uint64_t;

    explicit constexpr SimRandom(std::uint64_t seed = 0) noexcept : seed_(seed) {
        for (auto& word : state_) {
            seed = sim_mix(seed);
            word = seed;
        }
    }
    /// An independent stream that depends on this one's seed, on `name` and on `number`, not on what was drawn.
    [[nodiscard]] constexpr SimRandom fork(std::string_view name, std::uint64_t number = 0) const noexcept {
        std::uint64_t hash = seed_;
        for (char c : name) hash = sim_mix(hash ^ static_cast<unsigned char>(c));
        return SimRandom{sim_mix(sim_mix(hash) ^ number)};
    }
    [[nodiscard]] constexpr std::uint64_t seed() const noexcept { return seed_; }

    constexpr std::uint64_t operator()() noexcept {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t t = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= t;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }
    static constexpr std::uint64_t min() noexcept { return 0; }
    static constexpr std::uint64_t max() noexcept { return ~std::uint64_t{0}; }

    /// 0 … n-1; 0 for n = 0. (The bias of at most n / 2^64 is of no consequence here.)
    constexpr std::uint64_t below(std::uint64_t n) noexcept { return n == 0 ? 0 : (*this)() % n; }
    /// low … high, both included.
    constexpr std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept {
        return low + below(high - low + 1);
    }
    /// True with probability p. Draws nothing for p <= 0, so that a fault which is off costs and shifts nothing.
    constexpr bool chance(double p) noexcept { return p > 0 && static_cast<double>((*this)() >> 11) * 0x1p-53 < p; }
    /// About exponentially distributed, with this mean (-log2 by leading zeros and a linear rest).
    constexpr std::chrono::nanoseconds exponential(std::chrono::nanoseconds mean) noexcept {
        const std::uint64_t bits = (*this)() | 1;
        const int zeros = std::countl_zero(bits);
        const std::uint64_t rest = (bits << zeros) << 1 >> 48;  // 16 bits below the leading one
        const std::uint64_t log2_16 = (static_cast<std::uint64_t>(zeros + 1) << 16) - rest;
        // ln 2 = 45426 / 65536
        const std::uint64_t scale = log2_16 * 45426 >> 16;
        return std::chrono::nanoseconds{
            static_cast<std::int64_t>(static_cast<std::uint64_t>(mean.count()) / 256 * scale / 256)};
    }

private:
    std::uint64_t seed_;
    std::uint64_t state_[4]{};
};

}  // namespace chaise::testing
