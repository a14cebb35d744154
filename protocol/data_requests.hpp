#pragma once

#include "protocol/request_context.hpp"

// Encoders of the data commands (protocol.md 2.1). Inline, without allocation; `encode` writes exactly `encoded_size`
// bytes and returns the end. Keys are the caller's to check (1 to 250 bytes), as are lengths over 4 GiB.
namespace chaise::protocol {

/// get, getq, getk, getkq; also get_replica, get_ex, get_ex_replica, evict_key: commands that are nothing but a key.
struct GetRequest {
    RequestContext context{};
    std::string_view key{};
    Opcode opcode = Opcode::get;
};

/// set, add, replace and their quiet forms.
struct StoreRequest {
    RequestContext context{};
    Opcode opcode = Opcode::set;
    std::string_view key{};
    std::string_view value{};
    std::uint32_t flags = 0;
    std::uint32_t expiry = 0;  ///< as on the wire (protocol.md 1.8)
};

/// append, prepend and their quiet forms.
struct ConcatRequest {
    RequestContext context{};
    Opcode opcode = Opcode::append;
    std::string_view key{};
    std::string_view value{};
};

/// remove, removeq.
struct RemoveRequest {
    RequestContext context{};
    std::string_view key{};
    Opcode opcode = Opcode::remove;
};

/// increment, decrement and their quiet forms.
struct CounterRequest {
    RequestContext context{};
    Opcode opcode = Opcode::increment;
    std::string_view key{};
    std::uint64_t delta = 1;
    std::uint64_t initial = 0;
    std::uint32_t expiry = 0;  ///< counter_no_create: do not create
};
inline constexpr std::uint32_t counter_no_create = 0xffffffff;

struct TouchRequest {
    RequestContext context{};
    std::string_view key{};
    std::uint32_t expiry = 0;
};

/// gat, gatq; gatk and gatkq on plain memcached only.
struct GetAndTouchRequest {
    RequestContext context{};
    std::string_view key{};
    std::uint32_t expiry = 0;
    Opcode opcode = Opcode::gat;
};

/// The document is withheld from writers until the lock time passes or its CAS is used.
struct GetLockedRequest {
    RequestContext context{};
    std::string_view key{};
    std::optional<std::uint32_t> lock_time{};  ///< seconds, at most 30; absent or 0: 15
};

/// context.cas is the lock's CAS, required.
struct UnlockRequest {
    RequestContext context{};
    std::string_view key{};
};

struct GetMetaRequest {
    RequestContext context{};
    std::string_view key{};
    std::optional<std::uint8_t> version{};  ///< 2 adds the datatype to the response
};

/// With collections the id is in the extras, not before a key: context.collection is required then.
struct GetRandomKeyRequest {
    RequestContext context{};
    std::optional<bool> include_xattrs{};  ///< a fifth byte of extras; needs context.collection
};

namespace detail {

[[nodiscard]] inline std::size_t keyed_size(const RequestContext& context, std::size_t extras, std::string_view key,
                                            std::size_t value) noexcept {
    return header_size + framing_size(context) + extras + prefix_size(context) + key.size() + value;
}

inline char* put_keyed_header(const RequestContext& context, Opcode opcode, std::size_t extras, std::string_view key,
                              std::size_t value, char* out) noexcept {
    return put_header(context, opcode, extras, prefix_size(context) + key.size(), value, out);
}

inline char* encode_key_only(const RequestContext& context, Opcode opcode, std::string_view key, char* out) noexcept {
    out = put_keyed_header(context, opcode, 0, key, 0, out);
    return put_key(context, key, out);
}

inline char* encode_key_and_u32(const RequestContext& context, Opcode opcode, std::string_view key,
                                std::uint32_t extras, char* out) noexcept {
    out = put_keyed_header(context, opcode, 4, key, 0, out);
    out = store_be32(out, extras);
    return put_key(context, key, out);
}

}  // namespace detail

[[nodiscard]] inline std::size_t encoded_size(const GetRequest& r) noexcept {
    return detail::keyed_size(r.context, 0, r.key, 0);
}
inline char* encode(const GetRequest& r, char* out) noexcept {
    return detail::encode_key_only(r.context, r.opcode, r.key, out);
}

[[nodiscard]] inline std::size_t encoded_size(const StoreRequest& r) noexcept {
    return detail::keyed_size(r.context, 8, r.key, r.value.size());
}
inline char* encode(const StoreRequest& r, char* out) noexcept {
    out = detail::put_keyed_header(r.context, r.opcode, 8, r.key, r.value.size(), out);
    out = store_be64(out, (std::uint64_t{r.flags} << 32) | r.expiry);
    out = detail::put_key(r.context, r.key, out);
    return detail::put(out, r.value);
}

[[nodiscard]] inline std::size_t encoded_size(const ConcatRequest& r) noexcept {
    return detail::keyed_size(r.context, 0, r.key, r.value.size());
}
inline char* encode(const ConcatRequest& r, char* out) noexcept {
    out = detail::put_keyed_header(r.context, r.opcode, 0, r.key, r.value.size(), out);
    out = detail::put_key(r.context, r.key, out);
    return detail::put(out, r.value);
}

[[nodiscard]] inline std::size_t encoded_size(const RemoveRequest& r) noexcept {
    return detail::keyed_size(r.context, 0, r.key, 0);
}
inline char* encode(const RemoveRequest& r, char* out) noexcept {
    return detail::encode_key_only(r.context, r.opcode, r.key, out);
}

[[nodiscard]] inline std::size_t encoded_size(const CounterRequest& r) noexcept {
    return detail::keyed_size(r.context, 20, r.key, 0);
}
inline char* encode(const CounterRequest& r, char* out) noexcept {
    out = detail::put_keyed_header(r.context, r.opcode, 20, r.key, 0, out);
    out = store_be64(out, r.delta);
    out = store_be64(out, r.initial);
    out = store_be32(out, r.expiry);
    return detail::put_key(r.context, r.key, out);
}

[[nodiscard]] inline std::size_t encoded_size(const TouchRequest& r) noexcept {
    return detail::keyed_size(r.context, 4, r.key, 0);
}
inline char* encode(const TouchRequest& r, char* out) noexcept {
    return detail::encode_key_and_u32(r.context, Opcode::touch, r.key, r.expiry, out);
}

[[nodiscard]] inline std::size_t encoded_size(const GetAndTouchRequest& r) noexcept {
    return detail::keyed_size(r.context, 4, r.key, 0);
}
inline char* encode(const GetAndTouchRequest& r, char* out) noexcept {
    return detail::encode_key_and_u32(r.context, r.opcode, r.key, r.expiry, out);
}

[[nodiscard]] inline std::size_t encoded_size(const GetLockedRequest& r) noexcept {
    return detail::keyed_size(r.context, r.lock_time ? 4 : 0, r.key, 0);
}
inline char* encode(const GetLockedRequest& r, char* out) noexcept {
    if (r.lock_time) return detail::encode_key_and_u32(r.context, Opcode::get_locked, r.key, *r.lock_time, out);
    return detail::encode_key_only(r.context, Opcode::get_locked, r.key, out);
}

[[nodiscard]] inline std::size_t encoded_size(const UnlockRequest& r) noexcept {
    return detail::keyed_size(r.context, 0, r.key, 0);
}
inline char* encode(const UnlockRequest& r, char* out) noexcept {
    return detail::encode_key_only(r.context, Opcode::unlock_key, r.key, out);
}

[[nodiscard]] inline std::size_t encoded_size(const GetMetaRequest& r) noexcept {
    return detail::keyed_size(r.context, r.version ? 1 : 0, r.key, 0);
}
inline char* encode(const GetMetaRequest& r, char* out) noexcept {
    out = detail::put_keyed_header(r.context, Opcode::get_meta, r.version ? 1 : 0, r.key, 0, out);
    if (r.version) out = store_be8(out, *r.version);
    return detail::put_key(r.context, r.key, out);
}

[[nodiscard]] std::size_t encoded_size(const GetRandomKeyRequest& r) noexcept;
char* encode(const GetRandomKeyRequest& r, char* out) noexcept;

}  // namespace chaise::protocol
