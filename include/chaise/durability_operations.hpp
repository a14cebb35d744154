#pragma once

/// \file
/// endure, and the scope that makes mutations durable, declared once for all faces.

#include <chaise/data_structures.hpp>
#include <chaise/durability.hpp>

#include <string_view>
#include <utility>

namespace chaise {

/// Waiting until a mutation is safe. Plain memcached and memcached buckets have no copies: there these end with
/// unsupported_operation, and nothing is sent.
template <class Face>
class DurabilityOperations : public DataStructureOperations<Face> {
protected:
    using DataStructureOperations<Face>::face_;
    using DataStructureOperations<Face>::handle_;

public:
    using DataStructureOperations<Face>::DataStructureOperations;

    /// Waits until as many copies have the document as asked for. The active copy must always have it. The result says
    /// which copies were seen to (persisted_on(), replicated_on()); its cas() is the active copy's.
    ///
    /// The nodes are asked at once, and again after each interval; a node that is silent, or a replica that lags, holds
    /// up nobody else. The newest cluster map is followed.
    ///
    /// Errors: invalid_argument (both 0, more than 4 copies, an interval that is not more than 0, a token of another
    /// key's vbucket), durability_impossible (more copies than the cluster has, before anything is asked; or their
    /// number shrank meanwhile); document_not_found (the active copy is not there), mutation_superseded (it has another
    /// CAS than the one given), mutation_lost (with a token: a failover has lost the mutation); at the timeout
    /// timeout_after_send, whose context tells what had been seen.
    template <class... Extra>
    auto endure(std::string_view key, EndureOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.endure(key, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<EndureOptions> Extra>
    auto endure(std::string_view key, Extra&& extra) {
        return endure(key, EndureOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: keys; EndureEntry; pairs of a key and a CAS, a MutationToken or a result; entries of the MultiResult
    /// of mutations, which name the version. Each as endure, also one that is given twice. A node is asked for all of
    /// its keys in one packet; with tokens, in one for each vbucket. Keys are copied.
    template <detail::EndureRange Range, class... Extra>
    auto endure_multi(Range&& range, EndureMultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.endure_multi(range, options), std::forward<Extra>(extra)...);
    }
    template <detail::EndureRange Range, detail::FaceArgument<EndureMultiOptions> Extra>
    auto endure_multi(Range&& range, Extra&& extra) {
        return endure_multi(range, EndureMultiOptions{}, std::forward<Extra>(extra));
    }
};

}  // namespace chaise
