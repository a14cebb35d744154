#pragma once

#include <span>

#include "protocol/request_context.hpp"

// Encoders of the sub-document commands (protocol.md 2.3).
namespace chaise::protocol {

namespace path_flag {
inline constexpr std::uint8_t mkdir_p = 0x01;
inline constexpr std::uint8_t xattr = 0x04;
inline constexpr std::uint8_t expand_macros = 0x10;
inline constexpr std::uint8_t binary_value = 0x20;
}  // namespace path_flag

namespace doc_flag {
inline constexpr std::uint8_t mkdoc = 0x01;
inline constexpr std::uint8_t add = 0x02;
inline constexpr std::uint8_t access_deleted = 0x04;
inline constexpr std::uint8_t create_as_deleted = 0x08;
inline constexpr std::uint8_t revive_document = 0x10;
inline constexpr std::uint8_t replica_read = 0x20;
}  // namespace doc_flag

inline constexpr std::size_t max_subdoc_specs = 16;
inline constexpr std::size_t max_subdoc_path = 1024;

/// subdoc_get, subdoc_exists, subdoc_get_count.
struct SubdocLookupRequest {
    RequestContext context{};
    Opcode opcode = Opcode::subdoc_get;
    std::string_view key{};
    std::string_view path{};
    std::uint8_t path_flags = 0;
    std::optional<std::uint8_t> doc_flags{};
};

/// The single-path mutations. Without expiry the document's expiry is removed (unless preserve-TTL is sent).
struct SubdocMutationRequest {
    RequestContext context{};
    Opcode opcode = Opcode::subdoc_dict_upsert;
    std::string_view key{};
    std::string_view path{};
    std::string_view value{};
    std::uint8_t path_flags = 0;
    std::optional<std::uint8_t> doc_flags{};
    std::optional<std::uint32_t> expiry{};
    std::optional<std::uint32_t> user_flags{};  ///< sent with an expiry, 0 if there is none
};

struct LookupSpec {
    Opcode opcode = Opcode::subdoc_get;  ///< or get with an empty path: the whole document
    std::uint8_t path_flags = 0;
    std::string_view path{};
};

struct MutationSpec {
    Opcode opcode = Opcode::subdoc_dict_upsert;  ///< or set / remove with an empty path: the whole document
    std::uint8_t path_flags = 0;
    std::string_view path{};
    std::string_view value{};
};

/// 1 to 16 specs, xattr specs first.
struct MultiLookupRequest {
    RequestContext context{};
    std::string_view key{};
    std::span<const LookupSpec> specs{};
    std::optional<std::uint8_t> doc_flags{};
};

struct MultiMutationRequest {
    RequestContext context{};
    std::string_view key{};
    std::span<const MutationSpec> specs{};
    std::optional<std::uint8_t> doc_flags{};
    std::optional<std::uint32_t> expiry{};
    std::optional<std::uint32_t> user_flags{};  ///< sent with an expiry, 0 if there is none
};

[[nodiscard]] std::size_t encoded_size(const SubdocLookupRequest& r) noexcept;
char* encode(const SubdocLookupRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const SubdocMutationRequest& r) noexcept;
char* encode(const SubdocMutationRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const MultiLookupRequest& r) noexcept;
char* encode(const MultiLookupRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const MultiMutationRequest& r) noexcept;
char* encode(const MultiMutationRequest& r, char* out) noexcept;

}  // namespace chaise::protocol
