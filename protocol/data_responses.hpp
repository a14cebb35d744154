#pragma once

#include <optional>

#include "protocol/frame.hpp"
#include "protocol/leb128.hpp"

// Decoders of data responses (protocol.md 2.1): views into the frame, nothing on malformed input. They read the layout
// of a success; look at the status first.
namespace chaise::protocol {

/// Reported instead of the CAS when a document is locked: never use it for a CAS write.
inline constexpr std::uint64_t locked_cas = 0xffffffffffffffff;

/// get and its kin, gat, get_locked, get_replica, get_random_key.
struct ValueResponse {
    std::uint32_t flags = 0;
    std::uint64_t cas = 0;
    std::uint8_t datatype = 0;
    std::string_view key{};  ///< as sent: with the collection prefix if there is one; mostly empty
    std::string_view value{};
};

/// Hot: inline. Flags are always there.
[[nodiscard]] inline std::optional<ValueResponse> decode_value(const Frame& frame) noexcept {
    if (frame.extras.size() != 4) [[unlikely]]
        return std::nullopt;
    return ValueResponse{load_be32(frame.extras.data()), frame.cas, frame.datatype, frame.key, frame.value};
}

/// get_random_key: documents say no flags, servers send them. Without them flags are 0.
[[nodiscard]] std::optional<ValueResponse> decode_random_key(const Frame& frame) noexcept;

struct MutationToken {
    std::uint64_t vbucket_uuid = 0;
    std::uint64_t seqno = 0;
    friend bool operator==(const MutationToken&, const MutationToken&) = default;
};

/// set, add, replace, remove, append, prepend, touch and sub-document mutations.
struct MutationResponse {
    std::uint64_t cas = 0;
    std::optional<MutationToken> token{};  ///< with HELLO MUTATION_SEQNO
    std::optional<std::uint32_t> flags{};  ///< memcached's touch
};

/// Extras of 0, 4 or 16 bytes.
[[nodiscard]] inline std::optional<MutationResponse> decode_mutation(const Frame& frame) noexcept {
    MutationResponse response{frame.cas, {}, {}};
    if (frame.extras.empty()) return response;
    if (frame.extras.size() == 16)
        response.token = MutationToken{load_be64(frame.extras.data()), load_be64(frame.extras.data() + 8)};
    else if (frame.extras.size() == 4)
        response.flags = load_be32(frame.extras.data());
    else
        return std::nullopt;
    return response;
}

struct CounterResponse {
    std::uint64_t value = 0;
    std::uint64_t cas = 0;
    std::optional<MutationToken> token{};
};

[[nodiscard]] inline std::optional<CounterResponse> decode_counter(const Frame& frame) noexcept {
    const auto mutation = decode_mutation(frame);
    if (!mutation || mutation->flags || frame.value.size() != 8) return std::nullopt;
    return CounterResponse{load_be64(frame.value.data()), mutation->cas, mutation->token};
}

/// The tag of extras-free successes: noop, flush, unlock, select_bucket, verbosity. False when there is a body.
[[nodiscard]] inline bool decode_empty(const Frame& frame) noexcept {
    return frame.extras.empty() && frame.key.empty() && frame.value.empty();
}

struct GetMetaResponse {
    std::uint64_t cas = 0;
    bool deleted = false;  ///< a tombstone: exists() is false
    std::uint32_t flags = 0;
    std::uint32_t expiry = 0;
    std::uint64_t seqno = 0;
    std::optional<std::uint8_t> datatype{};  ///< version 2
};

[[nodiscard]] std::optional<GetMetaResponse> decode_get_meta(const Frame& frame) noexcept;

/// A key as it arrives with collections on.
struct CollectionKey {
    std::uint32_t collection = 0;
    std::string_view key{};
};
[[nodiscard]] std::optional<CollectionKey> split_collection_key(std::string_view wire_key) noexcept;

}  // namespace chaise::protocol
