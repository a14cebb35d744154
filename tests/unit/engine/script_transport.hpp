#pragma once

#include "tests/unit/engine/script_net.hpp"

#include <memory>
#include <span>

namespace chaise::testing {

/// The client's end of a Link.
class ScriptTransport final : public Transport {
public:
    ScriptTransport(std::shared_ptr<Link> link, std::shared_ptr<StepFault> fault);
    ~ScriptTransport() override;
    void set_handler(TransportHandler& handler) override;
    void read(MutableBuffer buffer) override;
    WriteResult write(std::span<const ConstBuffer> buffers) override;
    void wait_writable() override;
    [[nodiscard]] Endpoint local_endpoint() const override;
    [[nodiscard]] Endpoint remote_endpoint() const override;

private:
    std::shared_ptr<Link> link_;
    std::shared_ptr<StepFault> fault_;
};

}  // namespace chaise::testing
