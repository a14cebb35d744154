#include "tests/unit/engine/script_transport.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace chaise::testing {

ScriptTransport::ScriptTransport(std::shared_ptr<Link> link, std::shared_ptr<StepFault> fault)
    : link_(std::move(link)), fault_(std::move(fault)) {}

ScriptTransport::~ScriptTransport() {
    link_->closed_by_client = true;
    link_->reading = link_->waiting_writable = false;
}

void ScriptTransport::set_handler(TransportHandler& handler) { link_->handler = &handler; }

void ScriptTransport::read(MutableBuffer buffer) {
    if (link_->reading || buffer.size == 0 || !link_->handler) throw std::logic_error("ScriptTransport::read");
    link_->buffer = buffer;
    link_->reading = true;
    ++link_->reads_armed;
}

WriteResult ScriptTransport::write(std::span<const ConstBuffer> buffers) {
    const bool fails = fault_->hit();
    if (fails) {
        link_->reset();
        link_->window = std::min(link_->window, std::size_t{10});  // a part of it may get through
    }
    WriteResult result;
    for (const ConstBuffer& buffer : buffers) {
        const std::size_t n = std::min(buffer.size, link_->window);
        link_->received.append(static_cast<const char*>(buffer.data), n);
        if (link_->window != SIZE_MAX) link_->window -= n;
        result.bytes += n;
        if (n < buffer.size) break;
    }
    if (result.bytes != 0) link_->writes.push_back(result.bytes);
    result.error = link_->write_error;
    return result;
}

void ScriptTransport::wait_writable() { link_->waiting_writable = true; }

Endpoint ScriptTransport::local_endpoint() const { return {"10.0.0.99", 1}; }

Endpoint ScriptTransport::remote_endpoint() const { return link_->endpoint; }

}  // namespace chaise::testing
