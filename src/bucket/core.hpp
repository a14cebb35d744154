#pragma once

#include "bucket/settings.hpp"
#include "bucket/snappy_values.hpp"
#include "operation/deadline_queue.hpp"
#include "operation/retry_queue.hpp"
#include "operation/slot_pool.hpp"
#include "protocol/frame.hpp"
#include "protocol/opcode.hpp"
#include "session/receive_buffer.hpp"
#include "session/session.hpp"
#include "topology/collections.hpp"
#include "topology/router.hpp"

#include <chaise/http.hpp>
#include <chaise/iops.hpp>
#include <chaise/options.hpp>
#include <chaise/pressure.hpp>
#include <chaise/retry.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise::detail {

class Parts;
struct RowBook;

/// "get", "upsert", …
[[nodiscard]] std::string_view operation_name(OperationKind kind) noexcept;

/// The one operation core of a bucket: slots, deadlines, sessions, outcomes. Shared by the bucket and by every
/// operation and AsyncResult that is left of it; deletes itself, never during a dispatch, after the last of them.
///
/// Everything that comes from the loop runs inside a Dispatch. Outcomes found inside one go to their consumers at
/// once; all others wait for the next turn. At the end of a dispatch what was queued is written, once per session, and
/// only then are the reads armed again; if it is for several sessions, at the end of the loop's turn.
class Core final : public LoopObserver {
public:
    Core(std::unique_ptr<IOPS> iops, Settings settings);
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    // ---- the bucket -------------------------------------------------------------------------------------------
    /// Connecting begins on the next turn: a loop that runs already, on other threads, must not see a bucket that is
    /// still being made.
    void start();
    void close() noexcept;
    /// The bucket and its collections have a share each; after the last of them, and the last slot, the core goes.
    void add_share() noexcept { ++shares_; }
    void drop_share() noexcept {
        if (--shares_ != 0) return;
        recycles_slowly_ = true;
        maybe_delete();
    }
    [[nodiscard]] bool connected() const noexcept { return !closed_ && router_.connected(); }
    [[nodiscard]] bool closed() const noexcept { return closed_; }
    /// Nothing begins any more.
    [[nodiscard]] bool closing() const noexcept { return closed_ || draining_; }
    [[nodiscard]] Router& router() noexcept { return router_; }
    [[nodiscard]] Collections& collections() noexcept { return collections_; }
    /// Slots that are not back in the pool.
    [[nodiscard]] std::size_t operations() const noexcept { return pool_.in_use() - own_; }
    [[nodiscard]] const Settings& settings() const noexcept { return settings_; }
    [[nodiscard]] IOPS& iops() noexcept { return *iops_; }
    /// Made when first asked for; null: the loop has none.
    [[nodiscard]] HttpClient* http();
    /// Of views and queries; made when first asked for.
    [[nodiscard]] RowBook& row_book();
    void set_unobserved_handler(std::function<void(const Error&)> handler) { on_unobserved_ = std::move(handler); }

