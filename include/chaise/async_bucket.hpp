#pragma once

/// \file
/// The operations, declared once in BasicBucket<Face>, and the raw face, AsyncBucket.
///
/// A Face turns an AsyncResult into what its users like; some forty lines bring another framework:
/// `template <class T, class... Extra> auto wrap(AsyncResult<T>, Extra&&...)`.

#include <chaise/async_result.hpp>
#include <chaise/bucket_options.hpp>
#include <chaise/detail/bucket_handle.hpp>
#include <chaise/iops.hpp>
#include <chaise/multi_operations.hpp>
#include <chaise/options.hpp>
#include <chaise/result.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

namespace chaise {

/// Every operation of a bucket. Each is started by the call, in the order of the calls, and gives what the face says.
///
/// - `key`: 1 to 250 bytes. Keys and values are copied or sent before the call returns.
/// - No operation throws: errors, also those found before anything is sent, come through the result. (But
///   `std::bad_alloc`, without memory or with a million operations that something is left of.)
/// - Operations issued before the bucket is connected wait, with their timeout running.
/// - Operations in flight on one key complete in the order of issue.
///
/// Thread rule: the loop's thread only. Destroying the bucket closes it without waiting; consumers that still wait
/// get `errc::shutdown` on the loop's next turn; so it is when another bucket is assigned to it. A bucket that was
/// moved from may only be destroyed or assigned to.
///
/// The operations of many keys are those of MultiOperations (multi_operations.hpp).
template <class Face>
class BasicBucket : public MultiOperations<Face> {
    using MultiOperations<Face>::face_;
    using MultiOperations<Face>::handle_;

public:
    BasicBucket(Face face, std::unique_ptr<IOPS> iops, std::string_view connection_string,
                const BucketOptions& options = {})
        : MultiOperations<Face>(std::move(face), detail::BucketHandle(std::move(iops), connection_string, options)) {}

    /// The document's value. Errors: document_not_found (unless quiet), timeouts, and those common to all operations.
    template <class... Extra>
    auto get(std::string_view key, GetOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.get(key, options), std::forward<Extra>(extra)...);
    }
    // A form without options: theirs would be a temporary in the frame of a coroutine that awaits.
    auto get(std::string_view key) { return face_.wrap(handle_.get(key, GetOptions{})); }
    template <detail::FaceArgument<GetOptions> Extra>
    auto get(std::string_view key, Extra&& extra) {
        return get(key, GetOptions{}, std::forward<Extra>(extra));
    }

