#pragma once

#include <chaise/iops.hpp>

#include "iops/posix/posix_options.hpp"
#include "iops/posix/socket.hpp"

namespace chaise {

/// One connection attempt.
class PosixConnector final : public Pending {
public:
    PosixConnector(IOPS& iops, const PosixOptions& options, const Endpoint& endpoint, ConnectHandler& handler);
    ~PosixConnector() override;

private:
    static void on_ready(void* self, int flags);
    static void on_deferred(void* self, int flags);
    void start(const PosixOptions& options, const Endpoint& endpoint);
    void finish(std::error_code error);
    /// The outcome is known in the call that started the attempt, and is told on a later turn.
    void finish_later(std::error_code error);

    IOPS& iops_;
    ConnectHandler& handler_;
    posix::Socket socket_;
    std::unique_ptr<IOEvent> event_;
    std::unique_ptr<TimerEvent> deferred_;
    std::error_code error_;
};

}  // namespace chaise
