#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace chaise::protocol {

/// Status of a response (protocol.md 4.1).
enum class Status : std::uint16_t {
    success = 0x00,
    key_enoent = 0x01,
    key_eexists = 0x02,
    e2big = 0x03,
    einval = 0x04,
    not_stored = 0x05,
    delta_badval = 0x06,
    not_my_vbucket = 0x07,
    no_bucket = 0x08,
    locked = 0x09,
    stream_not_found = 0x0a,
    opaque_no_match = 0x0b,
    ewould_throttle = 0x0c,
    econfig_only = 0x0d,
    not_locked = 0x0e,
    cas_value_invalid = 0x0f,
    auth_stale = 0x1f,
    auth_error = 0x20,
    auth_continue = 0x21,
    erange = 0x22,
    rollback = 0x23,
    eaccess = 0x24,
    not_initialized = 0x25,
    encryption_key_not_available = 0x26,
    checksum_mismatch = 0x27,
    expiry_overflow = 0x28,
    lock_expiry_overflow = 0x29,
    rate_limited_network_ingress = 0x30,
    rate_limited_network_egress = 0x31,
    rate_limited_max_connections = 0x32,
    rate_limited_max_commands = 0x33,
    scope_size_limit_exceeded = 0x34,
    bucket_size_limit_exceeded = 0x35,
    bucket_resident_ratio_too_low = 0x36,
    bucket_data_size_too_big = 0x37,
    bucket_disk_space_too_low = 0x38,
    bucket_paused = 0x50,
    cancelled = 0x51,
    unknown_frame_info = 0x80,
    unknown_command = 0x81,
    enomem = 0x82,
    not_supported = 0x83,
    einternal = 0x84,
    ebusy = 0x85,
    etmpfail = 0x86,
    xattr_einval = 0x87,
    unknown_collection = 0x88,
    no_collections_manifest = 0x89,
    cannot_apply_collections_manifest = 0x8a,
    manifest_ahead = 0x8b,
    unknown_scope = 0x8c,
    dcp_streamid_invalid = 0x8d,
    durability_invalid_level = 0xa0,
    durability_impossible = 0xa1,
    sync_write_in_progress = 0xa2,
    sync_write_ambiguous = 0xa3,
    sync_write_re_commit_in_progress = 0xa4,
    range_scan_cancelled = 0xa5,
    range_scan_more = 0xa6,
    range_scan_complete = 0xa7,
    vbuuid_not_equal = 0xa8,
    subdoc_path_enoent = 0xc0,
    subdoc_path_mismatch = 0xc1,
    subdoc_path_einval = 0xc2,
    subdoc_path_e2big = 0xc3,
    subdoc_doc_e2deep = 0xc4,
    subdoc_value_cantinsert = 0xc5,
    subdoc_doc_notjson = 0xc6,
    subdoc_num_erange = 0xc7,
    subdoc_delta_einval = 0xc8,
    subdoc_path_eexists = 0xc9,
    subdoc_value_etoodeep = 0xca,
    subdoc_invalid_combo = 0xcb,
    subdoc_multi_path_failure = 0xcc,
    subdoc_success_deleted = 0xcd,
    subdoc_xattr_invalid_flag_combo = 0xce,
    subdoc_xattr_invalid_key_combo = 0xcf,
    subdoc_xattr_unknown_macro = 0xd0,
    subdoc_xattr_unknown_vattr = 0xd1,
    subdoc_xattr_cant_modify_vattr = 0xd2,
    subdoc_multi_path_failure_deleted = 0xd3,
    subdoc_invalid_xattr_order = 0xd4,
    subdoc_xattr_unknown_vattr_macro = 0xd5,
    subdoc_can_only_revive_deleted_documents = 0xd6,
    subdoc_deleted_document_cant_have_value = 0xd7,
    subdoc_field_not_binary_value = 0xd8,
};

/// Attributes of the error map (version 2), as a set: what a status means for the request and the connection.
enum class ErrorAttribute : std::uint32_t {
    none = 0,
    success = 1u << 0,
    item_only = 1u << 1,
    item_locked = 1u << 2,
    item_deleted = 1u << 3,
    invalid_input = 1u << 4,
    fetch_config = 1u << 5,
    conn_state_invalidated = 1u << 6,
    auth = 1u << 7,
    special_handling = 1u << 8,
    support = 1u << 9,
    temp = 1u << 10,
    retry_now = 1u << 11,
    retry_later = 1u << 12,
    auto_retry = 1u << 13,
    internal = 1u << 14,
    subdoc = 1u << 15,
    dcp = 1u << 16,
    rate_limit = 1u << 17,
    system_constraint = 1u << 18,
    no_retry = 1u << 19,
};