    /// The document's value, and sets its expiry. Not repeated after a lost connection.
    template <class... Extra>
    auto get_and_touch(std::string_view key, Expiry expiry, GetAndTouchOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.get_and_touch(key, expiry, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<GetAndTouchOptions> Extra>
    auto get_and_touch(std::string_view key, Expiry expiry, Extra&& extra) {
        return get_and_touch(key, expiry, GetAndTouchOptions{}, std::forward<Extra>(extra));
    }

    /// Stores the document, whether it exists or not. Errors: cas_mismatch, and document_not_found if a CAS was given
    /// and there is no document; value_too_large.
    template <class... Extra>
    auto upsert(std::string_view key, std::string_view value, UpsertOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.store(detail::OperationKind::upsert, key, value, options),
                          std::forward<Extra>(extra)...);
    }
    auto upsert(std::string_view key, std::string_view value) {
        return face_.wrap(handle_.store(detail::OperationKind::upsert, key, value, UpsertOptions{}));
    }
    template <detail::FaceArgument<UpsertOptions> Extra>
    auto upsert(std::string_view key, std::string_view value, Extra&& extra) {
        return upsert(key, value, UpsertOptions{}, std::forward<Extra>(extra));
    }

    /// Stores a new document. Errors: document_exists, value_too_large.
    template <class... Extra>
    auto insert(std::string_view key, std::string_view value, InsertOptions options = {}, Extra&&... extra) {
        const StoreOptions store{
            .cas = 0, .expiry = options.expiry, .flags = options.flags, .timeout = options.timeout};
        return face_.wrap(handle_.store(detail::OperationKind::insert, key, value, store),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<InsertOptions> Extra>
    auto insert(std::string_view key, std::string_view value, Extra&& extra) {
        return insert(key, value, InsertOptions{}, std::forward<Extra>(extra));
    }

    /// Stores a document that exists. Errors: document_not_found, cas_mismatch, value_too_large.
    template <class... Extra>
    auto replace(std::string_view key, std::string_view value, ReplaceOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.store(detail::OperationKind::replace, key, value, options),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ReplaceOptions> Extra>
    auto replace(std::string_view key, std::string_view value, Extra&& extra) {
        return replace(key, value, ReplaceOptions{}, std::forward<Extra>(extra));
    }

    /// Adds bytes behind the value. Errors: document_not_found, cas_mismatch, value_too_large.
    template <class... Extra>
    auto append(std::string_view key, std::string_view value, ConcatOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.concat(detail::OperationKind::append, key, value, options),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ConcatOptions> Extra>
    auto append(std::string_view key, std::string_view value, Extra&& extra) {
        return append(key, value, ConcatOptions{}, std::forward<Extra>(extra));
    }

    /// Adds bytes in front of the value.
    template <class... Extra>
    auto prepend(std::string_view key, std::string_view value, ConcatOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.concat(detail::OperationKind::prepend, key, value, options),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ConcatOptions> Extra>
    auto prepend(std::string_view key, std::string_view value, Extra&& extra) {
        return prepend(key, value, ConcatOptions{}, std::forward<Extra>(extra));
    }

    /// Removes the document. Errors: document_not_found (unless quiet), cas_mismatch.
    template <class... Extra>
    auto remove(std::string_view key, RemoveOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.remove(key, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<RemoveOptions> Extra>
    auto remove(std::string_view key, Extra&& extra) {
        return remove(key, RemoveOptions{}, std::forward<Extra>(extra));
    }

    /// Adds to a number that is stored as decimal text; ValueResult::counter() is the new number. Errors:
    /// document_not_found (without `initial`), delta_invalid (the value is no number).
    template <class... Extra>
    auto counter(std::string_view key, CounterOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.counter(key, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<CounterOptions> Extra>
    auto counter(std::string_view key, Extra&& extra) {
        return counter(key, CounterOptions{}, std::forward<Extra>(extra));
    }

    /// Sets the document's expiry; `Expiry{}` is never.
    template <class... Extra>
    auto touch(std::string_view key, Expiry expiry, TouchOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.touch(key, expiry, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<TouchOptions> Extra>
    auto touch(std::string_view key, Expiry expiry, Extra&& extra) {
        return touch(key, expiry, TouchOptions{}, std::forward<Extra>(extra));
    }

    /// The document's value, and keeps others from changing it until it is changed or unlocked with the CAS of this
    /// result, or `lock_time` (1 to 30 s) is over. Meanwhile others that change or lock it get document_locked, and see
    /// a CAS of all ones. Not repeated after a lost connection: then the document may stay locked for `lock_time`.
    /// Errors: document_not_found (unless quiet), document_locked (very old servers: temporary_failure),
    /// invalid_argument for another lock time, unsupported_operation on plain memcached.
    template <class... Extra>
    auto lock(std::string_view key, std::chrono::seconds lock_time, LockOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.lock(key, lock_time, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<LockOptions> Extra>
    auto lock(std::string_view key, std::chrono::seconds lock_time, Extra&& extra) {
        return lock(key, lock_time, LockOptions{}, std::forward<Extra>(extra));
    }

    /// Ends a lock. `cas`: of the lock's result. Not repeated after a lost connection. Errors: cas_mismatch (locked by
    /// another), document_not_locked (older servers: temporary_failure), document_not_found, invalid_argument for
    /// a CAS of 0, unsupported_operation on plain memcached.
    template <class... Extra>
    auto unlock(std::string_view key, Cas cas, UnlockOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.unlock(key, cas, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<UnlockOptions> Extra>
    auto unlock(std::string_view key, Cas cas, Extra&& extra) {
        return unlock(key, cas, UnlockOptions{}, std::forward<Extra>(extra));
    }

    /// Whether there is such a document, without its value; plain memcached has no such question, so there the value
    /// travels, and is left out. Does not fail when there is none.
    template <class... Extra>
    auto exists(std::string_view key, ExistsOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.exists(key, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ExistsOptions> Extra>
    auto exists(std::string_view key, Extra&& extra) {
        return exists(key, ExistsOptions{}, std::forward<Extra>(extra));
    }

    /// A round trip to the server, after everything that was sent before it.
    template <class... Extra>
    auto noop(ServerOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.server(detail::OperationKind::noop, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ServerOptions> Extra>
    auto noop(Extra&& extra) {
        return noop(ServerOptions{}, std::forward<Extra>(extra));
    }

    /// Statistics; `group` as the server knows it ("settings", "items", …), empty: the general ones. Errors:
    /// document_not_found for a group that the server does not know.
    template <class... Extra>
    auto stats(std::string_view group = {}, StatsOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.stats(group, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<StatsOptions> Extra>
    auto stats(std::string_view group, Extra&& extra) {
        return stats(group, StatsOptions{}, std::forward<Extra>(extra));
    }

    /// The servers' versions.
    template <class... Extra>
    auto version(ServerOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.version(options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ServerOptions> Extra>
    auto version(Extra&& extra) {
        return version(ServerOptions{}, std::forward<Extra>(extra));
    }

    /// Deletes every document on the server. Errors: unsupported_operation unless `enable_flush` is set.
    template <class... Extra>
    auto flush(ServerOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.server(detail::OperationKind::flush, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ServerOptions> Extra>
    auto flush(Extra&& extra) {
        return flush(ServerOptions{}, std::forward<Extra>(extra));
    }

    /// Tells when the bucket is connected (it connects by itself), or why the attempt failed; may be called as often
    /// as one likes, and again after a failure. Errors: not_connected, host_not_found, authentication_failure,
    /// protocol_error, timeout_before_send, each naming the host.
    template <class... Extra>
    auto connect(ServerOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.server(detail::OperationKind::connect, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ServerOptions> Extra>
    auto connect(Extra&& extra) {
        return connect(ServerOptions{}, std::forward<Extra>(extra));
    }

    /// Ends every operation with `errc::shutdown` on the next turn and closes the connections; the result comes last.
    /// Operations started later end with `errc::shutdown`, too. May be called again.
    template <class... Extra>
    auto close(Extra&&... extra) {
        return face_.wrap(handle_.close(), std::forward<Extra>(extra)...);
    }

    /// All sessions are ready now.
    [[nodiscard]] bool connected() const noexcept { return handle_.connected(); }
    /// Operations that something is left of: an outcome to come, an AsyncResult, a response to be skipped.
    [[nodiscard]] std::size_t operations() const noexcept { return handle_.operations(); }
    /// Hears errors of operations that nobody consumes. Default: one line on standard error.
    void on_unobserved(std::function<void(const Error&)> handler) { handle_.on_unobserved(std::move(handler)); }
    [[nodiscard]] Face& face() noexcept { return face_; }
};

/// The raw face: operations give their AsyncResult.
struct RawFace {
    template <class T>
    AsyncResult<T> wrap(AsyncResult<T> operation) {
        return operation;
    }
};

/// The bucket of callback-style loops and of one's own coroutine types (seed: AsyncBucket).
class AsyncBucket : public BasicBucket<RawFace> {
public:
    /// On a loop of chaise's (`EpollLoop`, `SimWorld`). Connecting begins at once, on the loop.
    /// \throws InvalidError, ArgumentError, NotSupportedError for the connection string and the options.
    template <Loop L>
    AsyncBucket(L& loop, std::string_view connection_string, const BucketOptions& options = {})
        : AsyncBucket(loop.make_iops(), connection_string, options) {}
    /// On a handle on any loop.
    AsyncBucket(std::unique_ptr<IOPS> iops, std::string_view connection_string, const BucketOptions& options = {})
        : BasicBucket(RawFace{}, std::move(iops), connection_string, options) {}
};

}  // namespace chaise
