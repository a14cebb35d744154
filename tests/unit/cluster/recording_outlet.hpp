#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "cluster/net/conversation.hpp"

namespace chaise::testing {

/// A connection that only remembers what a conversation did with it.
class RecordingOutlet final : public Outlet {
public:
    void send(std::string_view bytes) override { sent.append(bytes); }
    void close() override { closed = true; }
    [[nodiscard]] std::size_t waiting() const noexcept override { return blocked ? sent.size() : 0; }
    void resume() override { ++resumed; }
    [[nodiscard]] const std::string& local_host() const noexcept override { return host; }

    /// What was sent since the last time.
    std::string take() { return std::exchange(sent, {}); }

    std::string sent;
    std::string host = "192.0.2.7";
    bool blocked = false;  ///< the client does not read
    bool closed = false;
    int resumed = 0;
};

}  // namespace chaise::testing
