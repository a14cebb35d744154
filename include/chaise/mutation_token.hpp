#pragma once

/// \file
/// What tells one version of a document from another: its CAS, and where the mutation that made it stands.

#include <cstdint>

namespace chaise {

/// Compare-and-swap token of a document: opaque, 0 means none.
using Cas = std::uint64_t;

/// Where a mutation stands in the history of its vbucket. Only Couchbase servers send it.
struct MutationToken {
    std::uint64_t vbucket_uuid = 0;
    std::uint64_t seqno = 0;
    std::uint16_t vbucket = 0;
    friend bool operator==(const MutationToken&, const MutationToken&) = default;
};

}  // namespace chaise
