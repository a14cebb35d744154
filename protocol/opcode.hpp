#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace chaise::protocol {

/// Commands (protocol.md section 2). What a client never sends (administration, DCP) is here for its name in logs.
enum class Opcode : std::uint8_t {
    get = 0x00,
    set = 0x01,
    add = 0x02,
    replace = 0x03,
    remove = 0x04,  ///< DELETE
    increment = 0x05,
    decrement = 0x06,
    quit = 0x07,
    flush = 0x08,
    getq = 0x09,
    noop = 0x0a,
    version = 0x0b,
    getk = 0x0c,
    getkq = 0x0d,
    append = 0x0e,
    prepend = 0x0f,
    stat = 0x10,
    setq = 0x11,
    addq = 0x12,
    replaceq = 0x13,
    removeq = 0x14,
    incrementq = 0x15,
    decrementq = 0x16,
    quitq = 0x17,
    flushq = 0x18,
    appendq = 0x19,
    prependq = 0x1a,
    verbosity = 0x1b,
    touch = 0x1c,
    gat = 0x1d,
    gatq = 0x1e,
    hello = 0x1f,
    sasl_list_mechs = 0x20,
    sasl_auth = 0x21,
    sasl_step = 0x22,
    gatk = 0x23,   ///< plain memcached only; Couchbase reads IOCTL_GET
    gatkq = 0x24,  ///< plain memcached only; Couchbase reads IOCTL_SET
    config_validate = 0x25,
    config_reload = 0x26,
    audit_put = 0x27,
    audit_config_reload = 0x28,
    shutdown = 0x29,
    set_bucket_throttle_properties = 0x2a,
    set_bucket_data_limit_exceeded = 0x2b,
    set_node_throttle_properties = 0x2c,
    set_active_encryption_keys = 0x2d,
    prune_encryption_keys = 0x2e,
    set_vbucket = 0x3d,
    get_vbucket = 0x3e,
    del_vbucket = 0x3f,
    get_all_vb_seqnos = 0x48,
    get_ex = 0x49,
    get_ex_replica = 0x4a,
    mutate_with_meta = 0x4b,
    dcp_open = 0x50,
    dcp_add_stream = 0x51,
    dcp_close_stream = 0x52,
    dcp_stream_req = 0x53,
    dcp_get_failover_log = 0x54,
    dcp_stream_end = 0x55,
    dcp_snapshot_marker = 0x56,
    dcp_mutation = 0x57,
    dcp_deletion = 0x58,
    dcp_expiration = 0x59,
    dcp_flush = 0x5a,
    dcp_set_vbucket_state = 0x5b,
    dcp_noop = 0x5c,
    dcp_buffer_acknowledgement = 0x5d,
    dcp_control = 0x5e,
    dcp_system_event = 0x5f,
    dcp_prepare = 0x60,
    dcp_seqno_acknowledged = 0x61,
    dcp_commit = 0x62,
    dcp_abort = 0x63,
    dcp_seqno_advanced = 0x64,
    dcp_oso_snapshot = 0x65,
    stop_persistence = 0x80,
    start_persistence = 0x81,
    set_param = 0x82,
    get_replica = 0x83,
    create_bucket = 0x85,
    delete_bucket = 0x86,
    list_buckets = 0x87,
    select_bucket = 0x89,
    pause_bucket = 0x8a,
    resume_bucket = 0x8b,
    observe_seqno = 0x91,
    observe = 0x92,
    evict_key = 0x93,
    get_locked = 0x94,
    unlock_key = 0x95,
    get_failover_log = 0x96,
    get_meta = 0xa0,
    getq_meta = 0xa1,
    set_with_meta = 0xa2,
    setq_with_meta = 0xa3,
    add_with_meta = 0xa4,
    addq_with_meta = 0xa5,
    del_with_meta = 0xa8,
    delq_with_meta = 0xa9,
    enable_traffic = 0xad,
    disable_traffic = 0xae,
    ifconfig = 0xaf,
    return_meta = 0xb2,
    compact_db = 0xb3,
    set_cluster_config = 0xb4,
    get_cluster_config = 0xb5,
    get_random_key = 0xb6,
    seqno_persistence = 0xb7,
    get_keys = 0xb8,
    collections_set_manifest = 0xb9,
    collections_get_manifest = 0xba,
    collections_get_id = 0xbb,
    collections_get_scope_id = 0xbc,
    subdoc_get = 0xc5,
    subdoc_exists = 0xc6,
    subdoc_dict_add = 0xc7,
    subdoc_dict_upsert = 0xc8,
    subdoc_remove = 0xc9,
    subdoc_replace = 0xca,
    subdoc_array_push_last = 0xcb,
    subdoc_array_push_first = 0xcc,
    subdoc_array_insert = 0xcd,
    subdoc_array_add_unique = 0xce,
    subdoc_counter = 0xcf,
    subdoc_multi_lookup = 0xd0,
    subdoc_multi_mutation = 0xd1,
    subdoc_get_count = 0xd2,
    subdoc_replace_body_with_xattr = 0xd3,
    range_scan_create = 0xda,
    range_scan_continue = 0xdb,
    range_scan_cancel = 0xdc,
    refresh_certificates = 0xf5,
    get_cmd_timer = 0xf6,
    set_ctrl_token = 0xf7,
    get_ctrl_token = 0xf8,
    drop_privilege = 0xfb,
    adjust_timeofday = 0xfc,
    ewouldblock_ctl = 0xfd,
    get_error_map = 0xfe,
};

