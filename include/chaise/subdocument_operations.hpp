#pragma once

/// \file
/// The operations on parts of documents, declared once for all faces.

#include <chaise/multi_operations.hpp>
#include <chaise/subdocument.hpp>

#include <string_view>
#include <utility>

namespace chaise {

/// lookup_in, retrieve_in and mutate_in. Couchbase only: on plain memcached they are unsupported_operation. What they
/// take and give stands in subdocument.hpp.
///
/// Specs on extended attributes are sent in front of the others, as the server wants them; results have the caller's
/// order. Refused before anything is sent (invalid_argument, which names the spec): no spec or more than 16, a path of
/// over 1024 bytes, an empty one where a path is needed, a missing value, a counter's delta of 0, options that
/// contradict each other.
template <class Face>
class SubdocumentOperations : public MultiOperations<Face> {
protected:
    using MultiOperations<Face>::face_;
    using MultiOperations<Face>::handle_;

public:
    using MultiOperations<Face>::MultiOperations;

    /// Looks up to 16 paths up in one request: `co_await bucket.lookup_in("k", {sd::get("a.b"), sd::exists("c")})`.
    /// Errors of paths are in the result, one by one. Errors: document_not_found (unless quiet), document_not_json,
    /// and those common to all operations. Asked once more after a lost connection.
    template <class... Extra>
    auto lookup_in(std::string_view key, const LookupSpecs& specs, LookupInOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.lookup_in(key, specs, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<LookupInOptions> Extra>
    auto lookup_in(std::string_view key, const LookupSpecs& specs, Extra&& extra) {
        return lookup_in(key, specs, LookupInOptions{}, std::forward<Extra>(extra));
    }

    /// lookup_in of values: `co_await bucket.retrieve_in("k", {"a.b", "c"})`.
    template <class... Extra>
    auto retrieve_in(std::string_view key, const SubdocPaths& paths, LookupInOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.lookup_in(key, paths, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<LookupInOptions> Extra>
    auto retrieve_in(std::string_view key, const SubdocPaths& paths, Extra&& extra) {
        return retrieve_in(key, paths, LookupInOptions{}, std::forward<Extra>(extra));
    }

    /// Changes the document at up to 16 paths, all or nothing: `co_await bucket.mutate_in("k", {sd::upsert("a",
    /// "1")})`. Not repeated after a lost connection. Errors: that of the first path that failed (path_not_found,
    /// path_exists, path_mismatch, …), whose ErrorContext has `spec`, the caller's index, and `path`;
    /// document_not_found, document_exists, cas_mismatch, document_not_json, value_too_large.
    template <class... Extra>
    auto mutate_in(std::string_view key, const MutateSpecs& specs, MutateInOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.mutate_in(key, specs, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<MutateInOptions> Extra>
    auto mutate_in(std::string_view key, const MutateSpecs& specs, Extra&& extra) {
        return mutate_in(key, specs, MutateInOptions{}, std::forward<Extra>(extra));
    }
};

}  // namespace chaise
