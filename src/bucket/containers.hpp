#pragma once

#include "bucket/core.hpp"

#include <chaise/detail/container_call.hpp>

namespace chaise::detail {

/// What the first command of the call is, or of the step that begins it.
[[nodiscard]] protocol::Opcode opcode_of(const ContainerCall& call) noexcept;
/// In a slot of the call's kind.
void start_container(Core& core, Slot& slot, const ContainerCall& call);

}  // namespace chaise::detail