/// Opcodes of server requests (magic 0x82) are a space of their own (protocol.md 1.7).
enum class ServerOpcode : std::uint8_t {
    clustermap_change_notification = 0x01,
    authenticate = 0x02,
    active_external_users = 0x03,
    get_authorization = 0x04,
};

namespace detail {

struct OpcodeInfo {
    std::string_view name = "UNKNOWN";
    std::uint8_t attributes = 0;
};

// The letters of protocol.md section 2.
inline constexpr std::uint8_t op_collection = 1, op_durability = 2, op_preserve_ttl = 4, op_reorderable = 8,
                              op_quiet = 16;

consteval std::array<OpcodeInfo, 256> make_opcode_table() {
    constexpr std::uint8_t C = op_collection, D = op_durability, P = op_preserve_ttl, R = op_reorderable, Q = op_quiet;
    std::array<OpcodeInfo, 256> table{};
    const auto put = [&table](Opcode opcode, std::string_view name, int attributes) {
        table[static_cast<std::size_t>(opcode)] = {name, static_cast<std::uint8_t>(attributes)};
    };
    put(Opcode::get, "GET", C | R);
    put(Opcode::set, "SET", C | D | P | R);
    put(Opcode::add, "ADD", C | D | R);
    put(Opcode::replace, "REPLACE", C | D | P | R);
    put(Opcode::remove, "DELETE", C | D | R);
    put(Opcode::increment, "INCREMENT", C | D | P | R);
    put(Opcode::decrement, "DECREMENT", C | D | P | R);
    put(Opcode::quit, "QUIT", 0);
    put(Opcode::flush, "FLUSH", 0);
    put(Opcode::getq, "GETQ", C | Q);
    put(Opcode::noop, "NOOP", 0);
    put(Opcode::version, "VERSION", 0);
    put(Opcode::getk, "GETK", C | R);
    put(Opcode::getkq, "GETKQ", C | Q);
    put(Opcode::append, "APPEND", C | D | R);
    put(Opcode::prepend, "PREPEND", C | D | R);
    put(Opcode::stat, "STAT", 0);
    put(Opcode::setq, "SETQ", C | Q);
    put(Opcode::addq, "ADDQ", C | Q);
    put(Opcode::replaceq, "REPLACEQ", C | Q);
    put(Opcode::removeq, "DELETEQ", C | Q);
    put(Opcode::incrementq, "INCREMENTQ", C | Q);
    put(Opcode::decrementq, "DECREMENTQ", C | Q);
    put(Opcode::quitq, "QUITQ", Q);
    put(Opcode::flushq, "FLUSHQ", Q);
    put(Opcode::appendq, "APPENDQ", C | Q);
    put(Opcode::prependq, "PREPENDQ", C | Q);
    put(Opcode::verbosity, "VERBOSITY", 0);
    put(Opcode::touch, "TOUCH", C | D | R);
    put(Opcode::gat, "GAT", C | D | R);
    put(Opcode::gatq, "GATQ", C | D | R | Q);
    put(Opcode::hello, "HELLO", 0);
    put(Opcode::sasl_list_mechs, "SASL_LIST_MECHS", 0);
    put(Opcode::sasl_auth, "SASL_AUTH", 0);
    put(Opcode::sasl_step, "SASL_STEP", 0);
    put(Opcode::gatk, "MC_GATK", 0);
    put(Opcode::gatkq, "MC_GATKQ", Q);
    put(Opcode::config_validate, "CONFIG_VALIDATE", 0);
    put(Opcode::config_reload, "CONFIG_RELOAD", 0);
    put(Opcode::audit_put, "AUDIT_PUT", 0);
    put(Opcode::audit_config_reload, "AUDIT_CONFIG_RELOAD", 0);
    put(Opcode::shutdown, "SHUTDOWN", 0);
    put(Opcode::set_bucket_throttle_properties, "SET_BUCKET_THROTTLE_PROPERTIES", 0);
    put(Opcode::set_bucket_data_limit_exceeded, "SET_BUCKET_DATA_LIMIT_EXCEEDED", 0);
    put(Opcode::set_node_throttle_properties, "SET_NODE_THROTTLE_PROPERTIES", 0);
    put(Opcode::set_active_encryption_keys, "SET_ACTIVE_ENCRYPTION_KEYS", 0);
    put(Opcode::prune_encryption_keys, "PRUNE_ENCRYPTION_KEYS", 0);
    put(Opcode::set_vbucket, "SET_VBUCKET", 0);
    put(Opcode::get_vbucket, "GET_VBUCKET", 0);
    put(Opcode::del_vbucket, "DEL_VBUCKET", 0);
    put(Opcode::get_all_vb_seqnos, "GET_ALL_VB_SEQNOS", 0);
    put(Opcode::get_ex, "GET_EX", C | R);
    put(Opcode::get_ex_replica, "GET_EX_REPLICA", C | R);
    put(Opcode::mutate_with_meta, "MUTATE_WITH_META", C);
    put(Opcode::dcp_open, "DCP_OPEN", 0);
    put(Opcode::dcp_add_stream, "DCP_ADD_STREAM", 0);
    put(Opcode::dcp_close_stream, "DCP_CLOSE_STREAM", 0);
    put(Opcode::dcp_stream_req, "DCP_STREAM_REQ", 0);
    put(Opcode::dcp_get_failover_log, "DCP_GET_FAILOVER_LOG", 0);
    put(Opcode::dcp_stream_end, "DCP_STREAM_END", 0);
    put(Opcode::dcp_snapshot_marker, "DCP_SNAPSHOT_MARKER", 0);
    put(Opcode::dcp_mutation, "DCP_MUTATION", C);
    put(Opcode::dcp_deletion, "DCP_DELETION", C);
    put(Opcode::dcp_expiration, "DCP_EXPIRATION", C);
    put(Opcode::dcp_flush, "DCP_FLUSH", 0);
    put(Opcode::dcp_set_vbucket_state, "DCP_SET_VBUCKET_STATE", 0);
    put(Opcode::dcp_noop, "DCP_NOOP", 0);
    put(Opcode::dcp_buffer_acknowledgement, "DCP_BUFFER_ACKNOWLEDGEMENT", 0);
    put(Opcode::dcp_control, "DCP_CONTROL", 0);
    put(Opcode::dcp_system_event, "DCP_SYSTEM_EVENT", 0);
    put(Opcode::dcp_prepare, "DCP_PREPARE", C);
    put(Opcode::dcp_seqno_acknowledged, "DCP_SEQNO_ACKNOWLEDGED", 0);
    put(Opcode::dcp_commit, "DCP_COMMIT", C);
    put(Opcode::dcp_abort, "DCP_ABORT", C);
    put(Opcode::dcp_seqno_advanced, "DCP_SEQNO_ADVANCED", 0);
    put(Opcode::dcp_oso_snapshot, "DCP_OSO_SNAPSHOT", 0);
    put(Opcode::stop_persistence, "STOP_PERSISTENCE", 0);
    put(Opcode::start_persistence, "START_PERSISTENCE", 0);
    put(Opcode::set_param, "SET_PARAM", 0);
    put(Opcode::get_replica, "GET_REPLICA", C | R);
    put(Opcode::create_bucket, "CREATE_BUCKET", 0);
    put(Opcode::delete_bucket, "DELETE_BUCKET", 0);
    put(Opcode::list_buckets, "LIST_BUCKETS", 0);
    put(Opcode::select_bucket, "SELECT_BUCKET", 0);
    put(Opcode::pause_bucket, "PAUSE_BUCKET", 0);
    put(Opcode::resume_bucket, "RESUME_BUCKET", 0);
    put(Opcode::observe_seqno, "OBSERVE_SEQNO", 0);
    put(Opcode::observe, "OBSERVE", 0);
    put(Opcode::evict_key, "EVICT_KEY", C | R);
    put(Opcode::get_locked, "GET_LOCKED", C | R);
    put(Opcode::unlock_key, "UNLOCK_KEY", C | R);
    put(Opcode::get_failover_log, "GET_FAILOVER_LOG", 0);
    put(Opcode::get_meta, "GET_META", C);
    put(Opcode::getq_meta, "GETQ_META", C | Q);
    put(Opcode::set_with_meta, "SET_WITH_META", C);
    put(Opcode::setq_with_meta, "SETQ_WITH_META", C | Q);
    put(Opcode::add_with_meta, "ADD_WITH_META", C);
    put(Opcode::addq_with_meta, "ADDQ_WITH_META", C | Q);
    put(Opcode::del_with_meta, "DEL_WITH_META", C);
    put(Opcode::delq_with_meta, "DELQ_WITH_META", C | Q);
    put(Opcode::enable_traffic, "ENABLE_TRAFFIC", 0);
    put(Opcode::disable_traffic, "DISABLE_TRAFFIC", 0);
    put(Opcode::ifconfig, "IFCONFIG", 0);
    put(Opcode::return_meta, "RETURN_META", C);
    put(Opcode::compact_db, "COMPACT_DB", 0);
    put(Opcode::set_cluster_config, "SET_CLUSTER_CONFIG", 0);
    put(Opcode::get_cluster_config, "GET_CLUSTER_CONFIG", 0);
    put(Opcode::get_random_key, "GET_RANDOM_KEY", 0);
    put(Opcode::seqno_persistence, "SEQNO_PERSISTENCE", 0);
    put(Opcode::get_keys, "GET_KEYS", 0);
    put(Opcode::collections_set_manifest, "COLLECTIONS_SET_MANIFEST", 0);
    put(Opcode::collections_get_manifest, "COLLECTIONS_GET_MANIFEST", 0);
    put(Opcode::collections_get_id, "COLLECTIONS_GET_ID", 0);
    put(Opcode::collections_get_scope_id, "COLLECTIONS_GET_SCOPE_ID", 0);
    put(Opcode::subdoc_get, "SUBDOC_GET", C | R);
    put(Opcode::subdoc_exists, "SUBDOC_EXISTS", C | R);
    put(Opcode::subdoc_dict_add, "SUBDOC_DICT_ADD", C | D | P | R);
    put(Opcode::subdoc_dict_upsert, "SUBDOC_DICT_UPSERT", C | D | P | R);
    put(Opcode::subdoc_remove, "SUBDOC_DELETE", C | D | P | R);
    put(Opcode::subdoc_replace, "SUBDOC_REPLACE", C | D | P | R);
    put(Opcode::subdoc_array_push_last, "SUBDOC_ARRAY_PUSH_LAST", C | D | P | R);
    put(Opcode::subdoc_array_push_first, "SUBDOC_ARRAY_PUSH_FIRST", C | D | P | R);
    put(Opcode::subdoc_array_insert, "SUBDOC_ARRAY_INSERT", C | D | P | R);
    put(Opcode::subdoc_array_add_unique, "SUBDOC_ARRAY_ADD_UNIQUE", C | D | P | R);
    put(Opcode::subdoc_counter, "SUBDOC_COUNTER", C | D | P | R);
    put(Opcode::subdoc_multi_lookup, "SUBDOC_MULTI_LOOKUP", C | R);
    put(Opcode::subdoc_multi_mutation, "SUBDOC_MULTI_MUTATION", C | D | P | R);
    put(Opcode::subdoc_get_count, "SUBDOC_GET_COUNT", C | R);
    put(Opcode::subdoc_replace_body_with_xattr, "SUBDOC_REPLACE_BODY_WITH_XATTR", C | D | P | R);
    put(Opcode::range_scan_create, "RANGE_SCAN_CREATE", 0);
    put(Opcode::range_scan_continue, "RANGE_SCAN_CONTINUE", 0);
    put(Opcode::range_scan_cancel, "RANGE_SCAN_CANCEL", 0);
    put(Opcode::refresh_certificates, "SSL_CERTS_REFRESH", 0);
    put(Opcode::get_cmd_timer, "GET_CMD_TIMER", 0);
    put(Opcode::set_ctrl_token, "SET_CTRL_TOKEN", 0);
    put(Opcode::get_ctrl_token, "GET_CTRL_TOKEN", 0);
    put(Opcode::drop_privilege, "DROP_PRIVILEGE", 0);
    put(Opcode::adjust_timeofday, "ADJUST_TIMEOFDAY", 0);
    put(Opcode::ewouldblock_ctl, "EWOULDBLOCK_CTL", 0);
    put(Opcode::get_error_map, "GET_ERROR_MAP", 0);
    return table;
}

inline constexpr std::array<OpcodeInfo, 256> opcode_table = make_opcode_table();

constexpr bool has_attribute(Opcode opcode, std::uint8_t attribute) noexcept {
    return (opcode_table[static_cast<std::size_t>(opcode)].attributes & attribute) != 0;
}

}  // namespace detail

