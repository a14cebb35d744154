#include "protocol/session_requests.hpp"

namespace chaise::protocol {

namespace {

std::size_t plain_size(const RequestContext& context, std::size_t body) noexcept {
    return header_size + detail::framing_size(context) + body;
}

char* encode_key_value(const RequestContext& context, Opcode opcode, std::string_view key, std::string_view value,
                       char* out) noexcept {
    out = detail::put_header(context, opcode, 0, key.size(), value.size(), out);
    return detail::put(detail::put(out, key), value);
}

char* encode_header_only(const RequestContext& context, Opcode opcode, char* out) noexcept {
    return detail::put_header(context, opcode, 0, 0, 0, out);
}

}  // namespace

std::size_t encoded_size(const HeaderRequest& r) noexcept { return plain_size(r.context, 0); }
char* encode(const HeaderRequest& r, char* out) noexcept { return encode_header_only(r.context, r.opcode, out); }

std::size_t encoded_size(const NoopRequest& r) noexcept { return plain_size(r.context, 0); }
char* encode(const NoopRequest& r, char* out) noexcept { return encode_header_only(r.context, Opcode::noop, out); }

std::size_t encoded_size(const VersionRequest& r) noexcept { return plain_size(r.context, 0); }
char* encode(const VersionRequest& r, char* out) noexcept {
    return encode_header_only(r.context, Opcode::version, out);
}

std::size_t encoded_size(const SaslListMechsRequest& r) noexcept { return plain_size(r.context, 0); }
char* encode(const SaslListMechsRequest& r, char* out) noexcept {
    return encode_header_only(r.context, Opcode::sasl_list_mechs, out);
}

std::size_t encoded_size(const ListBucketsRequest& r) noexcept { return plain_size(r.context, 0); }
char* encode(const ListBucketsRequest& r, char* out) noexcept {
    return encode_header_only(r.context, Opcode::list_buckets, out);
}

std::size_t encoded_size(const GetManifestRequest& r) noexcept { return plain_size(r.context, 0); }
char* encode(const GetManifestRequest& r, char* out) noexcept {
    return encode_header_only(r.context, Opcode::collections_get_manifest, out);
}

std::size_t encoded_size(const QuitRequest& r) noexcept { return plain_size(r.context, 0); }
char* encode(const QuitRequest& r, char* out) noexcept { return encode_header_only(r.context, r.opcode, out); }

std::size_t encoded_size(const FlushRequest& r) noexcept { return plain_size(r.context, r.expiry ? 4 : 0); }
char* encode(const FlushRequest& r, char* out) noexcept {
    out = detail::put_header(r.context, r.opcode, r.expiry ? 4 : 0, 0, 0, out);
    return r.expiry ? store_be32(out, *r.expiry) : out;
}

std::size_t encoded_size(const VerbosityRequest& r) noexcept { return plain_size(r.context, 4); }
char* encode(const VerbosityRequest& r, char* out) noexcept {
    out = detail::put_header(r.context, Opcode::verbosity, 4, 0, 0, out);
    return store_be32(out, r.level);
}

std::size_t encoded_size(const StatRequest& r) noexcept {
    return plain_size(r.context, r.group.size() + r.value.size());
}
char* encode(const StatRequest& r, char* out) noexcept {
    return encode_key_value(r.context, Opcode::stat, r.group, r.value, out);
}

std::size_t encoded_size(const SaslAuthRequest& r) noexcept {
    return plain_size(r.context, r.mechanism.size() + r.data.size());
}
char* encode(const SaslAuthRequest& r, char* out) noexcept {
    return encode_key_value(r.context, Opcode::sasl_auth, r.mechanism, r.data, out);
}

std::size_t encoded_size(const SaslStepRequest& r) noexcept {
    return plain_size(r.context, r.mechanism.size() + r.data.size());
}
char* encode(const SaslStepRequest& r, char* out) noexcept {
    return encode_key_value(r.context, Opcode::sasl_step, r.mechanism, r.data, out);
}

std::size_t encoded_size(const HelloRequest& r) noexcept {
    return plain_size(r.context, r.agent.size() + 2 * r.features.size());
}
char* encode(const HelloRequest& r, char* out) noexcept {
    out = detail::put_header(r.context, Opcode::hello, 0, r.agent.size(), 2 * r.features.size(), out);
    out = detail::put(out, r.agent);
    for (const Feature feature : r.features) out = store_be16(out, static_cast<std::uint16_t>(feature));
    return out;
}

std::size_t encoded_size(const SelectBucketRequest& r) noexcept { return plain_size(r.context, r.bucket.size()); }
char* encode(const SelectBucketRequest& r, char* out) noexcept {
    return encode_key_value(r.context, Opcode::select_bucket, r.bucket, {}, out);
}

std::size_t encoded_size(const GetErrorMapRequest& r) noexcept { return plain_size(r.context, 2); }
char* encode(const GetErrorMapRequest& r, char* out) noexcept {
    out = detail::put_header(r.context, Opcode::get_error_map, 0, 0, 2, out);
    return store_be16(out, r.version);
}

std::size_t encoded_size(const GetClusterConfigRequest& r) noexcept { return plain_size(r.context, r.known ? 16 : 0); }
char* encode(const GetClusterConfigRequest& r, char* out) noexcept {
    out = detail::put_header(r.context, Opcode::get_cluster_config, r.known ? 16 : 0, 0, 0, out);
    if (!r.known) return out;
    out = store_be64(out, static_cast<std::uint64_t>(r.known->epoch));
    return store_be64(out, static_cast<std::uint64_t>(r.known->revision));
}

std::size_t encoded_size(const GetCollectionIdRequest& r) noexcept { return plain_size(r.context, r.path.size()); }
char* encode(const GetCollectionIdRequest& r, char* out) noexcept {
    return encode_key_value(r.context, Opcode::collections_get_id, {}, r.path, out);
}

std::size_t encoded_size(const GetScopeIdRequest& r) noexcept { return plain_size(r.context, r.scope.size()); }
char* encode(const GetScopeIdRequest& r, char* out) noexcept {
    return encode_key_value(r.context, Opcode::collections_get_scope_id, {}, r.scope, out);
}

std::size_t encoded_size(const PushResponse&) noexcept { return header_size; }
char* encode(const PushResponse& r, char* out) noexcept {
    store_be64(out, (std::uint64_t{static_cast<std::uint8_t>(Magic::server_response)} << 56) |
                        (std::uint64_t{static_cast<std::uint8_t>(r.opcode)} << 48) |
                        static_cast<std::uint16_t>(r.status));
    store_be64(out + 8, r.opaque);
    return store_be64(out + 16, 0);
}

}  // namespace chaise::protocol
