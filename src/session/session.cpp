#include "session/session.hpp"

#include "bucket/core.hpp"
#include "operation/canary.hpp"
#include "operation/probe.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <type_traits>
#include <utility>

namespace chaise::detail {

namespace {

/// Printable, without commas, from 256 random bits.
std::string make_nonce(IOPS& iops) {
    std::string nonce;
    for (int i = 0; i < 4; ++i) nonce += fmt::format("{:016x}", iops.random());
    return nonce;
}

}  // namespace

Session::Session(Core& core, protocol::Endpoint endpoint, bool seed)
    : Line(protocol::authority(endpoint), core.settings().max_queue_operations, core.settings().max_queue_bytes,
           &core.byte_budget()),
      core_(core),
      endpoint_(std::move(endpoint)),
      seed_(seed),
      receive_(core.buffers()),
      timer_(core.iops().timer_event_factory()),
      health_timer_(core.iops().timer_event_factory()) {
    health_timer_->set_handler([](void* session, int) { static_cast<Session*>(session)->on_health_timer(); }, this);
    // Servers that have none are old.
    set_state(false, core.settings().connection.scheme != Scheme::memcached);
    timer_->set_handler([](void* session, int) { static_cast<Session*>(session)->on_timer(); }, this);
}

Session::~Session() { close(); }

// ---- connecting -------------------------------------------------------------------------------------------------

void Session::start() {
    if (const Duration wait = core_.router().attempts().admit(name(), core_.now()); wait > Duration::zero()) {
        CHAISE_PROBE(attempt_held_back);
        state_ = State::backoff;
        return core_.iops().schedule(*timer_, std::chrono::ceil<std::chrono::microseconds>(wait));
    }
    state_ = State::resolving;
    const auto limit = std::chrono::ceil<std::chrono::microseconds>(core_.settings().connect_timeout);
    core_.iops().schedule(*timer_, limit);
    pending_ = core_.iops().transport_factory().resolve(endpoint_.host, *this);
}

void Session::on_resolve(std::vector<std::string> addresses, std::error_code error) {
    Core::Dispatch dispatch(core_);
    pending_.reset();
    if (error || addresses.empty()) {
        return attempt_failed(errc::host_not_found, fmt::format("cannot resolve \"{}\": {}", endpoint_.host,
                                                                error ? error.message() : "no address"));
    }
    addresses_ = std::move(addresses);
    next_address_ = 0;
    connect_next();
}

void Session::connect_next() {
    state_ = State::connecting;
    pending_ = core_.iops().transport_factory().connect({addresses_[next_address_++], endpoint_.port}, *this);
}

void Session::on_connect(std::unique_ptr<Transport> transport, std::error_code error) {
    Core::Dispatch dispatch(core_);
    pending_.reset();
    if (error) {
        if (next_address_ < addresses_.size()) {
            CHAISE_PROBE(second_address_tried);
            return connect_next();
        }
        return attempt_failed(errc::not_connected, fmt::format("cannot connect: {}", error.message()));
    }
    transport_ = std::move(transport);
    transport_->set_handler(*this);
    state_ = State::bootstrapping;
    start_bootstrap();
    core_.mark_dirty(*this);
}

void Session::start_bootstrap() {
    bootstrap_out_.clear();
    std::string nonce = make_nonce(core_.iops());
    if (core_.settings().connection.scheme == Scheme::memcached) {
        ++connection_id_;
        auto& handshake = bootstrap_.emplace<Bootstrap>(core_.settings(), std::move(nonce));
        return bootstrap_progress(handshake, handshake.start(bootstrap_out_));
    }
    connection_id_ = core_.iops().random();
    auto& handshake = bootstrap_.emplace<CouchbaseBootstrap>(
        core_.settings(), std::move(nonce),
        CouchbaseBootstrap::Identity{.client_id = core_.router().client_id(),
                                     .connection_id = connection_id_,
                                     .known_map = seed_ ? std::nullopt : core_.router().revision(),
                                     .maps_elsewhere = core_.router().maps_by_http(),
                                     .keys = &core_.router().scram_keys()});
    bootstrap_progress(handshake, handshake.start(bootstrap_out_));
}

void Session::on_bootstrap_frame(const protocol::Frame& frame) {
    if (auto* plain = std::get_if<Bootstrap>(&bootstrap_)) {
        bootstrap_progress(*plain, plain->on_frame(frame, bootstrap_out_));
    } else if (auto* couchbase = std::get_if<CouchbaseBootstrap>(&bootstrap_)) {
        bootstrap_progress(*couchbase, couchbase->on_frame(frame, bootstrap_out_));
    }
}

template <class Handshake>
void Session::bootstrap_progress(Handshake& handshake, typename Handshake::Progress progress) {
    switch (progress) {
        case Handshake::Progress::more:
            return;  // what it says is written by flush()
        case Handshake::Progress::done:
            return become_ready();
        case Handshake::Progress::failed: {
            const errc code = handshake.error();
            return attempt_failed(code, std::string(handshake.reason()));
        }
    }
}

void Session::become_ready() {
    if constexpr (planted != canary::timer_not_cancelled) stop_timer();
    std::string config;
    if (auto* couchbase = std::get_if<CouchbaseBootstrap>(&bootstrap_)) {
        features_ = couchbase->features();
        config = couchbase->config();
        gives_maps_ = couchbase->gives_maps();
        error_map_ = couchbase->error_map();
    }
    bootstrap_.emplace<std::monostate>();
    state_ = State::ready;
    direct_ = true;
    set_prefixed(granted(protocol::Feature::collections));
    set_state(true, prefixed());
    ready_since_ = last_received_ = core_.now();
    last_failure_.clear();
    pipeline_.restart();
    for (Slot* slot = pipeline_.first(); slot;) {
        Slot* next = slot->next;
        static_cast<void>(core_.adapt(*slot, *this));  // what was encoded for the connection before this
        slot = next;
    }
    send_log_.clear();
    expect_answer();
    core_.mark_dirty(*this);
    core_.router().session_ready(*this, config);
}

/// The node has collections or has none, whatever was expected of it: nothing of what waits has been sent to it yet.
void Session::set_prefixed(bool prefixed) {
    if (prefixed && this->prefixed()) return;
    Slot* slot = pipeline_.first();
    for (std::size_t left = pipeline_.size(); left != 0; --left) {
        Slot* next = slot->next;
        const Collection* const collection = Core::prefixable(*slot) ? slot->collection : nullptr;
        if (collection && collection->named() && !prefixed) {
            core_.fail_later(*slot, core_.make_error(*slot, errc::unsupported_operation,
                                                     "node " + name() + " has no collections", false));
        } else if (prefixed != this->prefixed() &&
                   !pipeline_.move(*slot, pipeline_, Core::prefix_size(*slot),
                                   collection && prefixed ? collection->prefix() : std::string_view())) {
            core_.fail_later(*slot,
                             core_.make_error(*slot, errc::queue_full, "there is no room to encode it anew", false));
        }
        slot = next;
    }
    set_state(ready(), prefixed);
}

void Session::attempt_failed(errc code, std::string reason) {
    drop_connection();
    last_failure_ = std::move(reason);
    if (seed_) {
        state_ = State::idle;
    } else {
        retry_later();
    }
    core_.router().session_failed(*this, code, last_failure_);
}

void Session::retry_later() {
    state_ = State::backoff;
    const Duration delay = backoff_.next(core_.iops().random());
    core_.iops().schedule(*timer_, std::chrono::ceil<std::chrono::microseconds>(delay));
}

void Session::retry_after(Duration delay) {
    if (state_ != State::backoff) return;
    core_.iops().schedule(*timer_, std::chrono::ceil<std::chrono::microseconds>(delay));
}

void Session::on_timer() {
    Core::Dispatch dispatch(core_);
    switch (state_) {
        case State::backoff:
            return start();
        case State::resolving:
            return attempt_failed(errc::timeout_before_send,
                                  fmt::format("cannot resolve \"{}\" within connect_timeout", endpoint_.host));
        case State::connecting:
            CHAISE_PROBE(connect_timed_out);
            return attempt_failed(errc::timeout_before_send, "no connection within connect_timeout");
        case State::bootstrapping:
            CHAISE_PROBE(bootstrap_timed_out);
            return attempt_failed(errc::timeout_before_send,
                                  "connected, but the server did not answer within connect_timeout");
        case State::ready:  // draining
            // While somebody waits for an answer it may come; to those that nobody waits for it need not.
            for (const Slot* slot = pipeline_.first(); slot; slot = slot->next) {
                if (wanted(*slot)) return drain();
            }
            return connection_lost("the node left the cluster");
        default:
            return;
    }
}

void Session::stop_timer() noexcept {
    if (timer_->active()) core_.iops().cancel(*timer_);
}

void Session::close() noexcept {
    if (state_ == State::closed) return;
    state_ = State::closed;
    drop_connection();
    core_.iops().cleanup(*timer_);
    core_.iops().cleanup(*health_timer_);
}

void Session::drop_connection() noexcept {
    stop_timer();
    stop_health_timer();
    pending_.reset();
    transport_.reset();
    bootstrap_.emplace<std::monostate>();
    direct_ = false;
    set_state(false, prefixed());
    receive_.reset();
    if (leftover_) core_.forget(*this);
    read_armed_ = write_blocked_ = leftover_ = false;
    wanted_frame_ = protocol::header_size;
}

Session::Report Session::report() const {
    Report out;
    switch (state_) {
        case State::idle:
        case State::backoff:
        case State::closed:
            return out;
        case State::resolving:
        case State::connecting:
        case State::bootstrapping:
            out.state = EndpointState::connecting;
            break;
        case State::ready:
            out.state = draining_ ? EndpointState::disconnecting : EndpointState::connected;
            out.last_received = last_received_;
            break;
    }
    if (transport_) {
        out.id = fmt::format("{:016x}/{:016x}", core_.router().client_id(), connection_id_);
        out.local = transport_->local_endpoint().to_string();
    }
    return out;
}

// ---- a connection lost --------------------------------------------------------------------------------------------

void Session::drain() {
    draining_ = true;
    if (state_ == State::ready) {
        core_.iops().schedule(*timer_,
                              std::chrono::ceil<std::chrono::microseconds>(core_.settings().operation_timeout));
    }
}

void Session::connection_lost(std::string_view reason, errc code) {
    if (state_ == State::bootstrapping) {
        CHAISE_PROBE(loss_while_bootstrapping);
        const auto* couchbase = std::get_if<CouchbaseBootstrap>(&bootstrap_);
        if (couchbase && !couchbase->greeted()) code = errc::protocol_error;
        return attempt_failed(code,
                              couchbase ? couchbase->reason_of_loss(reason, receive_.unparsed()) : std::string(reason));
    }
    if (state_ != State::ready) return;
    backoff_.connection_held(core_.now() - ready_since_);
    drop_connection();
    last_failure_ = code == errc::protocol_error ? "protocol error: " : "";
    last_failure_ += reason;
    // What had been sent may have been executed: only what does no harm twice goes again.
    for (Slot* slot = pipeline_.first(); slot && pipeline_.begun(*slot);) {
        Slot* next = slot->next;
        const bool sent = pipeline_.sent(*slot);
        core_.free_accumulator(*slot);
        if (!wanted(*slot)) {
            pipeline_.remove(*slot);
            unowned(*slot);
        } else if (sent && !core_.goes_again(*slot)) {
            CHAISE_PROBE(sent_write_lost);
            Error error = core_.make_error(*slot, errc::connection_lost_after_send, last_failure_, true);
            pipeline_.remove(*slot);
            core_.fail_later(*slot, std::move(error));
        } else {
            CHAISE_PROBE(sent_read_repeated);
            Core::count_retry(*slot);
            if (draining_) core_.router().reroute(*slot);
        }
        slot = next;
    }
    if (draining_) {
        CHAISE_PROBE(lost_while_draining);
        return close();
    }
    pipeline_.restart();
    retry_later();
    core_.router().session_lost(*this);
}

// ---- bytes out -----------------------------------------------------------------------------------------------------

void Session::flush() {
    if (write_blocked_ || !transport_) return;
    if (state_ == State::bootstrapping) {
        if (bootstrap_out_.empty()) return;
        const ConstBuffer all{bootstrap_out_.data(), bootstrap_out_.size()};
        const WriteResult result = transport_->write({&all, 1});
        if (result.error) return connection_lost(result.error.message());
        bootstrap_out_.erase(0, result.bytes);
        if (bootstrap_out_.empty()) return;
        CHAISE_PROBE(bootstrap_cut_by_a_full_pipe);
        write_blocked_ = true;
        return transport_->wait_writable();
    }
    std::array<ConstBuffer, 64> buffers;
    while (pipeline_.has_unsent()) {
        const std::size_t count = pipeline_.gather(buffers);
        const WriteResult result = transport_->write({buffers.data(), count});
        pipeline_.written(result.bytes);
        last_sent_ = core_.now();
        send_log_.note(pipeline_.begun_sequence(), last_sent_);
        if (!expecting_) [[unlikely]]
            expect_answer();
        if (result.error) return connection_lost(result.error.message());
        if (result.bytes < pipeline_.gathered_bytes()) {
            CHAISE_PROBE(request_cut_by_a_full_pipe);
            write_blocked_ = true;
            blocked_since_ = core_.now();
            return transport_->wait_writable();
        }
    }
}

void Session::on_writable() {
    Core::Dispatch dispatch(core_);
    write_blocked_ = false;
    if constexpr (planted != canary::wake_up_lost) core_.mark_dirty(*this);
}

// ---- bytes in ------------------------------------------------------------------------------------------------------

void Session::arm_read() {
    if (read_armed_ || leftover_ || !transport_) return;
    read_armed_ = true;
    transport_->read(receive_.prepare(wanted_frame_));
}

void Session::on_read(std::size_t bytes, std::error_code error) {
    Core::Dispatch dispatch(core_);
    read_armed_ = false;
    if (error) return connection_lost(error.message());
    if (bytes == 0) return connection_lost("the server closed the connection");
    last_received_ = core_.now();
    receive_.received(bytes);
    core_.mark_dirty(*this);
    parse();
}

void Session::resume() {
    if (!leftover_) return;
    leftover_ = false;
    core_.mark_dirty(*this);
    parse();
}

void Session::close_quiet() {
    Slot* const last = pipeline_.last();
    if (!last || !Pipeline::quiet(*last) || pipeline_.sent(*last)) return;
    // One alone is answered with fewer bytes than what would close it.
    const bool alone = !last->prev || !Pipeline::quiet(*last->prev);
    const bool closed = !alone && core_.ask_for_nothing(*this, last->deadline - last->started);
    if (!closed && !pipeline_.begun(*last)) Pipeline::speak(*last);
}

/// What is answered proves that quiet gets before it have missed. False: a consumer has ended the connection.
bool Session::settle_quiet(const protocol::Frame& frame) {
    const Slot* const answered = core_.find(frame.opaque);
    if (!answered || answered->line != this || (answered->owners & owned_by_wire) == 0 || !pipeline_.sent(*answered) ||
        static_cast<std::uint8_t>(frame.opcode) != answered->opcode)
        return true;
    const std::uint64_t sequence = answered->sequence;
    for (Slot* slot = pipeline_.first(); slot && slot->sequence < sequence;) {
        if (!Pipeline::quiet(*slot)) {
            slot = slot->next;
            continue;
        }
        try {
            core_.missed(*slot);
        } catch (...) {
            core_.caught(std::current_exception());  // the frame is still to be looked at
        }
        if (state_ != State::ready) return false;
        slot = pipeline_.first();  // the consumer may have done anything
    }
    if (sequence >= pipeline_.quiet_until()) direct_ = true;
    return true;
}

/// Part of the loop below, for speed.
[[gnu::always_inline]] inline void Session::on_frame(const protocol::Frame& frame) {
    using protocol::Magic;
    if (frame.magic != Magic::client_response && frame.magic != Magic::alt_client_response) [[unlikely]] {
        if (frame.magic == Magic::server_request) return on_server_request(frame);
        return connection_lost("the server sent a request", errc::protocol_error);
    }
    if (!direct_) [[unlikely]] {
        if (state_ != State::ready) return on_bootstrap_frame(frame);
        if (!settle_quiet(frame)) return;
    }
    Slot* slot = core_.find(frame.opaque);
    if (!slot || slot->line != this || (slot->owners & owned_by_wire) == 0 || !pipeline_.sent(*slot)) [[unlikely]] {
        CHAISE_PROBE(stray_response);
        return;  // nobody's: skipped
    }
    if (static_cast<std::uint8_t>(frame.opcode) != slot->opcode) [[unlikely]] {
        CHAISE_PROBE(other_opcode);
        return connection_lost("the response is to another operation than the request", errc::protocol_error);
    }
    if (!wanted(*slot)) CHAISE_PROBE(late_response_skipped);
    core_.respond(*slot, frame, receive_.buffer());
}

/// No answer is due (protocol.md 1.7).
void Session::on_server_request(const protocol::Frame& frame) {
    using protocol::ServerOpcode;
    if (state_ == State::ready &&
        static_cast<ServerOpcode>(frame.opcode) == ServerOpcode::clustermap_change_notification) {
        core_.router().on_push(*this, frame);
    }
}

void Session::parse() {
    // A consumer may close the bucket, or find the connection lost: then there is nothing left to parse.
    protocol::Frame frame;
    const Buffer::AtWork at_work(receive_.buffer());
    try {
        while (transport_) {
            const protocol::ParseResult parsed = protocol::parse_frame(receive_.unparsed(), frame);
            if (parsed.status != protocol::ParseStatus::complete) [[unlikely]] {
                if (parsed.status == protocol::ParseStatus::error) {
                    return connection_lost(protocol::name(parsed.error), errc::protocol_error);
                }
                wanted_frame_ = parsed.size;
                return;
            }
            receive_.consume(parsed.size);
            on_frame(frame);
        }
    } catch (...) {
        core_.caught(std::current_exception());
        if (transport_) {
            leftover_ = true;
            core_.interrupted(*this);
        }
    }
}

}  // namespace chaise::detail
