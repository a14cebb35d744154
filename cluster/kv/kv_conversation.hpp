#pragma once

#include <memory>

#include "cluster/kv/node.hpp"
#include "cluster/net/conversation.hpp"

namespace chaise::testing {

/// One client's conversation with a node, in the binary protocol (protocol.md 1 to 5). `node` must outlive it; it uses
/// `outlet` from on_bytes() and from timers of the node's IOPS.
[[nodiscard]] std::unique_ptr<Conversation> make_kv_conversation(KvNode& node, Outlet& outlet);

/// For a server: `node` must outlive what it makes.
[[nodiscard]] inline ConversationFactory kv_conversations(KvNode& node) {
    return [&node](Outlet& outlet) { return make_kv_conversation(node, outlet); };
}

}  // namespace chaise::testing