/// "GET", "DELETE", "SUBDOC_COUNTER" …; "UNKNOWN" for codes without a meaning.
[[nodiscard]] constexpr std::string_view name(Opcode opcode) noexcept {
    return detail::opcode_table[static_cast<std::size_t>(opcode)].name;
}

[[nodiscard]] constexpr std::string_view name(ServerOpcode opcode) noexcept {
    switch (opcode) {
        case ServerOpcode::clustermap_change_notification:
            return "CLUSTERMAP_CHANGE_NOTIFICATION";
        case ServerOpcode::authenticate:
            return "AUTHENTICATE";
        case ServerOpcode::active_external_users:
            return "ACTIVE_EXTERNAL_USERS";
        case ServerOpcode::get_authorization:
            return "GET_AUTHORIZATION";
    }
    return "UNKNOWN";
}

/// The key carries the LEB128 collection prefix once HELLO Collections is granted.
[[nodiscard]] constexpr bool carries_collection(Opcode opcode) noexcept {
    return detail::has_attribute(opcode, detail::op_collection);
}
/// May carry the durability frame info; others answer EINVAL to it.
[[nodiscard]] constexpr bool accepts_durability(Opcode opcode) noexcept {
    return detail::has_attribute(opcode, detail::op_durability);
}
/// May carry the preserve-TTL frame info; others answer NOT_SUPPORTED to it.
[[nodiscard]] constexpr bool accepts_preserve_ttl(Opcode opcode) noexcept {
    return detail::has_attribute(opcode, detail::op_preserve_ttl);
}
/// May be overtaken under unordered execution.
[[nodiscard]] constexpr bool reorderable(Opcode opcode) noexcept {
    return detail::has_attribute(opcode, detail::op_reorderable);
}
/// Its most common outcome is silence (protocol.md 2.1, quiet rules).
[[nodiscard]] constexpr bool quiet(Opcode opcode) noexcept { return detail::has_attribute(opcode, detail::op_quiet); }

