#pragma once

#include "session/pipeline.hpp"

#include <cstddef>
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
    [[nodiscard]] bool ready() const noexcept { return ready_; }
    /// "host:port" of the node, as the caller or the map wrote it; empty when there is none.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// Why the last attempt to connect failed, in words; empty if it did not.
    [[nodiscard]] const std::string& last_failure() const noexcept { return last_failure_; }
    void set_last_failure(std::string words) { last_failure_ = std::move(words); }

protected:
    Pipeline pipeline_;
    bool ready_ = false;
    std::string name_;
    std::string last_failure_;
};

}  // namespace chaise::detail