    // ---- starting operations ------------------------------------------------------------------------------------
    /// `collection`: of the request's key; null if it has none.
    [[nodiscard]] Slot& acquire(Collection* collection, OperationKind kind, protocol::Opcode opcode);
    /// Encodes the request into the line that its key, in the slot's collection, leads to.
    template <class Request>
    void submit(Slot& slot, const std::optional<Duration>& timeout, std::string_view key, Request& request);
    /// Into the line that the route names. The vbucket is in the request already, and its copy in the slot.
    template <class Request>
    void submit_by(const Router::Route& route, Slot& slot, const std::optional<Duration>& timeout, std::string_view key,
                   Request& request);
    /// A request without a key, to any node.
    template <class Request>
    void submit_anywhere(Slot& slot, const std::optional<Duration>& timeout, Request& request);
    /// Statistics or versions, of every node.
    void submit_to_all(Slot& slot, std::optional<Duration> timeout, std::vector<std::string> groups);
    /// An operation that consists of parts, which begin as soon as it is known whom to ask.
    void submit_when_open(Slot& whole, std::unique_ptr<Parts> parts, std::optional<Duration> timeout);
    /// A NOOP of the session's own, which it can find under the opaque; 0 if there is no room for it.
    [[nodiscard]] std::uint32_t probe(Session& session);
    /// The router's own question for the cluster map.
    void ask_for_config(Session& session, const std::optional<protocol::ConfigRevision>& known);
    /// A NOOP with this timeout, which nobody waits for. False: there is no room for it.
    bool ask_for_nothing(Session& session, Duration timeout);
    /// The get is on its way to a plain memcached, or about to be: a miss need not be answered.
    void hush(Slot& slot) noexcept;
    /// The engine's own question for a collection's id.
    void ask_for_collection(Line& line, Collection& collection);
    /// Waits for connect() to have an outcome.
    void submit_connect(Slot& slot, std::optional<Duration> timeout);
    /// The outcome of close(), after all others.
    void submit_close(Slot& slot, std::optional<Duration> drain);
    /// Waits until an operation with so many bytes of request finds room.
    void submit_place(Slot& slot, const std::optional<Duration>& timeout, std::size_t bytes);
    /// An error found before anything was sent.
    void reject(Slot& slot, errc code, std::string_view key, std::string message);
    /// Seconds as on the wire, or why not.
    [[nodiscard]] std::optional<std::uint32_t> wire_expiry(Expiry expiry, std::string& why);

    // ---- what mutations await that say nothing of it themselves -------------------------------------------------
    struct DurabilityDefault {
        std::uint32_t id = 0;
        CopyCount persist_to{};
        CopyCount replicate_to{};
        std::optional<Duration> timeout{};
        std::optional<Duration> interval{};
    };
    /// Not 0: there is a default.
    [[nodiscard]] std::uint32_t durable_by_default() const noexcept { return durable_by_default_; }
    [[nodiscard]] const DurabilityDefault* durability_default() const noexcept {
        return durable_by_default_ == 0 ? nullptr : &durability_.back();
    }
    /// While it lives mutations are started as if there were none: an operation of many awaits for all of them.
    class WithoutDefault {
    public:
        explicit WithoutDefault(Core& core) noexcept
            : core_(core), before_(std::exchange(core.durable_by_default_, 0u)) {}
        WithoutDefault(const WithoutDefault&) = delete;
        WithoutDefault& operator=(const WithoutDefault&) = delete;
        ~WithoutDefault() { core_.durable_by_default_ = before_; }

    private:
        Core& core_;
        const std::uint32_t before_;
    };
    [[nodiscard]] std::uint32_t begin_durability(CopyCount persist_to, CopyCount replicate_to,
                                                 const DurabilityOptions& options);
    void end_durability(std::uint32_t id) noexcept;

    // ---- operations that consist of parts (parts.hpp) -----------------------------------------------------------
    void adopt(Slot& whole, std::unique_ptr<Parts> parts) noexcept;
    /// A slot that reports to the whole.
    [[nodiscard]] Slot& add_part(Slot& whole, OperationKind kind, protocol::Opcode opcode);
    /// As done() of its parts calls it.
    [[nodiscard]] static std::size_t place_of(const Slot& part) noexcept;
    /// The part, of that kind, has its result when the time is over.
    void pause(Slot& part, Duration time);
    /// In the next turn.
    void end_pause_soon(Slot& part);
    /// A part is done, or all are added: the last delivers the whole's outcome.
    void finish_part(Slot& whole);
    /// The whole ends without an outcome, and without a handle.
    void take_back(Slot& whole) noexcept;