/// The opcode that always answers; the opcode itself when it is not quiet.
[[nodiscard]] constexpr Opcode loud_form(Opcode opcode) noexcept {
    switch (opcode) {
        case Opcode::getq:
            return Opcode::get;
        case Opcode::getkq:
            return Opcode::getk;
        case Opcode::setq:
            return Opcode::set;
        case Opcode::addq:
            return Opcode::add;
        case Opcode::replaceq:
            return Opcode::replace;
        case Opcode::removeq:
            return Opcode::remove;
        case Opcode::incrementq:
            return Opcode::increment;
        case Opcode::decrementq:
            return Opcode::decrement;
        case Opcode::quitq:
            return Opcode::quit;
        case Opcode::flushq:
            return Opcode::flush;
        case Opcode::appendq:
            return Opcode::append;
        case Opcode::prependq:
            return Opcode::prepend;
        case Opcode::gatq:
            return Opcode::gat;
        case Opcode::gatkq:
            return Opcode::gatk;
        case Opcode::getq_meta:
            return Opcode::get_meta;
        case Opcode::setq_with_meta:
            return Opcode::set_with_meta;
        case Opcode::addq_with_meta:
            return Opcode::add_with_meta;
        case Opcode::delq_with_meta:
            return Opcode::del_with_meta;
        default:
            return opcode;
    }
}

