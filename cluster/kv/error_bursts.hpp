#pragma once

#include <chaise/testing/cluster_faults.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "protocol/opcode.hpp"
#include "protocol/status.hpp"

namespace chaise::testing {

/// Which requests are refused, for no reason of their own.
class ErrorBursts {
public:
    void add(const ErrorBurst& burst) { bursts_.push_back(burst); }
    void clear() noexcept { bursts_.clear(); }
    [[nodiscard]] bool empty() const noexcept { return bursts_.empty(); }
    /// The status to answer with. `random` is asked only by bursts that meet some.
    template <class Random>
    [[nodiscard]] std::optional<protocol::Status> meet(std::size_t node, protocol::Opcode opcode, bool of_a_document,
                                                       const Random& random) {
        const auto loud = static_cast<std::uint8_t>(protocol::loud_form(opcode));
        for (ErrorBurst& burst : bursts_) {
            if (burst.node && *burst.node != node) continue;
            if (burst.opcode ? *burst.opcode != loud : !of_a_document) continue;
            if (burst.probability < 1 && static_cast<double>(random() >> 11) * 0x1p-53 >= burst.probability) continue;
            const auto status = static_cast<protocol::Status>(burst.status);
            if (burst.times != 0 && --burst.times == 0) bursts_.erase(bursts_.begin() + (&burst - bursts_.data()));
            return status;
        }
        return std::nullopt;
    }

private:
    std::vector<ErrorBurst> bursts_;
};

}  // namespace chaise::testing
