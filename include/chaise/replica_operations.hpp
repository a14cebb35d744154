#pragma once

/// \file
/// The operations that look at the copies of a document, declared once for all faces.

#include <chaise/document_operations.hpp>
#include <chaise/meta.hpp>
#include <chaise/multi.hpp>
#include <chaise/observe.hpp>
#include <chaise/replica.hpp>

#include <string_view>
#include <utility>

namespace chaise {

/// Reads from replicas, observe, get_meta. Plain memcached serves none of them: there they end with
/// unsupported_operation, and nothing is sent.
template <class Face>
class ReplicaOperations : public DocumentOperations<Face> {
protected:
    using DocumentOperations<Face>::face_;
    using DocumentOperations<Face>::handle_;

public:
    using DocumentOperations<Face>::DocumentOperations;

    /// The document as a copy of it has it: with `index` that replica, otherwise every copy is asked, the active one,
    /// too, and the first that has it wins. So it works while the active node is dead; what a replica gives may be
    /// older than the last write. A copy that moves meanwhile is asked for where it is now.
    ///
    /// The seed's `rget(key, replica_index)`, `rget(key)` and `get(key, replica=True)`; but as today's clients do, and
    /// unlike the seed, all copies are asked at once, the active one among them.
    ///
    /// Errors: document_unretrievable (every copy answered, and none has it; with `index`: no node has that replica
    /// now; or no copy is in the preferred server group), document_not_found (with `index`; these two not when quiet,
    /// if it is simply not there), timeouts (no copy answered), invalid_argument (the bucket has no such replica).
    template <class... Extra>
    auto get_replica(std::string_view key, GetReplicaOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.get_replica(key, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<GetReplicaOptions> Extra>
    auto get_replica(std::string_view key, Extra&& extra) {
        return get_replica(key, GetReplicaOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: keys, or entries of another MultiResult (see MultiOperations). Each as get_replica.
    template <detail::MultiRange<detail::ReadKey> Range, class... Extra>
    auto get_replica_multi(Range&& range, GetReplicaOptions options = {}, Extra&&... extra) {
        return face_.wrap(
            handle_.template multi<ReplicaResult, detail::ReadKey>({.kind = detail::OperationKind::get_replica,
                                                                    .timeout = options.timeout,
                                                                    .quiet = options.quiet,
                                                                    .replica = options.index,
                                                                    .read_preference = options.read_preference},
                                                                   range),
            std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadKey> Range, detail::FaceArgument<GetReplicaOptions> Extra>
    auto get_replica_multi(Range&& range, Extra&& extra) {
        return get_replica_multi(range, GetReplicaOptions{}, std::forward<Extra>(extra));
    }

    /// The document as each copy has it. Comes when every copy has answered, or at the timeout with those that have.
    /// Errors: as get_replica, without index.
    template <class... Extra>
    auto get_all_replicas(std::string_view key, GetAllReplicasOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.get_all_replicas(key, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<GetAllReplicasOptions> Extra>
    auto get_all_replicas(std::string_view key, Extra&& extra) {
        return get_all_replicas(key, GetAllReplicasOptions{}, std::forward<Extra>(extra));
    }

    /// Looks up to 16 paths up (see lookup_in) in a copy of the document; which copies, and errors, as get_replica.
    /// Errors of paths are in the result. And feature_not_available, with nothing sent: the bucket's nodes do not read
    /// parts of replicas (Couchbase before 7.6).
    template <class... Extra>
    auto lookup_in_replica(std::string_view key, const LookupSpecs& specs, LookupInReplicaOptions options = {},
                           Extra&&... extra) {
        return face_.wrap(handle_.lookup_in_replica(key, specs, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<LookupInReplicaOptions> Extra>
    auto lookup_in_replica(std::string_view key, const LookupSpecs& specs, Extra&& extra) {
        return lookup_in_replica(key, specs, LookupInReplicaOptions{}, std::forward<Extra>(extra));
    }

    /// The paths as each copy has them; comes when get_all_replicas would.
    template <class... Extra>
    auto lookup_in_all_replicas(std::string_view key, const LookupSpecs& specs, LookupInAllReplicasOptions options = {},
                                Extra&&... extra) {
        return face_.wrap(handle_.lookup_in_all_replicas(key, specs, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<LookupInAllReplicasOptions> Extra>
    auto lookup_in_all_replicas(std::string_view key, const LookupSpecs& specs, Extra&& extra) {
        return lookup_in_all_replicas(key, specs, LookupInAllReplicasOptions{}, std::forward<Extra>(extra));
    }

    /// What each node that has a copy knows of it. A copy whose node did not answer within the timeout says so in its
    /// entry; only when none answered the operation fails, with the first of their errors.
    template <class... Extra>
    auto observe(std::string_view key, ObserveOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.observe(key, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ObserveOptions> Extra>
    auto observe(std::string_view key, Extra&& extra) {
        return observe(key, ObserveOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: keys, or entries of another MultiResult. Each as observe; a node is asked for all of its keys in one
    /// packet. Keys are copied.
    template <detail::MultiRange<detail::ReadKey> Range, class... Extra>
    auto observe_multi(Range&& range, ObserveOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.observe_multi(range, options), std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadKey> Range, detail::FaceArgument<ObserveOptions> Extra>
    auto observe_multi(Range&& range, Extra&& extra) {
        return observe_multi(range, ObserveOptions{}, std::forward<Extra>(extra));
    }

    /// What the active node knows of the document besides its value; also of one that was removed, as long as the node
    /// remembers it (deleted()). Errors: document_not_found (unless quiet).
    template <class... Extra>
    auto get_meta(std::string_view key, GetMetaOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.get_meta(key, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<GetMetaOptions> Extra>
    auto get_meta(std::string_view key, Extra&& extra) {
        return get_meta(key, GetMetaOptions{}, std::forward<Extra>(extra));
    }
};

}  // namespace chaise