/// The silent form; the opcode itself when there is none.
[[nodiscard]] constexpr Opcode quiet_form(Opcode opcode) noexcept {
    switch (opcode) {
        case Opcode::get:
            return Opcode::getq;
        case Opcode::getk:
            return Opcode::getkq;
        case Opcode::set:
            return Opcode::setq;
        case Opcode::add:
            return Opcode::addq;
        case Opcode::replace:
            return Opcode::replaceq;
        case Opcode::remove:
            return Opcode::removeq;
        case Opcode::increment:
            return Opcode::incrementq;
        case Opcode::decrement:
            return Opcode::decrementq;
        case Opcode::quit:
            return Opcode::quitq;
        case Opcode::flush:
            return Opcode::flushq;
        case Opcode::append:
            return Opcode::appendq;
        case Opcode::prepend:
            return Opcode::prependq;
        case Opcode::gat:
            return Opcode::gatq;
        case Opcode::gatk:
            return Opcode::gatkq;
        case Opcode::get_meta:
            return Opcode::getq_meta;
        case Opcode::set_with_meta:
            return Opcode::setq_with_meta;
        case Opcode::add_with_meta:
            return Opcode::addq_with_meta;
        case Opcode::del_with_meta:
            return Opcode::delq_with_meta;
        default:
            return opcode;
    }
}

/// Lookups and mutations that name one path.
[[nodiscard]] constexpr bool is_subdoc_single(Opcode opcode) noexcept {
    return (opcode >= Opcode::subdoc_get && opcode <= Opcode::subdoc_counter) || opcode == Opcode::subdoc_get_count ||
           opcode == Opcode::subdoc_replace_body_with_xattr;
}

/// Sub-document lookups, single or multi.
[[nodiscard]] constexpr bool is_subdoc_lookup(Opcode opcode) noexcept {
    return opcode == Opcode::subdoc_get || opcode == Opcode::subdoc_exists || opcode == Opcode::subdoc_get_count ||
           opcode == Opcode::subdoc_multi_lookup;
}

}  // namespace chaise::protocol
