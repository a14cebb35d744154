#include "tests/unit/engine/script_net.hpp"

namespace chaise::testing {

void Link::reset() { read_error = write_error = std::make_error_code(std::errc::connection_reset); }

bool Link::readable() const {
    return !closed_by_client && reading && (!to_client.empty() || end_of_stream || read_error);
}

bool Link::writable() const { return !closed_by_client && waiting_writable && (window > 0 || write_error); }

ScriptNet::ScriptNet() = default;

ScriptNet::~ScriptNet() = default;

ScriptNet::Step::~Step() { pending->remove(this); }

}  // namespace chaise::testing
