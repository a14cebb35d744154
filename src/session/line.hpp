#pragma once

#include "session/pipeline.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace chaise::detail {

/// A line of requests that wait: for one node, when it is a Session, or for the map to name a node.
class Line {
public:
    Line(std::string name, std::size_t max_operations, std::size_t max_bytes, ByteBudget* budget = nullptr)
        : pipeline_(max_operations, max_bytes, budget), name_(std::move(name)) {}

    [[nodiscard]] Pipeline& pipeline() noexcept { return pipeline_; }
    [[nodiscard]] const Pipeline& pipeline() const noexcept { return pipeline_; }
    /// Requests flow; true of sessions only.
    [[nodiscard]] bool ready() const noexcept { return (state_ & flows) != 0; }
    /// The keys of its requests carry the collection prefix: all of them, or none. Of a node that is not connected it
    /// is what is expected of it.
    [[nodiscard]] bool prefixed() const noexcept { return (state_ & has_prefixes) != 0; }
    /// Requests flow with the prefix, or without.
    [[nodiscard]] bool ready_with_prefix() const noexcept { return state_ == (flows | has_prefixes); }
    [[nodiscard]] bool ready_without_prefix() const noexcept { return state_ == flows; }
    /// "host:port" of the node, as the caller or the map wrote it; empty when there is none.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// Why the last attempt to connect failed, in words; empty if it did not.
    [[nodiscard]] const std::string& last_failure() const noexcept { return last_failure_; }
    void set_last_failure(std::string words) { last_failure_ = std::move(words); }

protected:
    void set_state(bool ready, bool prefixed) noexcept {
        state_ = static_cast<std::uint8_t>((ready ? flows : 0) | (prefixed ? has_prefixes : 0));
    }

    Pipeline pipeline_;
    std::string name_;
    std::string last_failure_;

private:
    static constexpr std::uint8_t flows = 1;
    static constexpr std::uint8_t has_prefixes = 2;
    std::uint8_t state_ = 0;
};

}  // namespace chaise::detail
