#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kv/document.hpp"
#include "protocol/subdocument_requests.hpp"

// What sub-document commands do to one document (protocol.md 2.3). No request, no vbucket: document in, document out.
namespace chaise::testing {

using SubdocSpecs = std::span<const protocol::MutationSpec>;

/// Whether the specs and flags of a request go together, whatever the document is.
[[nodiscard]] protocol::Status check_subdoc_request(protocol::Opcode command, SubdocSpecs specs,
                                                    std::uint8_t doc_flags);

struct SubdocAnswer {
    protocol::Status status = protocol::Status::success;
    std::string value{};
};

/// What virtual attributes tell beside the document.
struct SubdocSurroundings {
    std::uint64_t vbucket_uuid = 0;
    std::uint32_t now = 0;  ///< Unix seconds
};

/// One answer per spec.
[[nodiscard]] std::vector<SubdocAnswer> subdoc_lookup(const Document& document, SubdocSpecs specs,
                                                      const SubdocSurroundings& surroundings);

struct SubdocOutcome {
    std::size_t failed = 0;                               ///< the first spec that failed
    protocol::Status status = protocol::Status::success;  ///< of that one
    std::vector<SubdocAnswer> answers{};                  ///< else one per spec
};

/// `found` (null: nothing) becomes `next`, which comes as a copy of it, or empty, with the cas and seqno that it will
/// have. A tombstone stays one, unless it is revived. What is in `next` after a failure is of no use.
[[nodiscard]] SubdocOutcome subdoc_mutate(const Document* found, Document& next, SubdocSpecs specs,
                                          std::uint8_t doc_flags, const SubdocSurroundings& surroundings);

}  // namespace chaise::testing
