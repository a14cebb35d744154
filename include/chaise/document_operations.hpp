#pragma once

/// \file
/// The operations on single documents, declared once for all faces.

#include <chaise/durability_operations.hpp>
#include <chaise/options.hpp>
#include <chaise/result.hpp>
#include <chaise/typed.hpp>

#include <chrono>
#include <string_view>
#include <utility>

namespace chaise {

/// Every operation on one document. What holds for all of them stands at BasicBucket.
template <class Face>
class DocumentOperations : public DurabilityOperations<Face> {
protected:
    using DurabilityOperations<Face>::face_;
    using DurabilityOperations<Face>::handle_;

public:
    using DurabilityOperations<Face>::DurabilityOperations;

    /// The documents as objects of type T, by a transcoder (transcoder.hpp) that outlives the operations.
    template <class T, class X>
    [[nodiscard]] auto typed(const X& transcoder) {
        return TypedDocuments<Face, T, X>(face_, handle_, transcoder);
    }
    template <class T, class X>
    auto typed(const X&& transcoder) = delete;
    template <class T>
    [[nodiscard]] auto typed() {
        return TypedDocuments<Face, T, DefaultTranscoder>(face_, handle_, detail::default_transcoder);
    }

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
        const StoreOptions store{.cas = 0,
                                 .expiry = options.expiry,
                                 .flags = options.flags,
                                 .persist_to = options.persist_to,
                                 .replicate_to = options.replicate_to,
                                 .durability = options.durability,
                                 .timeout = options.timeout};
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

    /// Sets the document's expiry; without one it never expires any more.
    template <class... Extra>
    auto touch(std::string_view key, Expiry expiry = {}, TouchOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.touch(key, expiry, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<TouchOptions> Extra>
    auto touch(std::string_view key, Expiry expiry, Extra&& extra) {
        return touch(key, expiry, TouchOptions{}, std::forward<Extra>(extra));
    }
    template <detail::FaceArgument<Expiry> Extra>
        requires detail::FaceArgument<Extra, TouchOptions>
    auto touch(std::string_view key, Extra&& extra) {
        return touch(key, Expiry{}, TouchOptions{}, std::forward<Extra>(extra));
    }

    /// The document's value, and keeps others from changing it until it is changed or unlocked with the CAS of this
    /// result, or `lock_time` (1 to 30 s) is over. Meanwhile others see a CAS of all ones, and who changes or locks it
    /// is tried again (retry.hpp) until his timeout, and then gets document_locked. Not repeated after a lost
    /// connection: then the document may stay locked for `lock_time`.
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
};

}  // namespace chaise