    // ---- outcomes, from the sessions ----------------------------------------------------------------------------
    [[nodiscard]] Slot* find(std::uint32_t opaque) noexcept { return pool_.find(opaque); }
    /// A response to a request of this session; `buffer` holds the frame.
    void respond(Slot& slot, const protocol::Frame& frame, Buffer* buffer);
    /// A quiet get that has not been answered, and will not be.
    void missed(Slot& slot);
    /// Out of pipeline and deadlines, and to the consumer on the next turn; if nobody waits, it is just gone.
    void fail_later(Slot& slot, Error error);
    /// Its request's key carries a collection prefix where there are collections.
    [[nodiscard]] static bool prefixable(const Slot& slot) noexcept {
        return slot.collection && protocol::carries_collection(static_cast<protocol::Opcode>(slot.opcode));
    }
    /// Bytes of prefix that its request's key has, as it is encoded.
    [[nodiscard]] static std::size_t prefix_size(const Slot& slot) noexcept;
    /// The key of its request, without prefix; empty if there is none, or several.
    [[nodiscard]] static std::string_view key_of(const Slot& slot) noexcept;
    /// Its request says another vbucket from now on.
    static void set_vbucket(Slot& slot, std::uint16_t vbucket) noexcept;
    [[nodiscard]] Error make_error(const Slot& slot, errc code, std::string message, bool may_have_happened,
                                   std::optional<std::uint16_t> status = {}, std::string_view server_text = {});
    /// Of an operation whose parts are done: about the key; `like`: a part's error, whose circumstances it takes over.
    [[nodiscard]] Error make_error_of_whole(const Slot& whole, errc code, std::string message, std::string_view key,
                                            const Error& like = Error());
    /// Gives the operation's result to its consumer, now.
    template <class T>
    void deliver(Slot& slot, T& result);
    void deliver_error(Slot& slot, Error& error);
    /// Everything in the line that had begun by then fails (its credentials are wrong, …).
    void fail_all(Line& line, errc code, const std::string& message, TimePoint begun_by = TimePoint::max());
    /// One more attempt.
    static void count_retry(Slot& slot) noexcept {
        if (slot.retries != 0xffff) ++slot.retries;
    }
    /// The connection was lost while the request was in flight: whether it goes once more, on the next one.
    [[nodiscard]] bool goes_again(Slot& slot);
    /// What has come of an answer of several frames is forgotten.
    void free_accumulator(Slot& slot) noexcept;
    /// Every connect() that waits has its outcome.
    void connecting_done();
    /// An operation of parts waits for the collection's id.
    [[nodiscard]] bool awaited(const Collection& collection);
    /// They end with this error, if they had begun by then.
    void fail_waiting(const Collection& collection, errc code, const std::string& message,
                      TimePoint begun_by = TimePoint::max());
    void connecting_failed(errc code, const std::string& message, const std::string& node);

    /// Before a request goes to a line, or to the line's next connection: it is made to fit what is agreed upon there.
    /// False: it cannot be, and its operation has failed.
    [[nodiscard]] bool adapt(Slot& slot, const Line& to);
    /// It is known that the node which the key leads to does not grant this.
    [[nodiscard]] bool lacks(const Slot& slot, std::string_view key, protocol::Feature feature) noexcept;

    // ---- what the awaitable layer asks ---------------------------------------------------------------------------
    void attached(Slot& slot) { enqueue(slot); }
    void cancel(Slot& slot);
    void drop(Slot& slot) noexcept;
    void recycle(Slot& slot) noexcept;
    void report_unobserved(const Error& error);

    // ---- turns and time ------------------------------------------------------------------------------------------
    /// Time of this turn: read once, when first asked for.
    [[nodiscard]] TimePoint now() {
        if (!clock_read_) {
            now_ = iops_->now();
            clock_read_ = true;
        }
        return now_;
    }
    void mark_dirty(Session& session);
    /// Something threw in a consumer: told to the loop at the end of the dispatch.
    void caught(std::exception_ptr exception) noexcept { exceptions_.push_back(std::move(exception)); }
    void request_turn();
    /// Parsing stopped before the end of what the session had received; it goes on next turn.
    void interrupted(Session& session) {
        interrupted_.push_back(&session);
        request_turn();
    }
    void forget(Session& session) noexcept { std::erase(interrupted_, &session); }
    [[nodiscard]] BufferPool& buffers() noexcept { return buffers_; }
    [[nodiscard]] ByteBudget& byte_budget() noexcept { return byte_budget_; }
    [[nodiscard]] Pressure pressure() const;

