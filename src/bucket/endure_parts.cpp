#include "bucket/endure_parts.hpp"

#include "bucket/core.hpp"
#include "protocol/vbucket_requests.hpp"

#include <fmt/format.h>

#include <utility>

namespace chaise::detail {

namespace {

/// It may be otherwise next time.
bool passing(const Error& error) noexcept {
    return error.is(ErrorKind::transient) || error.is(ErrorKind::network) || error == errc::request_canceled ||
           error == errc::unknown_status;
}

}  // namespace

void EndureParts::begin(Core& core, Slot& whole, Endure run) {
    core_ = &core;
    whole_ = &whole;
    reuse_places();
    run_.emplace(std::move(run));
    std::optional<std::uint32_t> collection;
    if (core.router().prefixed()) collection = whole.collection->id();
    run_->begin(*core.router().map(), collection);
}

void EndureParts::begin_polling(Core& core, Slot& whole, Endure run) {
    begin(core, whole, std::move(run));
    if (!run_->done()) sweep();
}

void EndureParts::join_polling(Core& core, Slot& whole, const Endure::Options& options, Endure::Key key) {
    if (!run_) begin(core, whole, Endure(options));
    run_->join(std::move(key), *core.router().map(), options.deadline);
    if (gathering_) return;
    Slot& part = core_->add_part(*whole_, OperationKind::pause, protocol::Opcode::noop);
    gathering_ = Core::place_of(part);
    core_->pause(part, Duration{0});
}

void EndureParts::others_may_join(bool yes) noexcept {
    others_ = yes;
    if (!yes && run_ && run_->done()) enough();
}

void EndureParts::sweep() {
    ask();
    const TimePoint now = core_->now();
    const TimePoint due = run_->next(now);
    Slot& part = core_->add_part(*whole_, OperationKind::pause, protocol::Opcode::noop);
    next_ = Core::place_of(part);
    core_->pause(part, due - now);
}

void EndureParts::resume(std::size_t n, bool late) {
    if (gathering_ == n) {
        gathering_.reset();
    } else {
        next_.reset();
    }
    if (late || run_->done()) return;
    if (next_) return ask();  // the others' next sweep is theirs, too
    sweep();
}

void EndureParts::ask() {
    Router& router = core_->router();
    const TimePoint now = core_->now();
    const Duration left = run_->deadline() - now;
    for (Endure::Packet& packet : run_->ask(*router.map(), now)) {
        Session* const node = router.node(packet.server);
        if (!node) {
            run_->failed(packet, "a node cannot be reached through this network");
            continue;
        }
        Slot& part = packet.by_seqno
                         ? core_->add_part(*whole_, OperationKind::observe_seqno, protocol::Opcode::observe_seqno)
                         : core_->add_part(*whole_, OperationKind::observe_some, protocol::Opcode::observe);
        part.idempotent = true;
        part.copy = this_node;
        if (packet.by_seqno) {
            protocol::ObserveSeqnoRequest request{.vbucket_uuid = packet.uuid};
            request.context.vbucket = packet.vbucket;
            core_->submit_by({*node, 0}, part, left, {}, request);
        } else {
            const std::vector<protocol::ObserveKey> entries = run_->entries(packet);
            protocol::ObserveRequest request{.keys = entries};
            if (router.prefixed()) part.body_prefix = static_cast<std::uint8_t>(whole_->collection->prefix().size());
            core_->submit_by({*node, 0}, part, left, {}, request);
        }
        const std::size_t n = Core::place_of(part);
        if (n >= asked_.size()) asked_.resize(n + 1);
        asked_[n] = std::move(packet);
    }
}

bool EndureParts::polled(std::size_t n, OperationKind kind, void* result, const Error* error) {
    if (kind != OperationKind::pause && kind != OperationKind::observe_some && kind != OperationKind::observe_seqno) {
        return false;
    }
    if (error && *error == errc::cancelled) return true;  // and so is the whole
    const bool late = core_->now() >= run_->deadline();
    if (error && *error == errc::shutdown) {
        run_->end(errc::shutdown, error->context().message);
    } else if (kind == OperationKind::pause) {
        resume(n, late);
    } else {
        const Endure::Packet packet = std::move(asked_[n]);  // asking others may move it
        take(packet, kind, result, error);
    }
    if (late) run_->expire();
    if (run_->done() && !others_) enough();
    return true;
}

void EndureParts::take(const Endure::Packet& packet, OperationKind kind, void* result, const Error* error) {
    Router& router = core_->router();
    const TimePoint now = core_->now();
    if (result) {
        // What it says of a copy is of the map in force.
        run_->follow(*router.map());
        if (kind == OperationKind::observe_some) {
            static_cast<void>(run_->answered(packet, *static_cast<std::string_view*>(result), now));
        } else {
            static_cast<void>(run_->answered(packet, *static_cast<protocol::ObserveSeqnoResponse*>(result), now));
        }
        return;
    }
    if (packet.by_seqno && *error == errc::document_not_found) {
        run_->follow(*router.map());
        run_->unknown_history(packet);
        if (run_->wants_news()) router.look_for_news();
        return;
    }
    const std::string trouble = error->context().status
                                    ? fmt::format("{} said: {}", error->context().node,
                                                  error_category().message(static_cast<int>(error->code())))
                                    : fmt::format("no answer of {}: {}", error->context().node,
                                                  error_category().message(static_cast<int>(error->code())));
    if (!passing(*error)) return run_->refused(packet, error->code(), trouble);
    run_->failed(packet, trouble);
    // To where the copies are now; if that is not known yet, at the next sweep.
    const bool moved = *error == errc::not_my_vbucket || *error == errc::request_canceled;
    if (moved && !core_->closed() && now < run_->deadline() && run_->follow(*router.map())) ask();
}

Error EndureParts::error_of(const Endure::Key& key) const {
    const errc code = key.outcome.value_or(errc::cancelled);
    ErrorContext context = core_->make_error_of_whole(*whole_, code, key.why, key.name).context();
    context.cas = key.last_cas();
    context.mutation_token = key.token;
    context.persisted_on = key.persisted_on();
    context.replicated_on = key.replicated_on();
    return Error(code, std::move(context));
}

}  // namespace chaise::detail
