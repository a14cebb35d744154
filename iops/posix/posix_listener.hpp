#pragma once

#include <chaise/iops.hpp>

#include "iops/posix/posix_options.hpp"
#include "iops/posix/socket.hpp"

namespace chaise {

class PosixListener final : public Listener {
public:
    /// \throws std::system_error if the address cannot be listened on.
    PosixListener(IOPS& iops, const PosixOptions& options, const Endpoint& endpoint, AcceptHandler& handler);
    ~PosixListener() override;

    [[nodiscard]] Endpoint local_endpoint() const override;

private:
    class Dispatch;

    static void on_ready(void* self, int flags);
    static void on_pause_over(void* self, int flags);
    void accept_some();

    IOPS& iops_;
    AcceptHandler& handler_;
    std::chrono::milliseconds user_timeout_;
    posix::Socket socket_;
    std::unique_ptr<IOEvent> event_;
    std::unique_ptr<TimerEvent> pause_;
    Dispatch* dispatch_ = nullptr;
};

}  // namespace chaise