    /// Brackets every entry from the loop. A consumer may run the loop from inside (Asio's poll): only the outermost
    /// dispatch writes, reads on and deletes the core.
    class Dispatch {
    public:
        explicit Dispatch(Core& core) : core_(core), outermost_(!core.dispatching_) {
            if (outermost_) core_.enter();
        }
        ~Dispatch() {
            if (outermost_) core_.leave();
        }
        Dispatch(const Dispatch&) = delete;
        Dispatch& operator=(const Dispatch&) = delete;

    private:
        Core& core_;
        const bool outermost_;
    };

    /// Around what HTTP calls: its client, which the core owns, must not be destroyed inside.
    class InsideHttp {
    public:
        explicit InsideHttp(Core& core) noexcept : core_(core) { ++core.inside_http_; }
        InsideHttp(const InsideHttp&) = delete;
        InsideHttp& operator=(const InsideHttp&) = delete;
        ~InsideHttp() {
            if (--core_.inside_http_ == 0 && core_.shares_ == 0) core_.request_turn();
        }

    private:
        Core& core_;
    };

    void on_loop_destroyed() noexcept override;

private:
    ~Core();
    void enter() noexcept {
        dispatching_ = true;
        clock_read_ = false;
    }
    void leave();
    void flush();
    [[nodiscard]] bool several_write() const noexcept;
    void on_turn();
    [[nodiscard]] static bool waits_for_collection(Slot& whole);
    void start_parts(Slot& whole);
    void start_all_parts();
    [[nodiscard]] static std::unique_ptr<Parts> release_parts(Slot& whole) noexcept;
    /// Nobody waits for the whole any more.
    void give_up_parts(Slot& whole) noexcept;
    void give_up(Parts& parts) noexcept;
    /// Something of it is on its way to a node, or was.
    [[nodiscard]] static bool begun(const Slot& slot);
    void cancel_whole(Slot& whole);
    void end_pause(Slot& part);
    void leave_pause(Slot& part) noexcept;
    void on_deadline();
    void expire(Slot& slot);
    void add_deadline(Slot& slot, const std::optional<Duration>& timeout);
    void reject_full(Slot& slot, std::string_view key);
    /// No slot is free within the bucket's limit, or it is closing: the collection that leads to the refusal.
    [[gnu::noinline, gnu::cold]] Collection* late(Collection* collection);
    /// It came late, and ends with it.
    [[nodiscard]] bool refused(Slot& slot, std::string_view key);
    /// At the end of a dispatch, while somebody waits for room or for the end.
    void attend();
    void serve_places();
    [[nodiscard]] bool has_room(std::size_t bytes);
    void release_idle_blocks() noexcept;
    [[nodiscard]] bool drained();
    void leave_places(Slot& slot) noexcept;
    void look_after_recycled() noexcept;
    void arm_deadline(TimePoint at);
    void enqueue(Slot& slot);
    void deliver_queued(Slot& slot);
    /// The loop is gone: the consumer is destroyed uncalled.
    void lose(Slot& slot);
    /// The user's share ends without an outcome.
    void abandon_slot(Slot& slot) noexcept;
    /// Out of the pipeline if not a byte of it was sent; otherwise a response will come and find nobody.
    void withdraw(Slot& slot) noexcept;
    /// What ask_for_nothing() asked, if a quiet get that was withdrawn unsent was the last that it closed.
    void withdraw_closing(Slot& noop, const Slot* before) noexcept;
    static void nothing_came(Slot& slot, void* result, Error* error);
    void discard_outcome(Slot& slot) noexcept;
    template <class T>
    void keep(Slot& slot, T& result);
    void respond_otherwise(Slot& slot, const protocol::Frame& frame, Buffer* buffer);
    void respond_with_error(Slot& slot, const protocol::Frame& frame);
    /// The answer was "not now": the request rests until it is tried again. False: it was its last.
    bool try_later(Slot& slot, protocol::Status status);
    [[nodiscard]] std::optional<Duration> ask_strategy(const Slot& slot, RetryReason reason,
                                                       std::optional<Duration> suggested);
    void on_retry_timer();
    void finish_with_error(Slot& slot, Error error);
    void retire(Slot& slot) noexcept;
    void respond_to_subdocument(Slot& slot, const protocol::Frame& frame, Buffer* buffer);
    void respond_inflated(Slot& slot, const protocol::Frame& frame);
    [[nodiscard]] ErrorContext make_context(const Slot& slot, std::string message, bool may_have_happened);
    [[nodiscard]] bool inflate_request(Slot& slot);
    void fail_unsent(Slot& slot, errc code, std::string message);
    void respond_to_stats(Slot& slot, const protocol::Frame& frame);
    void respond_with_malformed(Slot& slot, const protocol::Frame& frame);
    template <class Request>
    void submit_to(Line& line, Slot& slot, const std::optional<Duration>& timeout, std::string_view key,
                   Request& request);
    /// On a connection that is there.
    template <class Request>
    void send(Line& line, Slot& slot, const std::optional<Duration>& timeout, std::string_view key, Request& request);
    template <class Request>
    [[gnu::noinline, gnu::cold]] void submit_to_wait(Line& line, Slot& slot, const std::optional<Duration>& timeout,
                                                     std::string_view key, Request request);
    /// A request was put into the line, by a way that is not the usual one.
    void joined(Line& line, const Slot& slot);
    template <class Request>
    [[gnu::noinline]] void submit_by_ring(Slot& slot, const std::optional<Duration>& timeout, std::string_view key,
                                          Request request);
    template <class Request>
    bool put_in_line(Line& line, Slot& slot, const std::optional<Duration>& timeout, std::string_view key,
                     Request& request);
    template <class Request>
    [[gnu::noinline]] void submit_compressed(Line& line, Slot& slot, const std::optional<Duration>& timeout,
                                             std::string_view key, Request request);
    void maybe_delete() noexcept;

