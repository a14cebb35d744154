#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace chaise::bench {

enum class Op : std::uint8_t { get, set, mixed };

/// Where and as whom.
struct Target {
    std::string connection_string;
    std::string username;
    std::string password;
    std::string bucket{};  ///< empty: as the connection string says, or "default"
};

/// What is done, the same for all faces: operations on keys of 20 bytes, drawn from 10,000 that are there already.
class Workload {
public:
    static constexpr std::size_t key_count = 10'000;
    static constexpr std::size_t key_size = 20;

    Workload(Op op, std::size_t value_size, std::size_t depth);

    struct Draw {
        std::string_view key;
        std::size_t index;  ///< of the key
        bool is_set;
    };
    /// The next operation.
    [[nodiscard]] Draw draw() noexcept {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        const std::size_t index = ((state_ >> 32) * key_count) >> 32;
        return {key(index), index, ((state_ >> 16) & 0xff) < sets_of_256_};
    }
    [[nodiscard]] std::string_view key(std::size_t index) const noexcept {
        return {keys_.data() + index * key_size, key_size};
    }
    [[nodiscard]] std::string_view value() const noexcept { return value_; }
    /// Operations in flight.
    [[nodiscard]] std::size_t depth() const noexcept { return depth_; }

private:
    std::string keys_;
    std::string value_;
    std::size_t depth_;
    std::uint64_t state_ = 88172645463325252U;
    unsigned sets_of_256_;
};

/// Stores every key, over a connection of its own. \throws what the first operation that failed throws.
void preload(const Target& target, const Workload& workload);

}  // namespace chaise::bench
