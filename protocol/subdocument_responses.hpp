#pragma once

#include <optional>

#include "protocol/frame.hpp"

// Walks the results of multi-path commands (protocol.md 2.3).
namespace chaise::protocol {

/// Statuses whose value is a list of results; others are errors of the whole request.
[[nodiscard]] constexpr bool carries_subdoc_results(Status status) noexcept {
    return status == Status::success || status == Status::subdoc_success_deleted ||
           status == Status::subdoc_multi_path_failure || status == Status::subdoc_multi_path_failure_deleted;
}

struct LookupResult {
    Status status = Status::success;
    std::string_view value{};
};

/// One result per spec, in request order.
class MultiLookupReader {
public:
    explicit MultiLookupReader(const Frame& frame) noexcept : left_(frame.value) {}
    [[nodiscard]] std::optional<LookupResult> next() noexcept;
    [[nodiscard]] bool malformed() const noexcept { return malformed_; }

private:
    std::string_view left_;
    bool malformed_ = false;
};

struct PathMutationResult {
    std::uint8_t index = 0;  ///< of the spec
    Status status = Status::success;
    std::string_view value{};  ///< counters
};

/// Success: only the specs that return a value. Failure: the first spec that failed; nothing was applied.
class MultiMutationReader {
public:
    explicit MultiMutationReader(const Frame& frame) noexcept : left_(frame.value) {}
    [[nodiscard]] std::optional<PathMutationResult> next() noexcept;
    [[nodiscard]] bool malformed() const noexcept { return malformed_; }

private:
    std::string_view left_;
    bool malformed_ = false;
};

}  // namespace chaise::protocol
