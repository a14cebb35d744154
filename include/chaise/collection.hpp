#pragma once

/// \file
/// Scopes and collections: the documents of a bucket lie in collections, and those in scopes.

#include <chaise/detail/bucket_handle.hpp>
#include <chaise/replica_operations.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace chaise {

/// The operations on the documents of one collection: those of ReplicaOperations and all that it is made of.
///
/// Cheap to copy and to move; it shares the bucket's connections. It may outlive the bucket, which closes all the same:
/// operations started after that end with `errc::shutdown`.
///
/// Keys have 1 to 246 bytes (in the default collection 250): on the wire the collection's id stands before them.
///
/// The collection's id is asked for when the first operation needs it, once for all that wait, and again when a node
/// does not know it any more (the collection was dropped and made anew): then the operation goes once more, within its
/// timeout. Errors beyond those of the operation:
/// - collection_not_found, scope_not_found: every connected node says so, and of a manifest as new as the newest that
///   the client has heard of. While a node is behind that, its answer is waited for, up to the operation's timeout.
///   An operation on a collection that was created a moment ago may so fail or succeed; one that is begun after the
///   nodes have heard of it succeeds. observe, and endure by CAS, end with it once when the collection was made anew:
///   the next one asks for the id.
/// - unsupported_operation: plain memcached, or a node without collections. The default collection needs none.
/// - invalid_argument: a name that no scope or collection can have.
/// Errors name scope and collection (ErrorContext).
///
/// Thread rule: the loop's thread only, also for copying and destroying it.
template <class Face>
class BasicCollection : public ReplicaOperations<Face> {
    using ReplicaOperations<Face>::face_;
    using ReplicaOperations<Face>::handle_;

public:
    /// "_default" for the default collection.
    [[nodiscard]] std::string_view name() const noexcept { return handle_.collection_name(); }
    /// "_default" for the default scope.
    [[nodiscard]] std::string_view scope_name() const noexcept { return handle_.scope_name(); }
    [[nodiscard]] Face& face() noexcept { return face_; }

    /// Not for users: buckets and scopes make them.
    BasicCollection(Face face, detail::BucketHandle handle)
        : ReplicaOperations<Face>(std::move(face), std::move(handle)) {}
};

/// A scope of a bucket's, which gives its collections. Nothing is asked of the cluster for it.
///
/// Cheap to copy; may outlive the bucket, as its collections may. Thread rule: as theirs.
template <class Face>
class BasicScope {
public:
    /// The collection of that name, whether it exists or not.
    [[nodiscard]] BasicCollection<Face> collection(std::string_view name) const {
        return BasicCollection<Face>(face_, handle_.collection(name_, name));
    }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    /// Not for users: buckets make them.
    BasicScope(Face face, detail::BucketHandle handle, std::string_view name)
        : face_(std::move(face)), handle_(std::move(handle)), name_(name) {}

private:
    Face face_;
    detail::BucketHandle handle_;
    std::string name_;
};

}  // namespace chaise
