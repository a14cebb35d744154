#pragma once

#include <array>
#include <span>

#include "protocol/request_decoder.hpp"
#include "protocol/subdocument_requests.hpp"

// The server's side of the sub-document commands (protocol.md 2.3).
namespace chaise::protocol {

/// Any sub-document command; the single-path ones have one spec. Whether specs and flags go together is the server's
/// to say; here it is only the layout that counts.
struct DecodedSubdoc {
    RequestContext context{};
    Opcode opcode{};
    std::string_view key{};
    std::uint8_t doc_flags = 0;
    std::optional<std::uint32_t> expiry{};
    std::optional<std::uint32_t> user_flags{};
    /// One more than there may be: then there are too many.
    std::array<MutationSpec, max_subdoc_specs + 1> storage{};
    std::size_t count = 0;
    [[nodiscard]] std::span<const MutationSpec> specs() const noexcept { return {storage.data(), count}; }
};
RequestError decode(const Frame& frame, DecodedSubdoc& out, RequestDecodeOptions options = {}) noexcept;

}  // namespace chaise::protocol
