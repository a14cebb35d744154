#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "protocol/byte_order.hpp"

// Framing extras: a list of frame infos (protocol.md 1.5).
namespace chaise::protocol {

/// Ids of requests and of responses are separate spaces.
enum class RequestFrameInfoId : std::uint8_t {
    barrier = 0,
    durability = 1,
    dcp_stream_id = 2,
    open_tracing_context = 3,  ///< a prototype, never shipped: skipped on receive, never sent
    impersonate = 4,
    preserve_ttl = 5,
    impersonate_extra_privilege = 6,
    impersonate_with_token = 7,
};

enum class ResponseFrameInfoId : std::uint8_t {
    server_duration = 0,
    read_units = 1,
    write_units = 2,
    throttle_duration = 3,
};

enum class DurabilityLevel : std::uint8_t {
    majority = 1,
    majority_and_persist_to_active = 2,
    persist_to_majority = 3,
};

[[nodiscard]] std::string_view name(RequestFrameInfoId id) noexcept;   ///< "barrier" …, "UNKNOWN"
[[nodiscard]] std::string_view name(ResponseFrameInfoId id) noexcept;  ///< "server_duration" …, "UNKNOWN"
[[nodiscard]] std::string_view name(DurabilityLevel level) noexcept;   ///< "majority" …, "UNKNOWN"

/// One frame info of a request, made by the factories. Views must outlive the encoding.
struct RequestFrameInfo {
    RequestFrameInfoId id = RequestFrameInfoId::barrier;
    DurabilityLevel level = DurabilityLevel::majority;  ///< durability only
    std::optional<std::uint16_t> number{};              ///< durability timeout, DCP stream id, token
    std::string_view text{};                            ///< user or privilege

    /// Runs alone; only meaningful with unordered execution.
    static constexpr RequestFrameInfo barrier() noexcept { return {}; }
    /// `timeout_ms` 1 to 65534; absent: the server's default.
    static constexpr RequestFrameInfo durability(DurabilityLevel level,
                                                 std::optional<std::uint16_t> timeout_ms = std::nullopt) noexcept {
        return {RequestFrameInfoId::durability, level, timeout_ms, {}};
    }
    static constexpr RequestFrameInfo dcp_stream_id(std::uint16_t stream) noexcept {
        return {RequestFrameInfoId::dcp_stream_id, DurabilityLevel::majority, stream, {}};
    }
    /// At most 270 bytes; a leading `^` names an external domain.
    static constexpr RequestFrameInfo impersonate(std::string_view user) noexcept {
        return {RequestFrameInfoId::impersonate, DurabilityLevel::majority, std::nullopt, user};
    }
    static constexpr RequestFrameInfo preserve_ttl() noexcept {
        return {RequestFrameInfoId::preserve_ttl, DurabilityLevel::majority, std::nullopt, {}};
    }
    /// May repeat; only together with impersonate.
    static constexpr RequestFrameInfo impersonate_extra_privilege(std::string_view privilege) noexcept {
        return {RequestFrameInfoId::impersonate_extra_privilege, DurabilityLevel::majority, std::nullopt, privilege};
    }
    static constexpr RequestFrameInfo impersonate_with_token(std::uint16_t token) noexcept {
        return {RequestFrameInfoId::impersonate_with_token, DurabilityLevel::majority, token, {}};
    }
};

/// The framing extras are at most 255 bytes in all; longer lists cannot be encoded.
inline constexpr std::size_t max_framing_extras = 255;

[[nodiscard]] std::size_t encoded_size(std::span<const RequestFrameInfo> infos) noexcept;
char* encode(std::span<const RequestFrameInfo> infos, char* out) noexcept;

/// Any frame info: id, then bytes, with both escapes. For responses and for ids without a type.
[[nodiscard]] std::size_t frame_info_size(std::size_t id, std::size_t length) noexcept;
char* store_frame_info(char* to, std::size_t id, std::string_view data) noexcept;

/// One element of framing extras as it arrived.
struct RawFrameInfo {
    std::uint16_t id = 0;  ///< up to 270
    std::string_view data{};
};

/// Walks framing extras: `while (auto info = reader.next()) …`, then `malformed()` tells whether it stopped early.
class FrameInfoReader {
public:
    explicit FrameInfoReader(std::string_view framing_extras) noexcept : left_(framing_extras) {}
    [[nodiscard]] std::optional<RawFrameInfo> next() noexcept;
    [[nodiscard]] bool malformed() const noexcept { return malformed_; }

private:
    std::string_view left_{};
    bool malformed_ = false;
};

/// Why a server refuses a request frame info (protocol.md 1.5).
enum class FrameInfoError : std::uint8_t { none, malformed, unknown_id, bad_length, bad_durability };

struct DecodedFrameInfo {
    RequestFrameInfo info;
    FrameInfoError error = FrameInfoError::none;
};

/// Strict, as a server reads it: durability level 1 to 3, timeout neither 0 nor 65535, exact lengths.
[[nodiscard]] DecodedFrameInfo decode_request_frame_info(const RawFrameInfo& raw) noexcept;

/// Server duration: microseconds = encoded ^ 1.74 / 2.
[[nodiscard]] double decode_server_duration_us(std::uint16_t encoded) noexcept;
[[nodiscard]] std::uint16_t encode_server_duration_us(double microseconds) noexcept;

/// What a response's framing extras tell. Unknown ids are skipped.
struct ResponseFrameInfos {
    std::optional<std::uint16_t> server_duration{};  ///< encoded; see decode_server_duration_us
    std::optional<std::uint16_t> read_units{};
    std::optional<std::uint16_t> write_units{};
    std::optional<std::uint16_t> throttle_duration{};  ///< encoded
};

/// Nothing when malformed.
[[nodiscard]] std::optional<ResponseFrameInfos> decode_response_frame_infos(std::string_view framing_extras) noexcept;

}  // namespace chaise::protocol
