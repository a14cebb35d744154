#include "protocol/subdocument_requests.hpp"

namespace chaise::protocol {

namespace {

// Optional fields follow in this order and are told apart by the total length only, so user flags need an expiry.
struct Tail {
    std::optional<std::uint32_t> expiry;
    std::optional<std::uint32_t> user_flags;
    std::optional<std::uint8_t> doc_flags;

    [[nodiscard]] std::size_t size() const noexcept {
        return (user_flags ? 8u : expiry ? 4u : 0u) + (doc_flags ? 1u : 0u);
    }
    char* put(char* out) const noexcept {
        if (expiry || user_flags) out = store_be32(out, expiry.value_or(0));
        if (user_flags) out = store_be32(out, *user_flags);
        if (doc_flags) out = store_be8(out, *doc_flags);
        return out;
    }
};

std::size_t size_of(const RequestContext& context, std::size_t extras, std::string_view key,
                    std::size_t value) noexcept {
    return header_size + detail::framing_size(context) + extras + detail::prefix_size(context) + key.size() + value;
}

char* put_key(const RequestContext& context, std::string_view key, char* out) noexcept {
    if (context.collection) out = store_leb128(out, *context.collection);
    return detail::put(out, key);
}

std::size_t size_of(std::span<const LookupSpec> specs) noexcept {
    std::size_t size = 0;
    for (const LookupSpec& spec : specs) size += 4 + spec.path.size();
    return size;
}

std::size_t size_of(std::span<const MutationSpec> specs) noexcept {
    std::size_t size = 0;
    for (const MutationSpec& spec : specs) size += 8 + spec.path.size() + spec.value.size();
    return size;
}

char* encode_single(const RequestContext& context, Opcode opcode, std::string_view key, std::string_view path,
                    std::string_view value, std::uint8_t path_flags, const Tail& tail, char* out) noexcept {
    out = detail::put_header(context, opcode, 3 + tail.size(), detail::prefix_size(context) + key.size(),
                             path.size() + value.size(), out);
    out = store_be16(out, static_cast<std::uint16_t>(path.size()));
    out = store_be8(out, path_flags);
    out = tail.put(out);
    out = put_key(context, key, out);
    return detail::put(detail::put(out, path), value);
}

Tail tail_of(const SubdocLookupRequest& r) noexcept { return {{}, {}, r.doc_flags}; }
Tail tail_of(const SubdocMutationRequest& r) noexcept { return {r.expiry, r.user_flags, r.doc_flags}; }
Tail tail_of(const MultiLookupRequest& r) noexcept { return {{}, {}, r.doc_flags}; }
Tail tail_of(const MultiMutationRequest& r) noexcept { return {r.expiry, r.user_flags, r.doc_flags}; }

}  // namespace

std::size_t encoded_size(const SubdocLookupRequest& r) noexcept {
    return size_of(r.context, 3 + tail_of(r).size(), r.key, r.path.size());
}
char* encode(const SubdocLookupRequest& r, char* out) noexcept {
    return encode_single(r.context, r.opcode, r.key, r.path, {}, r.path_flags, tail_of(r), out);
}

std::size_t encoded_size(const SubdocMutationRequest& r) noexcept {
    return size_of(r.context, 3 + tail_of(r).size(), r.key, r.path.size() + r.value.size());
}
char* encode(const SubdocMutationRequest& r, char* out) noexcept {
    return encode_single(r.context, r.opcode, r.key, r.path, r.value, r.path_flags, tail_of(r), out);
}

std::size_t encoded_size(const MultiLookupRequest& r) noexcept {
    return size_of(r.context, tail_of(r).size(), r.key, size_of(r.specs));
}
char* encode(const MultiLookupRequest& r, char* out) noexcept {
    const Tail tail = tail_of(r);
    out = detail::put_header(r.context, Opcode::subdoc_multi_lookup, tail.size(),
                             detail::prefix_size(r.context) + r.key.size(), size_of(r.specs), out);
    out = put_key(r.context, r.key, tail.put(out));
    for (const LookupSpec& spec : r.specs) {
        out = store_be8(out, static_cast<std::uint8_t>(spec.opcode));
        out = store_be8(out, spec.path_flags);
        out = store_be16(out, static_cast<std::uint16_t>(spec.path.size()));
        out = detail::put(out, spec.path);
    }
    return out;
}

std::size_t encoded_size(const MultiMutationRequest& r) noexcept {
    return size_of(r.context, tail_of(r).size(), r.key, size_of(r.specs));
}
char* encode(const MultiMutationRequest& r, char* out) noexcept {
    const Tail tail = tail_of(r);
    out = detail::put_header(r.context, Opcode::subdoc_multi_mutation, tail.size(),
                             detail::prefix_size(r.context) + r.key.size(), size_of(r.specs), out);
    out = put_key(r.context, r.key, tail.put(out));
    for (const MutationSpec& spec : r.specs) {
        out = store_be8(out, static_cast<std::uint8_t>(spec.opcode));
        out = store_be8(out, spec.path_flags);
        out = store_be16(out, static_cast<std::uint16_t>(spec.path.size()));
        out = store_be32(out, static_cast<std::uint32_t>(spec.value.size()));
        out = detail::put(detail::put(out, spec.path), spec.value);
    }
    return out;
}

}  // namespace chaise::protocol
