#include "bucket/core.hpp"
#include "bucket/parts.hpp"
#include "operation/probe.hpp"
#include "rows/row_book.hpp"
#include "rows/row_stream.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

namespace chaise::detail {

namespace {

/// Another node is asked for the map when the one asked has been silent for so long.
constexpr Duration config_patience = std::chrono::milliseconds(500);

void log_unobserved(const Error& error) {
    const std::string line = "chaise: nobody heard of an error: " + error.message() + "\n";
    std::fputs(line.c_str(), stderr);
}

}  // namespace

Core::Core(std::unique_ptr<IOPS> iops, Settings settings)
    : iops_(std::move(iops)),
      settings_(std::move(settings)),
      pool_(settings_.max_bucket_operations),
      byte_budget_{.most = settings_.max_bucket_bytes},
      snappy_(settings_, buffers_),
      gate_({}, 0, 0),
      late_("_default", "_default", 0, 0),
      collections_(*this),
      router_(*this),
      resting_({}, settings_.max_queue_operations, settings_.max_queue_bytes, &byte_budget_),
      turn_(iops_->timer_event_factory()),
      deadline_timer_(iops_->timer_event_factory()),
      retry_timer_(iops_->timer_event_factory()),
      on_unobserved_(log_unobserved) {
    late_.detour_ = &gate_;
    byte_budget_.core = this;
    byte_budget_.release_idle = [](Core& core) noexcept { core.release_idle_blocks(); };
    turn_->set_handler([](void* core, int) { static_cast<Core*>(core)->on_turn(); }, this);
    deadline_timer_->set_handler([](void* core, int) { static_cast<Core*>(core)->on_deadline(); }, this);
    retry_timer_->set_handler([](void* core, int) { static_cast<Core*>(core)->on_retry_timer(); }, this);
    iops_->set_loop_observer(this);
}

Core::~Core() {
    if (!loop_gone_) {
        iops_->set_loop_observer(nullptr);
        iops_->cleanup(*turn_);
        iops_->cleanup(*deadline_timer_);
        iops_->cleanup(*retry_timer_);
    }
}

HttpClient* Core::http() {
    if (!http_) http_ = iops_->make_http_client();
    return http_.get();
}

RowBook& Core::row_book() {
    if (!row_book_) row_book_ = std::make_unique<RowBook>();
    return *row_book_;
}

void Core::start() {
    starting_ = true;
    request_turn();
}

void Core::close() noexcept {
    if (closed_) return;
    closed_ = true;
    draining_ = false;
    router_.close();
    connecting_failed(errc::shutdown, "the bucket was closed", {});
    router_.fail_all(errc::shutdown, "the bucket was closed");
    fail_all(resting_, errc::shutdown, "the bucket was closed");
    for (Slot* slot : std::exchange(pausing_, {})) {
        slot->sequence = 0;
        fail_later(*slot, make_error(*slot, errc::shutdown, "the bucket was closed", false));
    }
    collections_.close();
    collections_.fail_all(errc::shutdown, "the bucket was closed");
    if (deadline_timer_->active()) iops_->cancel(*deadline_timer_);
    while (Slot* waiting = places_head_) {
        fail_later(*waiting, make_error(*waiting, errc::shutdown, "the bucket was closed", false));
    }
    for (Slot* waiting : std::exchange(closing_, {})) {  // after all others
        deadlines_.remove(*waiting);
        enqueue(*waiting);
    }
    if (retry_timer_->active()) iops_->cancel(*retry_timer_);
    if (row_book_) {
        for (RowStream* stream : row_book_->streams) stream->shut_down();
    }
}

// ---- starting operations ----------------------------------------------------------------------------------------

void Core::submit_connect(Slot& slot, std::optional<Duration> timeout) {
    if (refused(slot, {})) return;
    if (router_.opened()) return enqueue(slot);
    connecting_.push_back(&slot);
    add_deadline(slot, timeout.value_or(settings_.connect_timeout));
    if (!dispatching_) clock_read_ = false;  // no turn need follow that would read it anew
}

void Core::reject(Slot& slot, errc code, std::string_view key, std::string message) {
    Error error = make_error(slot, code, std::move(message), false);
    ErrorContext context = error.context();
    context.key = key;
    fail_later(slot, Error(code, std::move(context)));
}

void Core::reject_full(Slot& slot, std::string_view key) {
    CHAISE_PROBE(queue_was_full);
    reject(slot, errc::queue_full, key, "the node's queue is full");
}

std::optional<std::uint32_t> Core::wire_expiry(Expiry expiry, std::string& why) {
    constexpr std::int64_t day = 24 * 60 * 60;
    constexpr std::int64_t relative_limit = 30 * day;  // protocol.md 1.8: more is taken for a date
    constexpr std::int64_t most = 0xfffffffe;          // 0xffffffff has a meaning of its own for counters
    switch (expiry.kind()) {
        case Expiry::Kind::never:
            return 0;
        case Expiry::Kind::after: {
            const std::int64_t seconds = expiry.seconds();
            if (seconds <= 0 || seconds > 50 * 365 * day) {
                why = "expiry must be more than 0 and at most 50 years (Expiry{} is never)";
                return std::nullopt;
            }
            if (seconds < relative_limit) return static_cast<std::uint32_t>(seconds);
            const auto now = std::chrono::floor<std::chrono::seconds>(iops_->wall_time().time_since_epoch()).count();
            if (now + seconds > most) {
                why = "expiry lies after the year 2106";
                return std::nullopt;
            }
            return static_cast<std::uint32_t>(now + seconds);
        }
        case Expiry::Kind::at:
            if (expiry.seconds() <= relative_limit || expiry.seconds() > most) {
                why = "expiry must lie between February 1970 and the year 2106";
                return std::nullopt;
            }
            return static_cast<std::uint32_t>(expiry.seconds());
    }
    return std::nullopt;
}

std::uint32_t Core::begin_durability(CopyCount persist_to, CopyCount replicate_to, const DurabilityOptions& options) {
    durability_.push_back({++last_durability_, persist_to, replicate_to, options.timeout, options.interval});
    const auto set = [this] {
        const DurabilityDefault& newest = durability_.back();
        return newest.persist_to != CopyCount() || newest.replicate_to != CopyCount();
    };
    durable_by_default_ = set() ? 1 : 0;
    return last_durability_;
}

void Core::end_durability(std::uint32_t id) noexcept {
    std::erase_if(durability_, [id](const DurabilityDefault& one) { return one.id == id; });
    durable_by_default_ = 0;
    if (durability_.empty()) return;
    const DurabilityDefault& newest = durability_.back();
    durable_by_default_ = newest.persist_to != CopyCount() || newest.replicate_to != CopyCount() ? 1 : 0;
}

// ---- turns and time ---------------------------------------------------------------------------------------------

void Core::request_turn() {
    if (turn_requested_ || loop_gone_) return;
    turn_requested_ = true;
    iops_->defer(*turn_);
}

void Core::leave() {
    // What goes to several nodes waits until the others that were heard of in this turn of the loop have had their
    // dispatch: one write to a node, not one for each dispatch.
    if (attending_) [[unlikely]]
        attend();
    const bool turning = std::exchange(turning_, false);
    if (dirty_.size() > 1 && !turning && several_write()) {
        request_turn();
    } else {
        flush();
    }
    dispatching_ = false;
    clock_read_ = false;
    if (!exceptions_.empty()) [[unlikely]] {
        for (std::exception_ptr& exception : std::exchange(exceptions_, {})) iops_->on_exception(std::move(exception));
    }
    maybe_delete();
}

bool Core::several_write() const noexcept {
    const auto writes = [](Session* session) { return session->pipeline().has_unsent(); };
    return std::count_if(dirty_.begin(), dirty_.end(), writes) > 1;
}

void Core::flush() {
    // A flush may find the connection lost; what that leads to waits for the next turn.
    for (std::size_t i = 0; i < dirty_.size(); ++i) {
        dirty_[i]->dirty = false;
        dirty_[i]->flush();
    }
    for (Session* session : dirty_) session->arm_read();
    dirty_.clear();
    router_.bury();
}

void Core::on_turn() {
    turn_requested_ = false;
    turning_ = true;
    Dispatch dispatch(*this);
    if (std::exchange(starting_, false) && !closed_) [[unlikely]] {
        iops_->transport_factory().set_stream_options(
            {.keepalive = std::chrono::duration_cast<std::chrono::seconds>(settings_.tcp_keepalive),
             .user_timeout = std::chrono::ceil<std::chrono::milliseconds>(settings_.tcp_user_timeout)});
        router_.start();
    }
    if (std::exchange(parts_due_, false)) start_all_parts();
    // What is queued from here on waits for the turn after this one.
    Slot* slot = std::exchange(queue_head_, nullptr);
    queue_tail_ = nullptr;
    while (slot) {
        Slot* next = slot->queue_next;
        try {
            deliver_queued(*slot);
        } catch (...) {
            caught(std::current_exception());
            if (next) {
                Slot* last = next;
                while (last->queue_next) last = last->queue_next;
                last->queue_next = queue_head_;
                if (!queue_tail_) queue_tail_ = last;
                queue_head_ = next;
            }
            break;
        }
        slot = next;
    }
    while (!interrupted_.empty() && exceptions_.empty()) {
        Session* session = interrupted_.back();
        interrupted_.pop_back();
        session->resume();
    }
    if (queue_head_ || !exceptions_.empty() || !interrupted_.empty()) request_turn();  // what one held up goes on
}

void Core::on_deadline() {
    Dispatch dispatch(*this);
    const TimePoint time = now();
    Slot* slot = deadlines_.first();
    // No more than there are now: a consumer may start another operation that has no time left, again and again.
    std::size_t most = pool_.in_use();
    try {
        for (; slot && slot->deadline <= time && most != 0; slot = deadlines_.first(), --most) expire(*slot);
    } catch (...) {
        caught(std::current_exception());
        slot = deadlines_.first();
    }
    // A consumer may have armed it already, for its own operation, which expires later.
    if (slot && (!deadline_timer_->active() || slot->deadline < deadline_armed_for_)) arm_deadline(slot->deadline);
}

void Core::arm_deadline(TimePoint at) {
    deadline_armed_for_ = at;
    const auto delay = std::chrono::ceil<std::chrono::microseconds>(at - now());
    iops_->schedule(*deadline_timer_, std::max(delay, std::chrono::microseconds{0}));
}

void Core::expire(Slot& slot) {
    if (slot.kind == OperationKind::pause) return end_pause(slot);
    if (slot.kind == OperationKind::close) return close();  // its time to wait for others is over
    Line* line = slot.line;                                 // null: connect(), place()
    // Of a request that was begun the rest follows, and the server will execute it.
    const bool begun = line && line->pipeline().begun(slot);
    std::string message;
    if (begun) CHAISE_PROBE(expired_after_sent);
    if (!begun) CHAISE_PROBE(expired_before_sent);
    if (slot.kind == OperationKind::place) {
        message = "no place has come free";
    } else if (line == &resting_) {
        CHAISE_PROBE(expired_resting);
        message = "waiting to be tried again";
    } else if (!begun && !(line && line->ready())) {
        const bool whole = (slot.owners & owned_by_parts) != 0;
        const bool for_id =
            slot.collection && (line ? line == &slot.collection->line() : whole && waits_for_collection(slot));
        message = for_id ? collections_.why_waiting(*slot.collection) : router_.why_waiting(line);
    }
    if (slot.tried_again) {
        message += std::string(message.empty() ? "" : "; ") +
                   "last answer: " + std::string(protocol::name(static_cast<protocol::Status>(slot.last_status)));
    }
    Error error =
        make_error(slot, begun ? errc::timeout_after_send : errc::timeout_before_send, std::move(message), begun);
    if (const Router::Failure& worst = router_.worst();
        slot.kind == OperationKind::connect && worst.code != errc::success) {
        // Some seeds have not answered yet; what the others said tells more.
        ErrorContext context = make_error(slot, worst.code, worst.message, false).context();
        context.node = worst.node;
        error = Error(worst.code, std::move(context));
    }
    deadlines_.remove(slot);
    withdraw(slot);
    deliver_error(slot, error);
    if (line && line->ready()) static_cast<Session&>(*line).check_silence(now());
}

// ---- connecting, and what the engine itself asks -----------------------------------------------------------------

void Core::connecting_done() {
    // Next turn, so that a consumer may do what it likes.
    std::erase_if(connecting_, [this](Slot* slot) {
        if (slot->kind != OperationKind::connect) return false;
        deadlines_.remove(*slot);
        enqueue(*slot);
        return true;
    });
    if (connecting_.empty()) return;
    parts_due_ = true;
    request_turn();
}

void Core::connecting_failed(errc code, const std::string& message, const std::string& node) {
    const bool for_good = closed_ || code == errc::authentication_failure;
    for (Slot* slot : std::exchange(connecting_, {})) {
        if (slot->kind != OperationKind::connect && !for_good) {
            connecting_.push_back(slot);  // it waits on, as other operations do
            continue;
        }
        Error error = make_error(*slot, code, message, false);
        ErrorContext context = error.context();
        context.node = node;
        if ((slot->owners & owned_by_parts) != 0) give_up_parts(*slot);
        fail_later(*slot, Error(code, std::move(context)));
    }
}

void Core::ask_for_config(Session& session, const std::optional<protocol::ConfigRevision>& known) {
    Slot& slot = acquire(nullptr, OperationKind::cluster_config, protocol::Opcode::get_cluster_config);
    slot.owners = owned_by_user;  // without a handle; the target is its one consumer
    slot.consumer = Consumer::callbacks;
    slot.context = &router_;
    slot.target = [](Slot& asked, void* result, Error*) {
        auto* router = static_cast<Router*>(asked.context);
        unowned(asked);
        router->refreshed(result != nullptr);
    };
    protocol::GetClusterConfigRequest request{.known = known};
    // A late answer is taken all the same.
    submit_to(session, slot, std::min(settings_.operation_timeout, config_patience), {}, request);
}

void Core::nothing_came(Slot& slot, void*, Error*) {
    --slot.core->own_;
    unowned(slot);
}

bool Core::ask_for_nothing(Session& session, Duration timeout) {
    Slot& slot = acquire(nullptr, OperationKind::noop, protocol::Opcode::noop);
    slot.owners = owned_by_user;  // without a handle; the target is its one consumer
    slot.consumer = Consumer::callbacks;
    slot.target = &nothing_came;
    ++own_;
    protocol::NoopRequest request{};
    submit_to(session, slot, timeout, {}, request);
    return (slot.owners & owned_by_wire) != 0;
}

void Core::withdraw_closing(Slot& noop, const Slot* before) noexcept {
    if (noop.target != &nothing_came || noop.line->pipeline().begun(noop)) return;
    if (before && Pipeline::quiet(*before)) return;
    --own_;
    abandon_slot(noop);
    unowned(noop);
}

void Core::hush(Slot& slot) noexcept {
    // Couchbase answers out of order, and discourages it (protocol.md 2.1).
    if (settings_.connection.scheme != Scheme::memcached || (slot.owners & owned_by_wire) == 0) return;
    if (slot.line->ready()) static_cast<Session&>(*slot.line).hush(slot);
}

std::uint32_t Core::probe(Session& session) {
    Slot& slot = acquire(nullptr, OperationKind::probe, protocol::Opcode::noop);
    slot.owners = owned_by_user;  // without a handle; the target is its one consumer
    slot.consumer = Consumer::callbacks;
    slot.copy = this_node;
    slot.target = [](Slot& asked, void*, Error*) {
        --asked.core->own_;
        unowned(asked);
    };
    ++own_;
    protocol::NoopRequest request{};
    submit_to(session, slot, settings_.silence_timeout, {}, request);
    return slot.line ? slot.opaque : 0;
}

void Core::ask_for_collection(Line& line, Collection& collection) {
    Slot& slot = acquire(nullptr, OperationKind::collection_id, protocol::Opcode::collections_get_id);
    slot.owners = owned_by_user;  // without a handle; the target is its one consumer
    slot.consumer = Consumer::callbacks;
    slot.idempotent = true;
    slot.context = &collection;
    slot.target = [](Slot& asked, void* result, Error* error) {
        auto& about = *static_cast<Collection*>(asked.context);
        Core& core = *asked.core;
        unowned(asked);
        if (result || error) core.collections_.answered(about, static_cast<const CollectionId*>(result), error);
    };
    protocol::GetCollectionIdRequest request{.path = collection.path()};
    submit_to(line, slot, std::min(settings_.operation_timeout, config_patience), {}, request);
}

void Core::joined(Line& line, const Slot& slot) {
    if (line.ready()) {
        mark_dirty(static_cast<Session&>(line));
    } else if (slot.collection && &line == &slot.collection->line()) {
        collections_.joined(*slot.collection);
    } else {
        router_.joined(line);
    }
}

// ---- the end --------------------------------------------------------------------------------------------------------

void Core::on_loop_destroyed() noexcept {
    dispatching_ = true;
    loop_gone_ = true;
    closed_ = true;
    router_.lose_loop();
    collections_.lose_loop();
    router_.close();
    if (row_book_) {
        for (RowStream* stream : row_book_->streams) stream->lose_loop();
    }
    connecting_.clear();
    closing_.clear();
    places_head_ = places_tail_ = nullptr;
    places_ = 0;
    attending_ = draining_ = false;
    pausing_.clear();
    starting_wholes_.clear();
    queue_head_ = queue_tail_ = nullptr;
    // First, so that no consumer that is destroyed gives up parts which are gone already.
    pool_.for_each_in_use([](Slot& slot) {
        if ((slot.owners & owned_by_parts) != 0) release_parts(slot).reset();
    });
    pool_.for_each_in_use([&](Slot& slot) {
        deadlines_.remove(slot);
        if ((slot.owners & owned_by_wire) != 0) slot.line->pipeline().remove(slot);
        free_accumulator(slot);
        if (slot.outcome != Outcome::none && slot.consumer == Consumer::none) {
            // An outcome that the handle may still ask for; nothing else is left of the operation.
            slot.owners = static_cast<std::uint8_t>(slot.owners & owned_by_handle);
            if (slot.owners == 0) lose(slot);
        } else {
            lose(slot);
        }
    });
    if (row_book_) {
        // Each may destroy itself, and others.
        std::vector<RowStream*>& streams = row_book_->streams;
        while (!streams.empty()) {
            RowStream* const stream = streams.back();
            streams.pop_back();
            stream->tell_loop_gone();
        }
    }
    dispatching_ = false;
    maybe_delete();
}

}  // namespace chaise::detail
