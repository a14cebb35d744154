#include "session/bootstrap.hpp"

#include "protocol/requests.hpp"

#include <fmt/format.h>

#include <utility>

namespace chaise::detail {

namespace {

using protocol::Opcode;
using protocol::SaslResult;
using protocol::Status;

/// Beyond every slot's opaque of a first generation; no request is in flight meanwhile anyway.
constexpr std::uint32_t bootstrap_opaque = 0xffffffff;

template <class Request>
void append_request(std::string& out, Request request) {
    request.context.opaque = bootstrap_opaque;
    const std::size_t at = out.size();
    out.resize(at + protocol::encoded_size(request));
    protocol::encode(request, out.data() + at);
}

}  // namespace

Bootstrap::Progress Bootstrap::start(std::string& out) {
    if (settings_.username.empty()) {
        awaited_ = Opcode::noop;
        append_request(out, protocol::NoopRequest{});
    } else {
        awaited_ = Opcode::sasl_list_mechs;
        append_request(out, protocol::SaslListMechsRequest{});
    }
    return Progress::more;
}

Bootstrap::Progress Bootstrap::on_frame(const protocol::Frame& frame, std::string& out) {
    if (frame.opaque != bootstrap_opaque || frame.opcode != awaited_) {
        return fail(errc::protocol_error, "the server answers what it was not asked");
    }
    switch (awaited_) {
        case Opcode::noop:
            if (frame.status() == Status::success) return Progress::done;
            if (frame.status() == Status::auth_error || frame.status() == Status::eaccess) {
                return fail(errc::authentication_failure, "the server wants a username and password");
            }
            return fail(errc::protocol_error, fmt::format("NOOP is answered with status 0x{:02x}", frame.specific));
        case Opcode::sasl_list_mechs:
            return on_mechanisms(frame, out);
        default:
            return on_sasl(frame, out);
    }
}

Bootstrap::Progress Bootstrap::on_mechanisms(const protocol::Frame& frame, std::string& out) {
    if (frame.status() == Status::unknown_command) {
        return fail(errc::authentication_failure, "the server does not authenticate; connect without a username");
    }
    if (frame.status() != Status::success) {
        return fail(errc::authentication_failure,
                    fmt::format("the server does not tell its SASL mechanisms: status 0x{:02x}", frame.specific));
    }
    const std::string_view chosen =
        protocol::choose_mechanism(frame.value, {.allow_plain = settings_.allow_plain, .tls = false});
    if (chosen.empty()) {
        const bool only_plain = !protocol::choose_mechanism(frame.value, {.allow_plain = true, .tls = false}).empty();
        return fail(errc::authentication_failure,
                    only_plain ? std::string("the server takes passwords only in the clear; set allow_plain to send it")
                               : fmt::format("no SASL mechanism in common; the server lists \"{}\"",
                                             frame.value.substr(0, 200)));
    }
    mechanism_ = chosen;
    sasl_.emplace(mechanism_, settings_.username, settings_.password, nonce_);
    SaslResult first = sasl_->start();
    if (first.kind == SaslResult::Kind::failed) return fail(errc::authentication_failure, std::move(first.data));
    awaited_ = Opcode::sasl_auth;
    append_request(out, protocol::SaslAuthRequest{.mechanism = mechanism_, .data = first.data});
    return Progress::more;
}

Bootstrap::Progress Bootstrap::on_sasl(const protocol::Frame& frame, std::string& out) {
    SaslResult next = sasl_->step(frame.status(), frame.value);
    switch (next.kind) {
        case SaslResult::Kind::done:
            return Progress::done;
        case SaslResult::Kind::send:
            awaited_ = Opcode::sasl_step;
            append_request(out, protocol::SaslStepRequest{.mechanism = mechanism_, .data = next.data});
            return Progress::more;
        case SaslResult::Kind::failed:
            break;
    }
    return fail(errc::authentication_failure,
                fmt::format("user \"{}\" by {}: {}", settings_.username, mechanism_, next.data));
}

Bootstrap::Progress Bootstrap::fail(errc error, std::string reason) {
    error_ = error;
    reason_ = std::move(reason);
    return Progress::failed;
}

}  // namespace chaise::detail