[[nodiscard]] constexpr ErrorAttribute operator|(ErrorAttribute a, ErrorAttribute b) noexcept {
    return static_cast<ErrorAttribute>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
[[nodiscard]] constexpr bool has(ErrorAttribute set, ErrorAttribute attribute) noexcept {
    return (static_cast<std::uint32_t>(set) & static_cast<std::uint32_t>(attribute)) != 0;
}

namespace detail {

struct AttributeName {
    ErrorAttribute attribute;
    std::string_view name;
};

inline constexpr std::array attribute_names = {
    AttributeName{ErrorAttribute::success, "success"},
    AttributeName{ErrorAttribute::item_only, "item-only"},
    AttributeName{ErrorAttribute::item_locked, "item-locked"},
    AttributeName{ErrorAttribute::item_deleted, "item-deleted"},
    AttributeName{ErrorAttribute::invalid_input, "invalid-input"},
    AttributeName{ErrorAttribute::fetch_config, "fetch-config"},
    AttributeName{ErrorAttribute::conn_state_invalidated, "conn-state-invalidated"},
    AttributeName{ErrorAttribute::auth, "auth"},
    AttributeName{ErrorAttribute::special_handling, "special-handling"},
    AttributeName{ErrorAttribute::support, "support"},
    AttributeName{ErrorAttribute::temp, "temp"},
    AttributeName{ErrorAttribute::retry_now, "retry-now"},
    AttributeName{ErrorAttribute::retry_later, "retry-later"},
    AttributeName{ErrorAttribute::auto_retry, "auto-retry"},
    AttributeName{ErrorAttribute::internal, "internal"},
    AttributeName{ErrorAttribute::subdoc, "subdoc"},
    AttributeName{ErrorAttribute::dcp, "dcp"},
    AttributeName{ErrorAttribute::rate_limit, "rate-limit"},
    AttributeName{ErrorAttribute::system_constraint, "system-constraint"},
    AttributeName{ErrorAttribute::no_retry, "no-retry"},
};

struct StatusInfo {
    std::string_view name = "UNKNOWN";
    ErrorAttribute attributes = ErrorAttribute::none;
};

// Indexed by code: every status there is fits in a byte.
consteval std::array<StatusInfo, 256> make_status_table() {
    using enum ErrorAttribute;
    std::array<StatusInfo, 256> table{};
    const auto put = [&table](Status status, std::string_view name, ErrorAttribute attributes) {
        table[static_cast<std::size_t>(status)] = {name, attributes};
    };
    put(Status::success, "SUCCESS", success);
    put(Status::key_enoent, "KEY_ENOENT", item_only);
    put(Status::key_eexists, "KEY_EEXISTS", item_only);
    put(Status::e2big, "E2BIG", item_only | invalid_input);
    put(Status::einval, "EINVAL", internal | invalid_input);
    put(Status::not_stored, "NOT_STORED", internal | item_only);
    put(Status::delta_badval, "DELTA_BADVAL", item_only | invalid_input);
    put(Status::not_my_vbucket, "NOT_MY_VBUCKET", fetch_config | invalid_input);
    put(Status::no_bucket, "NO_BUCKET", conn_state_invalidated);
    put(Status::locked, "LOCKED", item_locked | item_only | retry_now);
    put(Status::stream_not_found, "STREAM_NOT_FOUND", conn_state_invalidated);
    put(Status::opaque_no_match, "OPAQUE_NO_MATCH", conn_state_invalidated);
    put(Status::ewould_throttle, "EWOULD_THROTTLE", temp | retry_later | rate_limit);
    put(Status::econfig_only, "ECONFIG_ONLY", fetch_config | retry_now);
    put(Status::not_locked, "NOT_LOCKED", item_only);
    put(Status::cas_value_invalid, "CAS_VALUE_INVALID", item_only);
    put(Status::auth_stale, "AUTH_STALE", conn_state_invalidated | auth);
    put(Status::auth_error, "AUTH_ERROR", conn_state_invalidated | auth);
    put(Status::auth_continue, "AUTH_CONTINUE", special_handling);
    put(Status::erange, "ERANGE", invalid_input);
    put(Status::rollback, "ROLLBACK", dcp | special_handling);
    put(Status::eaccess, "EACCESS", support);
    put(Status::not_initialized, "NOT_INITIALIZED", conn_state_invalidated);
    put(Status::encryption_key_not_available, "ENCRYPTION_KEY_NOT_AVAILABLE", special_handling);
    put(Status::checksum_mismatch, "CHECKSUM_MISMATCH", special_handling);
    put(Status::expiry_overflow, "EXPIRY_OVERFLOW", item_only | system_constraint | no_retry);
    put(Status::lock_expiry_overflow, "LOCK_EXPIRY_OVERFLOW", item_only | system_constraint | no_retry);
    put(Status::rate_limited_network_ingress, "RATE_LIMITED_NETWORK_INGRESS", temp | retry_later | rate_limit);
    put(Status::rate_limited_network_egress, "RATE_LIMITED_NETWORK_EGRESS", temp | retry_later | rate_limit);
    put(Status::rate_limited_max_connections, "RATE_LIMITED_MAX_CONNECTIONS", conn_state_invalidated | rate_limit);
    put(Status::rate_limited_max_commands, "RATE_LIMITED_MAX_COMMANDS", temp | retry_later | rate_limit);
    put(Status::scope_size_limit_exceeded, "SCOPE_SIZE_LIMIT_EXCEEDED", none);
    put(Status::bucket_size_limit_exceeded, "BUCKET_SIZE_LIMIT_EXCEEDED", item_only | system_constraint | no_retry);
    put(Status::bucket_resident_ratio_too_low, "BUCKET_RESIDENT_RATIO_TOO_LOW",
        item_only | system_constraint | no_retry);
    put(Status::bucket_data_size_too_big, "BUCKET_DATA_SIZE_TOO_BIG", item_only | system_constraint | no_retry);
    put(Status::bucket_disk_space_too_low, "BUCKET_DISK_SPACE_TOO_LOW", item_only | system_constraint | no_retry);
    put(Status::bucket_paused, "BUCKET_PAUSED", support);
    put(Status::cancelled, "CANCELLED", item_only | retry_now);
    put(Status::unknown_frame_info, "UNKNOWN_FRAME_INFO", support);
    put(Status::unknown_command, "UNKNOWN_COMMAND", support);
    put(Status::enomem, "ENOMEM", temp | retry_later);
    put(Status::not_supported, "NOT_SUPPORTED", support);
    put(Status::einternal, "EINTERNAL", internal | conn_state_invalidated);
    put(Status::ebusy, "EBUSY", temp | retry_now);
    put(Status::etmpfail, "ETMPFAIL", temp | retry_now);
    put(Status::xattr_einval, "XATTR_EINVAL", invalid_input);
    put(Status::unknown_collection, "UNKNOWN_COLLECTION", invalid_input);
    put(Status::no_collections_manifest, "NO_COLLECTIONS_MANIFEST", none);
    put(Status::cannot_apply_collections_manifest, "CANNOT_APPLY_COLLECTIONS_MANIFEST", invalid_input);
    put(Status::manifest_ahead, "MANIFEST_AHEAD", none);
    put(Status::unknown_scope, "UNKNOWN_SCOPE", invalid_input);
    put(Status::dcp_streamid_invalid, "DCP_STREAMID_INVALID", invalid_input);
    put(Status::durability_invalid_level, "DURABILITY_INVALID_LEVEL", invalid_input);
    put(Status::durability_impossible, "DURABILITY_IMPOSSIBLE", item_only | invalid_input);
    put(Status::sync_write_in_progress, "SYNC_WRITE_IN_PROGRESS", item_only | retry_later);
    put(Status::sync_write_ambiguous, "SYNC_WRITE_AMBIGUOUS", item_only);
    put(Status::sync_write_re_commit_in_progress, "SYNC_WRITE_RE_COMMIT_IN_PROGRESS", item_only | retry_later);
    put(Status::range_scan_cancelled, "RANGE_SCAN_CANCELLED", success);
    put(Status::range_scan_more, "RANGE_SCAN_MORE", success);
    put(Status::range_scan_complete, "RANGE_SCAN_COMPLETE", success);
    put(Status::vbuuid_not_equal, "VBUUID_NOT_EQUAL", invalid_input);
    put(Status::subdoc_path_enoent, "SUBDOC_PATH_ENOENT", subdoc | item_only);
    put(Status::subdoc_path_mismatch, "SUBDOC_PATH_MISMATCH", subdoc | item_only);
    put(Status::subdoc_path_einval, "SUBDOC_PATH_EINVAL", subdoc | invalid_input);
    put(Status::subdoc_path_e2big, "SUBDOC_PATH_E2BIG", subdoc | invalid_input);
    put(Status::subdoc_doc_e2deep, "SUBDOC_DOC_E2DEEP", subdoc | invalid_input);
    put(Status::subdoc_value_cantinsert, "SUBDOC_VALUE_CANTINSERT", subdoc | invalid_input);
    put(Status::subdoc_doc_notjson, "SUBDOC_DOC_NOTJSON", subdoc | item_only);
    put(Status::subdoc_num_erange, "SUBDOC_NUM_ERANGE", subdoc | item_only);
    put(Status::subdoc_delta_einval, "SUBDOC_DELTA_EINVAL", subdoc | item_only);
    put(Status::subdoc_path_eexists, "SUBDOC_PATH_EEXISTS", subdoc | item_only);
    put(Status::subdoc_value_etoodeep, "SUBDOC_VALUE_ETOODEEP", subdoc | invalid_input | item_only);
    put(Status::subdoc_invalid_combo, "SUBDOC_INVALID_COMBO", subdoc | invalid_input);
    put(Status::subdoc_multi_path_failure, "SUBDOC_MULTI_PATH_FAILURE", subdoc | special_handling);
    put(Status::subdoc_success_deleted, "SUBDOC_SUCCESS_DELETED", item_deleted | success | subdoc);
    put(Status::subdoc_xattr_invalid_flag_combo, "SUBDOC_XATTR_INVALID_FLAG_COMBO", subdoc | invalid_input);
    put(Status::subdoc_xattr_invalid_key_combo, "SUBDOC_XATTR_INVALID_KEY_COMBO", subdoc | invalid_input);
    put(Status::subdoc_xattr_unknown_macro, "SUBDOC_XATTR_UNKNOWN_MACRO", subdoc | invalid_input);
    put(Status::subdoc_xattr_unknown_vattr, "SUBDOC_XATTR_UNKNOWN_VATTR", subdoc | invalid_input);
    put(Status::subdoc_xattr_cant_modify_vattr, "SUBDOC_XATTR_CANT_MODIFY_VATTR", subdoc | invalid_input);
    put(Status::subdoc_multi_path_failure_deleted, "SUBDOC_MULTI_PATH_FAILURE_DELETED",
        item_deleted | subdoc | special_handling);
    put(Status::subdoc_invalid_xattr_order, "SUBDOC_INVALID_XATTR_ORDER", subdoc | invalid_input);
    put(Status::subdoc_xattr_unknown_vattr_macro, "SUBDOC_XATTR_UNKNOWN_VATTR_MACRO", subdoc | invalid_input);
    put(Status::subdoc_can_only_revive_deleted_documents, "SUBDOC_CAN_ONLY_REVIVE_DELETED_DOCUMENTS",
        subdoc | item_only);
    put(Status::subdoc_deleted_document_cant_have_value, "SUBDOC_DELETED_DOCUMENT_CANT_HAVE_VALUE", subdoc | item_only);
    put(Status::subdoc_field_not_binary_value, "SUBDOC_FIELD_NOT_BINARY_VALUE", subdoc | item_only);
    return table;
}

inline constexpr std::array<StatusInfo, 256> status_table = make_status_table();

}  // namespace detail

/// "KEY_ENOENT", "ETMPFAIL" …; "UNKNOWN" for codes without a built-in meaning (ask the error map).
[[nodiscard]] constexpr std::string_view name(Status status) noexcept {
    const auto code = static_cast<std::uint16_t>(status);
    return code < detail::status_table.size() ? detail::status_table[code].name : "UNKNOWN";
}

[[nodiscard]] constexpr bool is_known(Status status) noexcept { return name(status) != "UNKNOWN"; }

/// What is built in; none for unknown codes.
[[nodiscard]] constexpr ErrorAttribute attributes(Status status) noexcept {
    const auto code = static_cast<std::uint16_t>(status);
    return code < detail::status_table.size() ? detail::status_table[code].attributes : ErrorAttribute::none;
}

[[nodiscard]] constexpr bool has_attribute(Status status, ErrorAttribute attribute) noexcept {
    return has(attributes(status), attribute);
}

/// "item-only" …, as error maps spell it.
[[nodiscard]] constexpr std::string_view name(ErrorAttribute attribute) noexcept {
    for (const auto& entry : detail::attribute_names)
        if (entry.attribute == attribute) return entry.name;
    return "UNKNOWN";
}

/// Nothing for attributes that are not known: they are to be ignored.
[[nodiscard]] constexpr std::optional<ErrorAttribute> error_attribute(std::string_view text) noexcept {
    for (const auto& entry : detail::attribute_names)
        if (entry.name == text) return entry.attribute;
    return std::nullopt;
}

/// The value is the command's own payload; with every other status it is error context, free text or nothing.
[[nodiscard]] constexpr bool carries_payload(Status status) noexcept {
    switch (status) {
        case Status::success:
        case Status::auth_continue:
        case Status::rollback:
        case Status::subdoc_multi_path_failure:
        case Status::subdoc_success_deleted:
        case Status::subdoc_multi_path_failure_deleted:
        case Status::range_scan_more:
        case Status::range_scan_complete:
            return true;
        default:
            return false;
    }
}

}  // namespace chaise::protocol
