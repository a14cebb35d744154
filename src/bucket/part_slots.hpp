#pragma once

#include "bucket/core.hpp"

namespace chaise::detail {

/// Where the operation that is a part gets its slot from.
struct PartSlots {
    Core& core;
    Slot& whole;
    [[nodiscard]] Slot& acquire(OperationKind kind, protocol::Opcode opcode) const {
        return core.add_part(whole, kind, opcode);
    }
};

}  // namespace chaise::detail
