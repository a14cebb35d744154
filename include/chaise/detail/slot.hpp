#pragma once

// The slot of one operation and what the awaitable layer asks of the engine. Not for users.

#include <chaise/error.hpp>
#include <chaise/result.hpp>
#include <chaise/time.hpp>

#include <cstddef>
#include <cstdint>

namespace chaise {

class IOPS;

namespace detail {

class Collection;
class Core;
class Line;
class SendBlock;
struct Slot;

/// Takes an outcome to its consumer. Exactly one of `result` and `error` is set; both null: destroy the consumer
/// uncalled. It must call `unowned(slot)` before it runs anything of the user's.
using Target = void (*)(Slot& slot, void* result, Error* error);

/// Who still needs the slot; it goes back to the pool when nobody does.
inline constexpr std::uint8_t owned_by_wire = 1;    ///< its request was (perhaps partly) sent: a response may come
inline constexpr std::uint8_t owned_by_user = 2;    ///< its outcome has not been decided yet
inline constexpr std::uint8_t owned_by_handle = 4;  ///< an AsyncResult refers to it
inline constexpr std::uint8_t owned_by_queue = 8;   ///< it waits in the core's queue of outcomes for the next turn
inline constexpr std::uint8_t owned_by_parts = 16;  ///< operations of the engine's that report to it are under way

enum class Consumer : std::uint8_t { none, callbacks, fields, await, detached };
enum class Outcome : std::uint8_t { none, result, error };

enum class OperationKind : std::uint8_t {
    get,
    get_and_touch,
    upsert,
    insert,
    replace,
    append,
    prepend,
    remove,
    touch,
    lock,
    unlock,
    exists,
    counter,
    lookup_in,
    mutate_in,
    // Of data structures on documents.
    map_add,
    map_get,
    map_remove,
    map_size,
    list_append,
    list_prepend,
    list_set,
    list_get,
    list_remove,
    list_size,
    set_add,
    set_contains,
    set_remove,
    set_size,
    queue_push,
    queue_pop,
    queue_size,
    noop,
    version,
    stats,
    flush,
    collections_manifest,
    connect,
    close,
    place,  ///< waits for room
    get_replica,
    get_all_replicas,
    lookup_in_replica,
    lookup_in_all_replicas,
    observe,
    endure,
    get_meta,
    key_stats,
    random_key,
    ping,
    design,       ///< one design document
    design_list,  ///< all of them
    view_page,    ///< one page of a view
    // The engine's own.
    cluster_config,
    probe,          ///< is anybody there?
    replica_read,   ///< of one replica
    observe_some,   ///< the copies of one node
    observe_seqno,  ///< how far one copy of a vbucket is
    pause,          ///< nothing, for a while
    collection_id,
    // Of many entries, by the type of their results; the slot's opcode is the kind of its entries.
    multi_value,
    multi_operation,
    multi_exists,
    multi_replica,
    multi_observe,
    multi_stats,
};
constexpr bool is_multi(OperationKind kind) noexcept { return kind >= OperationKind::multi_value; }

/// Room for a consumer (callbacks, a completion handler), or for a result that came before its consumer.
inline constexpr std::size_t slot_storage = 192;

/// Slot::copy: the request is for the node in whose line it is, and for no other.
inline constexpr std::uint8_t this_node = 0xff;

struct alignas(64) Slot {
    // What the path of an operation touches comes first.
    Target target = nullptr;
    void* context = nullptr;
    Core* core = nullptr;
    Line* line = nullptr;        ///< where its request waits, or waited last
    SendBlock* block = nullptr;  ///< the encoded request lies in it, pinned until the slot is done
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    std::uint32_t opaque = 0;
    std::uint8_t owners = 0;
    OperationKind kind = OperationKind::get;
    std::uint8_t opcode = 0;
    Consumer consumer = Consumer::none;
    Outcome outcome = Outcome::none;  ///< an outcome that waits for its consumer
    bool quiet = false;
    bool idempotent = false;
    std::uint8_t deadline_lane = 0;  ///< where its deadline is queued; 0: nowhere
    std::uint16_t xattr_specs = 0;   ///< lookup_in, mutate_in: which of the caller's specs were sent in front

    Slot* next = nullptr;  ///< in the session's pipeline, or in the pool
    Slot* prev = nullptr;
    TimePoint deadline{};
    TimePoint started{};
    std::uint64_t sequence = 0;  ///< place in the order of the session's requests
    Slot* deadline_next = nullptr;
    Slot* deadline_prev = nullptr;
    std::uint32_t deadline_index = 0;
    std::uint16_t retries = 0;
    std::uint8_t copy = 0;        ///< of its vbucket: 0 active, from 1 on replicas, or `this_node`
    bool tried_again = false;     ///< then last_status is of the answer that was not the last word
    Error* error = nullptr;       ///< owned; an error that waits
    void* accumulator = nullptr;  ///< owned by the engine; answers of several frames
    Slot* queue_next = nullptr;
    std::uint16_t last_status = 0;
    std::uint8_t body_prefix = 0;      ///< observe_some: bytes of collection prefix before each key in the body
    Collection* collection = nullptr;  ///< that its key is in; null: its request has no key

    alignas(std::max_align_t) std::byte storage[slot_storage];
};

[[noreturn]] void throw_second_consumer();
/// The consumer came after the outcome, or after the loop's end.
void attached_late(Slot& slot);

/// \throws std::logic_error if the slot has a consumer.
inline void require_no_consumer(const Slot& slot) {
    if (slot.consumer != Consumer::none) [[unlikely]]
        throw_second_consumer();
}
/// A consumer came: remembers it, and brings an outcome that waits on the next turn.
/// \throws std::logic_error for a second consumer.
[[gnu::always_inline]] inline void attach(Slot& slot, Consumer kind, Target target, void* context) {
    require_no_consumer(slot);
    slot.consumer = kind;
    slot.target = target;
    slot.context = context;
    if (slot.outcome != Outcome::none || (slot.owners & owned_by_user) == 0) [[unlikely]]
        attached_late(slot);
}
/// Back to the pool if nobody owns it any more.
void recycle(Slot& slot) noexcept;
inline void unowned(Slot& slot) noexcept {
    if (slot.owners == 0) recycle(slot);
}
/// The handle is dropped while more than the handle is left of the slot.
void drop(Slot& slot) noexcept;
void cancel(Slot& slot);
void detach(Slot& slot) noexcept;
/// The handle on the loop that the operation's bucket was made with.
[[nodiscard]] IOPS& iops_of(const Slot& slot) noexcept;
/// An error that nobody heard goes to the bucket's `on_unobserved`. Only during a dispatch.
void report_unobserved(Core& core, const Error& error);

}  // namespace detail

}  // namespace chaise
