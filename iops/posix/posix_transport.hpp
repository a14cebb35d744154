#pragma once

#include <chaise/iops.hpp>

#include "iops/posix/socket.hpp"

namespace chaise {

/// A connected, non-blocking stream socket over one I/O event of an IOPS.
class PosixTransport final : public Transport {
public:
    PosixTransport(IOPS& iops, posix::Socket socket);
    ~PosixTransport() override;

    void set_handler(TransportHandler& handler) override { handler_ = &handler; }
    void read(MutableBuffer buffer) override;
    WriteResult write(std::span<const ConstBuffer> buffers) override;
    void wait_writable() override;
    [[nodiscard]] Endpoint local_endpoint() const override;
    [[nodiscard]] Endpoint remote_endpoint() const override;

private:
    class Dispatch;

    static void on_ready(void* self, int flags);
    void ready(int flags);
    /// Asks for what is wanted; inside a dispatch that is left to its end, so that one dispatch asks once.
    void update_interest();

    IOPS& iops_;
    posix::Socket socket_;
    std::unique_ptr<IOEvent> event_;
    TransportHandler* handler_ = nullptr;
    MutableBuffer buffer_;
    bool reading_ = false;
    bool awaiting_write_ = false;
    Dispatch* dispatch_ = nullptr;
};

}  // namespace chaise
