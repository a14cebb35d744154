#pragma once

/// \file
/// Collections: the documents of a bucket lie in collections, and those in scopes.

#include <chaise/detail/bucket_handle.hpp>
#include <chaise/document_operations.hpp>

#include <string_view>
#include <utility>

namespace chaise {

/// The operations on the documents of one collection: those of DocumentOperations and MultiOperations.
///
/// Cheap to copy and to move; it shares the bucket's connections. It may outlive the bucket, which closes all the same:
/// operations started after that end with `errc::shutdown`.
///
/// Thread rule: the loop's thread only, also for copying and destroying it.
template <class Face>
class BasicCollection : public DocumentOperations<Face> {
    using DocumentOperations<Face>::face_;
    using DocumentOperations<Face>::handle_;

public:
    /// "_default" for the default collection.
    [[nodiscard]] std::string_view name() const noexcept { return handle_.collection_name(); }
    /// "_default" for the default scope.
    [[nodiscard]] std::string_view scope_name() const noexcept { return handle_.scope_name(); }
    [[nodiscard]] Face& face() noexcept { return face_; }

    /// Not for users: buckets and scopes make them.
    BasicCollection(Face face, detail::BucketHandle handle)
        : DocumentOperations<Face>(std::move(face), std::move(handle)) {}
};

}  // namespace chaise
