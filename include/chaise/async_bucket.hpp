#pragma once

/// \file
/// The operations, declared once in BasicBucket<Face>, and the raw face, AsyncBucket.
///
/// A Face turns an AsyncResult into what its users like; some forty lines bring another framework:
/// `template <class T, class... Extra> auto wrap(AsyncResult<T>, Extra&&...)`.

#include <chaise/async_result.hpp>
#include <chaise/bucket_kind.hpp>
#include <chaise/bucket_options.hpp>
#include <chaise/collection.hpp>
#include <chaise/detail/bucket_handle.hpp>
#include <chaise/iops.hpp>
#include <chaise/options.hpp>
#include <chaise/result.hpp>
#include <chaise/row_operations.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
/// The operations on documents are those of DocumentOperations (document_operations.hpp), the operations of many keys
/// those of MultiOperations (multi_operations.hpp), those on the copies of documents those of ReplicaOperations
/// (replica_operations.hpp), those on nodes those of ServerOperations (server_operations.hpp) and of this class, views
/// and queries those of RowOperations (row_operations.hpp).
template <class Face>
class BasicBucket : public RowOperations<Face> {
    using RowOperations<Face>::face_;
    using RowOperations<Face>::handle_;

public:
    BasicBucket(Face face, std::unique_ptr<IOPS> iops, std::string_view connection_string,
                const BucketOptions& options = {})
        : RowOperations<Face>(std::move(face), detail::BucketHandle(std::move(iops), connection_string, options)) {}
    BasicBucket(const BasicBucket&) = delete;
    BasicBucket(BasicBucket&&) noexcept = default;
    BasicBucket& operator=(const BasicBucket&) = delete;
    BasicBucket& operator=(BasicBucket&&) noexcept = default;
    ~BasicBucket() = default;

    /// The default collection, "_default" in scope "_default": where the bucket's own operations are. Every server has
    /// it, also those that know no collections.
    [[nodiscard]] BasicCollection<Face> default_collection() const {
        return BasicCollection<Face>(face_, handle_.default_collection());
    }
    /// A collection of the default scope, whether it exists or not.
    [[nodiscard]] BasicCollection<Face> collection(std::string_view name) const {
        return BasicCollection<Face>(face_, handle_.collection("_default", name));
    }
    /// A scope, whether it exists or not: `bucket.scope("inventory").collection("hotels")`.
    [[nodiscard]] BasicScope<Face> scope(std::string_view name) const {
        return BasicScope<Face>(face_, handle_.default_collection(), name);
    }
    /// The bucket's scopes and collections, as a connected node knows them. Errors: unsupported_operation where there
    /// are none.
    template <class... Extra>
    auto collections_manifest(ServerOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.collections_manifest(options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ServerOptions> Extra>
    auto collections_manifest(Extra&& extra) {
        return collections_manifest(ServerOptions{}, std::forward<Extra>(extra));
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
        return face_.wrap(handle_.stats(std::vector<std::string>{std::string(group)}, options),
                          std::forward<Extra>(extra)...);
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

    /// Deletes every document of the bucket; of memcached, on every server. Couchbase does it over HTTP, within 75 s
    /// unless a timeout is given, and only if the bucket's settings allow it (else: http_failure, with the server's
    /// words). Errors: unsupported_operation unless `enable_flush` is set.
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

    /// Waits for the operations that are under way, but no longer than `drain` says (by default not at all), then
    /// ends what is left with `errc::shutdown` and closes the connections; the result comes last. Operations started
    /// later end with `errc::shutdown`, too. May be called again, and with less patience: `close({.drain = 0s})` ends
    /// the waiting of an earlier call. Who cancels it does not wait any more: what is left then ends at once. Rows are
    /// not waited for.
    template <class... Extra>
    auto close(CloseOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.close(options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<CloseOptions> Extra>
    auto close(Extra&& extra) {
        return close(CloseOptions{}, std::forward<Extra>(extra));
    }

    /// Waits until neither the bucket nor any of its nodes is at a bound (`max_bucket_…`, `max_queue_…`): whoever
    /// starts an operation at once then is not refused with `errc::queue_full`. Those who wait are served in the order
    /// of their coming, one for each place, at most 32,768 (beyond: queue_full). Errors: timeout_before_send, shutdown.
    /// A node at its bound (it hangs, say) holds up those who wait, whomever they are going to ask.
    ///
    /// `for (…) { co_await bucket.place(); bucket.upsert(key, value).set_callbacks(…); }`
    template <class... Extra>
    auto place(PlaceOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.place(options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<PlaceOptions> Extra>
    auto place(Extra&& extra) {
        return place(PlaceOptions{}, std::forward<Extra>(extra));
    }
    /// How much waits and is in flight now, and how much may.
    [[nodiscard]] Pressure pressure() const { return handle_.pressure(); }

    /// While what this gives lives, mutations that ask for no durability of their own await these copies, as if they
    /// said so; see DurabilityScope. `const auto scope = bucket.durability(1, 1);`. (0, 0): none, whatever another
    /// scope around it says.
    DurabilityScope durability(CopyCount persist_to, CopyCount replicate_to = 0,
                               const DurabilityOptions& options = {}) {
        return handle_.durability(persist_to, replicate_to, options);
    }
    /// As many copies as the cluster can give.
    DurabilityScope durability() { return durability(-1, -1); }

    /// The bucket's name (seed: bucket); memcached: empty. Valid as long as the bucket is.
    [[nodiscard]] const std::string& name() const noexcept { return handle_.name(); }
    /// What kind of bucket it is (seed: btype), as the cluster map tells it; unknown before the first one came.
    [[nodiscard]] BucketKind kind() const noexcept { return handle_.kind(); }
    /// How many replicas of each document the bucket shall have (seed: configured_replica_count); there may be fewer
    /// for want of nodes. Nothing before the first cluster map came.
    [[nodiscard]] std::optional<unsigned> configured_replicas() const noexcept { return handle_.configured_replicas(); }
    /// One line for people: name, kind, replicas, nodes, state. No credentials.
    [[nodiscard]] std::string describe() const { return handle_.describe(); }
    /// close() was called: operations that begin now end with `errc::shutdown` (seed: closed).
    [[nodiscard]] bool closed() const noexcept { return handle_.closed(); }
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

/// What AsyncBucket gives.
using AsyncCollection = BasicCollection<RawFace>;
using AsyncScope = BasicScope<RawFace>;
using AsyncViewPages = BasicViewPages<RawFace>;

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
