#pragma once

#include <bitset>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace chaise::protocol {

/// HELLO features (protocol.md 3.1).
enum class Feature : std::uint16_t {
    datatype = 0x0001,
    tls = 0x0002,
    tcp_nodelay = 0x0003,
    mutation_seqno = 0x0004,
    tcpdelay = 0x0005,
    xattr = 0x0006,
    xerror = 0x0007,
    select_bucket = 0x0008,
    snappy = 0x000a,
    json = 0x000b,
    duplex = 0x000c,
    clustermap_change_notification = 0x000d,
    unordered_execution = 0x000e,
    tracing = 0x000f,
    alt_request = 0x0010,
    sync_replication = 0x0011,
    collections = 0x0012,
    snappy_everywhere = 0x0013,
    preserve_ttl = 0x0014,
    vattr = 0x0015,
    pitr = 0x0016,
    subdoc_create_as_deleted = 0x0017,
    subdoc_document_macro_support = 0x0018,
    subdoc_replace_body_with_xattr = 0x0019,
    report_unit_usage = 0x001a,
    non_blocking_throttling = 0x001b,
    subdoc_replica_read = 0x001c,
    get_cluster_config_with_known_version = 0x001d,
    dedupe_nmvb_clustermap = 0x001e,
    clustermap_change_notification_brief = 0x001f,
    subdoc_allows_access_multiple_xattr_keys = 0x0020,
    subdoc_binary_xattr = 0x0021,
    range_scan_include_xattr = 0x0022,
    subdoc_allow_replica_read_on_deleted_docs = 0x0023,
    get_random_key_include_xattr = 0x0024,
    mutate_with_meta = 0x0025,
    dcp_ignore_purged_tombstones = 0x0026,
};

/// "XERROR", "COLLECTIONS" …; "UNKNOWN" otherwise.
[[nodiscard]] constexpr std::string_view name(Feature feature) noexcept {
    switch (feature) {
        case Feature::datatype:
            return "DATATYPE";
        case Feature::tls:
            return "TLS";
        case Feature::tcp_nodelay:
            return "TCP_NODELAY";
        case Feature::mutation_seqno:
            return "MUTATION_SEQNO";
        case Feature::tcpdelay:
            return "TCPDELAY";
        case Feature::xattr:
            return "XATTR";
        case Feature::xerror:
            return "XERROR";
        case Feature::select_bucket:
            return "SELECT_BUCKET";
        case Feature::snappy:
            return "SNAPPY";
        case Feature::json:
            return "JSON";
        case Feature::duplex:
            return "DUPLEX";
        case Feature::clustermap_change_notification:
            return "CLUSTERMAP_CHANGE_NOTIFICATION";
        case Feature::unordered_execution:
            return "UNORDERED_EXECUTION";
        case Feature::tracing:
            return "TRACING";
        case Feature::alt_request:
            return "ALT_REQUEST";
        case Feature::sync_replication:
            return "SYNC_REPLICATION";
        case Feature::collections:
            return "COLLECTIONS";
        case Feature::snappy_everywhere:
            return "SNAPPY_EVERYWHERE";
        case Feature::preserve_ttl:
            return "PRESERVE_TTL";
        case Feature::vattr:
            return "VATTR";
        case Feature::pitr:
            return "PITR";
        case Feature::subdoc_create_as_deleted:
            return "SUBDOC_CREATE_AS_DELETED";
        case Feature::subdoc_document_macro_support:
            return "SUBDOC_DOCUMENT_MACRO_SUPPORT";
        case Feature::subdoc_replace_body_with_xattr:
            return "SUBDOC_REPLACE_BODY_WITH_XATTR";
        case Feature::report_unit_usage:
            return "REPORT_UNIT_USAGE";
        case Feature::non_blocking_throttling:
            return "NON_BLOCKING_THROTTLING";
        case Feature::subdoc_replica_read:
            return "SUBDOC_REPLICA_READ";
        case Feature::get_cluster_config_with_known_version:
            return "GET_CLUSTER_CONFIG_WITH_KNOWN_VERSION";
        case Feature::dedupe_nmvb_clustermap:
            return "DEDUPE_NMVB_CLUSTERMAP";
        case Feature::clustermap_change_notification_brief:
            return "CLUSTERMAP_CHANGE_NOTIFICATION_BRIEF";
        case Feature::subdoc_allows_access_multiple_xattr_keys:
            return "SUBDOC_ALLOWS_ACCESS_MULTIPLE_XATTR_KEYS";
        case Feature::subdoc_binary_xattr:
            return "SUBDOC_BINARY_XATTR";
        case Feature::range_scan_include_xattr:
            return "RANGE_SCAN_INCLUDE_XATTR";
        case Feature::subdoc_allow_replica_read_on_deleted_docs:
            return "SUBDOC_ALLOW_REPLICA_READ_ON_DELETED_DOCS";
        case Feature::get_random_key_include_xattr:
            return "GET_RANDOM_KEY_INCLUDE_XATTR";
        case Feature::mutate_with_meta:
            return "MUTATE_WITH_META";
        case Feature::dcp_ignore_purged_tombstones:
            return "DCP_IGNORE_PURGED_TOMBSTONES";
    }
    return "UNKNOWN";
}

/// What a connection was granted. Codes that are not known are dropped, as the protocol asks.
class FeatureSet {
public:
    FeatureSet() = default;
    FeatureSet(std::initializer_list<Feature> features) {
        for (const Feature feature : features) insert(feature);
    }
    void insert(Feature feature) {
        if (name(feature) != "UNKNOWN") bits_.set(static_cast<std::size_t>(feature));
    }
    [[nodiscard]] bool contains(Feature feature) const noexcept {
        const auto code = static_cast<std::size_t>(feature);
        return code < bits_.size() && bits_[code];
    }
    [[nodiscard]] std::size_t size() const noexcept { return bits_.count(); }
    friend bool operator==(const FeatureSet&, const FeatureSet&) = default;

private:
    std::bitset<64> bits_;
};

}  // namespace chaise::protocol
