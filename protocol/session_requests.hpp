#pragma once

#include <span>

#include "protocol/feature.hpp"
#include "protocol/request_context.hpp"

// Encoders of the commands that concern the connection, not a document: none carries the collection prefix.
namespace chaise::protocol {

/// noop, version, sasl_list_mechs, list_buckets, collections_get_manifest, quit, quitq: header only.
struct HeaderRequest {
    RequestContext context{};
    Opcode opcode = Opcode::noop;
};
struct NoopRequest {
    RequestContext context{};
};
struct VersionRequest {
    RequestContext context{};
};
struct SaslListMechsRequest {
    RequestContext context{};
};
struct ListBucketsRequest {
    RequestContext context{};
};
struct GetManifestRequest {
    RequestContext context{};
};
struct QuitRequest {
    RequestContext context{};
    Opcode opcode = Opcode::quit;  ///< or quitq
};

/// memcached only; Couchbase answers NOT_SUPPORTED.
struct FlushRequest {
    RequestContext context{};
    std::optional<std::uint32_t> expiry{};  ///< seconds from now
    Opcode opcode = Opcode::flush;          ///< or flushq
};

struct VerbosityRequest {
    RequestContext context{};
    std::uint32_t level = 0;
};

struct StatRequest {
    RequestContext context{};
    std::string_view group{};  ///< empty: the general statistics
    std::string_view value{};  ///< optional JSON argument (context.datatype json)
};

struct SaslAuthRequest {
    RequestContext context{};
    std::string_view mechanism{};
    std::string_view data{};
};

struct SaslStepRequest {
    RequestContext context{};
    std::string_view mechanism{};
    std::string_view data{};
};

struct HelloRequest {
    RequestContext context{};
    std::string_view agent{};
    std::span<const Feature> features{};  ///< sent in this order
};

/// `@no bucket@` detaches.
struct SelectBucketRequest {
    RequestContext context{};
    std::string_view bucket{};
};

struct GetErrorMapRequest {
    RequestContext context{};
    std::uint16_t version = 2;  ///< highest version understood
};

/// Which revision of the cluster map one has.
struct ConfigRevision {
    std::int64_t epoch = 0;
    std::int64_t revision = 0;
    friend auto operator<=>(const ConfigRevision&, const ConfigRevision&) = default;
};

struct GetClusterConfigRequest {
    RequestContext context{};
    std::optional<ConfigRevision> known{};  ///< needs HELLO 0x1d
};

/// path: `scope.collection`; an empty part means `_default`.
struct GetCollectionIdRequest {
    RequestContext context{};
    std::string_view path{};
};

struct GetScopeIdRequest {
    RequestContext context{};
    std::string_view scope{};
};

/// Answer to a push (magic 0x83): same opcode and opaque.
struct PushResponse {
    std::uint32_t opaque = 0;
    ServerOpcode opcode = ServerOpcode::clustermap_change_notification;
    Status status = Status::success;
};

[[nodiscard]] std::size_t encoded_size(const HeaderRequest& r) noexcept;
char* encode(const HeaderRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const NoopRequest& r) noexcept;
char* encode(const NoopRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const VersionRequest& r) noexcept;
char* encode(const VersionRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const SaslListMechsRequest& r) noexcept;
char* encode(const SaslListMechsRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const ListBucketsRequest& r) noexcept;
char* encode(const ListBucketsRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const GetManifestRequest& r) noexcept;
char* encode(const GetManifestRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const QuitRequest& r) noexcept;
char* encode(const QuitRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const FlushRequest& r) noexcept;
char* encode(const FlushRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const VerbosityRequest& r) noexcept;
char* encode(const VerbosityRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const StatRequest& r) noexcept;
char* encode(const StatRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const SaslAuthRequest& r) noexcept;
char* encode(const SaslAuthRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const SaslStepRequest& r) noexcept;
char* encode(const SaslStepRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const HelloRequest& r) noexcept;
char* encode(const HelloRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const SelectBucketRequest& r) noexcept;
char* encode(const SelectBucketRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const GetErrorMapRequest& r) noexcept;
char* encode(const GetErrorMapRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const GetClusterConfigRequest& r) noexcept;
char* encode(const GetClusterConfigRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const GetCollectionIdRequest& r) noexcept;
char* encode(const GetCollectionIdRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const GetScopeIdRequest& r) noexcept;
char* encode(const GetScopeIdRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const PushResponse& r) noexcept;
char* encode(const PushResponse& r, char* out) noexcept;

}  // namespace chaise::protocol