    std::unique_ptr<IOPS> iops_;
    std::uint32_t durable_by_default_ = 0;
    std::unique_ptr<HttpClient> http_;
    Settings settings_;
    SlotPool pool_;
    ByteBudget byte_budget_;
    DeadlineQueue deadlines_;
    BufferPool buffers_;
    SnappyValues snappy_;
    std::vector<Session*> dirty_;
    std::vector<Session*> interrupted_;
    Line gate_;  ///< the detour of those who come late: nothing is ever put into it
    Collection late_;
    Collections collections_;
    Router router_;
    Line resting_;  ///< what was answered "not now", until it is tried again
    RetryQueue retries_;
    std::vector<Slot*> connecting_;  ///< connect()s and wholes that wait for the cluster to be opened
    std::vector<Slot*> closing_;     ///< close()s that wait for what is under way
    Slot* places_head_ = nullptr;    ///< who waits for room
    Slot* places_tail_ = nullptr;
    std::size_t places_ = 0;
    std::size_t own_ = 0;                 ///< NOOPs that nobody asked for
    std::vector<Slot*> pausing_;          ///< each with its place, plus 1, as its sequence
    std::vector<Slot*> starting_wholes_;  ///< wholes that start in this turn, the first one last
    std::unique_ptr<TimerEvent> turn_;
    std::unique_ptr<TimerEvent> deadline_timer_;
    std::unique_ptr<TimerEvent> retry_timer_;
    Slot* queue_head_ = nullptr;
    Slot* queue_tail_ = nullptr;
    std::size_t shares_ = 1;                     ///< its maker's
    std::vector<DurabilityDefault> durability_;  ///< the newest last
    std::uint32_t last_durability_ = 0;
    TimePoint now_{};
    TimePoint deadline_armed_for_{};
    bool clock_read_ = false;
    bool dispatching_ = false;
    bool turn_requested_ = false;
    bool turning_ = false;  ///< the dispatch is the turn that was asked for
    bool starting_ = false;
    bool parts_due_ = false;
    bool recycles_slowly_ = false;  ///< there is more to a slot's end than that it is free
    bool attending_ = false;        ///< somebody waits for room, or for the end
    bool draining_ = false;
    bool closed_ = false;
    bool loop_gone_ = false;
    unsigned inside_http_ = 0;
    std::vector<std::exception_ptr> exceptions_;
    std::function<void(const Error&)> on_unobserved_;
    std::unique_ptr<RowBook> row_book_;
};

}  // namespace chaise::detail

#include "bucket/core_inline.hpp"
