#pragma once

// What the parts of sub-document operations share: starting them, and what their answers become.

#include "bucket/core.hpp"
#include "bucket/start.hpp"
#include "protocol/frame_info.hpp"
#include "protocol/subdocument_requests.hpp"

#include <chaise/subdocument.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace chaise::detail {

inline bool check_subdocument(Core& core, Slot& slot, std::string_view key) {
    if (core.settings().connection.scheme != Scheme::memcached) [[likely]]
        return true;
    core.reject(slot, errc::unsupported_operation, key.substr(0, protocol::max_key_size),
                "plain memcached has no sub-documents");
    return false;
}

inline constexpr std::array<protocol::RequestFrameInfo, 1> preserve_ttl{protocol::RequestFrameInfo::preserve_ttl()};
inline std::span<const protocol::RequestFrameInfo> frame_infos(bool preserve_expiry) noexcept {
    return preserve_expiry ? std::span<const protocol::RequestFrameInfo>(preserve_ttl)
                           : std::span<const protocol::RequestFrameInfo>();
}

/// What is wrong with the specs, in words; empty if nothing.
[[nodiscard]] std::string fault_of(const LookupSpecs& specs);
/// As they are sent: those on extended attributes first. Their paths are the caller's.
struct WireLookup {
    explicit WireLookup(const LookupSpecs& of) noexcept;
    [[nodiscard]] std::span<const protocol::LookupSpec> view() const noexcept { return {specs.data(), size}; }

    std::array<protocol::LookupSpec, LookupSpecs::most> specs{};
    std::size_t size = 0;
    std::uint16_t xattr_specs = 0;  ///< Slot::xattr_specs
};

// In a slot of the kind lookup_in, or mutate_in.
void start_lookup_in(Core& core, Slot& slot, std::string_view key, const LookupSpecs& specs,
                     const LookupInOptions& options);
void start_mutate_in(Core& core, Slot& slot, std::string_view key, const MutateSpecs& specs,
                     const MutateInOptions& options);

/// The request that the slot sent.
[[nodiscard]] protocol::Frame request_of(const Slot& slot) noexcept;
/// What a mutation gives: a mutation token may follow the status, memcached's TOUCH adds flags (protocol.md 2.1).
[[nodiscard]] OperationResult mutation_result(const protocol::Frame& frame, std::uint16_t vbucket) noexcept;
/// With its quotes, up to a length.
[[nodiscard]] std::string shown_path(std::string_view path);

/// What a lookup_in comes to; nothing if the response is malformed. `xattr_specs`: bit n is set if the caller's n-th
/// spec was sent in front.
[[nodiscard]] std::optional<SubdocResult> lookup_result(const protocol::Frame& request, const protocol::Frame& response,
                                                        std::uint16_t xattr_specs, Buffer* buffer);
[[nodiscard]] std::optional<SubdocResult> mutate_result(const protocol::Frame& request, const protocol::Frame& response,
                                                        std::uint16_t xattr_specs, OperationResult outcome,
                                                        Buffer* buffer);
/// The spec that made a mutate_in fail, if the response says so.
struct FailedSpec {
    std::size_t spec = 0;  ///< the caller's index
    std::string_view path{};
    errc code = errc::success;
    std::uint16_t status = 0;
};
[[nodiscard]] std::optional<FailedSpec> failed_spec(const protocol::Frame& request, const protocol::Frame& response,
                                                    std::uint16_t xattr_specs);
/// The request is an insert of the document.
[[nodiscard]] bool inserts_document(const protocol::Frame& request) noexcept;

}  // namespace chaise::detail
