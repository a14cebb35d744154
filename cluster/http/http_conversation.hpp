#pragma once

#include <cstddef>
#include <memory>

#include "cluster/http/http_message.hpp"
#include "cluster/net/conversation.hpp"

namespace chaise::testing {

struct HttpLimits {
    std::size_t head_max = std::size_t{32} * 1024;    ///< request line and headers; beyond it 431
    std::size_t body_max = std::size_t{1024} * 1024;  ///< beyond it 413
    /// What may wait of a stream for a client that does not read; beyond it the connection ends.
    std::size_t stream_max = std::size_t{1024} * 1024;
};

/// One client's HTTP/1.x: keep-alive, requests behind one another, bodies of known length and chunked, streams. What is
/// not HTTP gets a 400 and is closed. `handler` must outlive it.
[[nodiscard]] std::unique_ptr<Conversation> make_http_conversation(HttpHandler& handler, Outlet& outlet,
                                                                   const HttpLimits& limits = {});

/// For a server: `handler` must outlive what it makes.
[[nodiscard]] ConversationFactory http_conversations(HttpHandler& handler, const HttpLimits& limits = {});

}  // namespace chaise::testing
