#include "protocol/frame_info.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

namespace chaise::protocol {

namespace {

constexpr std::size_t escape = 15;  // a nibble of 15: "15 + one further byte"

std::size_t data_size(const RequestFrameInfo& info) noexcept {
    switch (info.id) {
        case RequestFrameInfoId::barrier:
        case RequestFrameInfoId::preserve_ttl:
            return 0;
        case RequestFrameInfoId::durability:
            return info.number ? 3 : 1;
        case RequestFrameInfoId::dcp_stream_id:
        case RequestFrameInfoId::impersonate_with_token:
            return 2;
        case RequestFrameInfoId::open_tracing_context:
        case RequestFrameInfoId::impersonate:
        case RequestFrameInfoId::impersonate_extra_privilege:
            return info.text.size();
    }
    return 0;
}

char* store_head(char* to, std::size_t id, std::size_t length) noexcept {
    assert(id <= escape + 255 && length <= escape + 255);
    to = store_be8(to, static_cast<std::uint8_t>(std::min(id, escape) << 4 | std::min(length, escape)));
    if (id >= escape) to = store_be8(to, static_cast<std::uint8_t>(id - escape));
    if (length >= escape) to = store_be8(to, static_cast<std::uint8_t>(length - escape));
    return to;
}

}  // namespace

std::string_view name(RequestFrameInfoId id) noexcept {
    switch (id) {
        case RequestFrameInfoId::barrier:
            return "barrier";
        case RequestFrameInfoId::durability:
            return "durability";
        case RequestFrameInfoId::dcp_stream_id:
            return "dcp_stream_id";
        case RequestFrameInfoId::open_tracing_context:
            return "open_tracing_context";
        case RequestFrameInfoId::impersonate:
            return "impersonate";
        case RequestFrameInfoId::preserve_ttl:
            return "preserve_ttl";
        case RequestFrameInfoId::impersonate_extra_privilege:
            return "impersonate_extra_privilege";
        case RequestFrameInfoId::impersonate_with_token:
            return "impersonate_with_token";
    }
    return "UNKNOWN";
}

std::string_view name(ResponseFrameInfoId id) noexcept {
    switch (id) {
        case ResponseFrameInfoId::server_duration:
            return "server_duration";
        case ResponseFrameInfoId::read_units:
            return "read_units";
        case ResponseFrameInfoId::write_units:
            return "write_units";
        case ResponseFrameInfoId::throttle_duration:
            return "throttle_duration";
    }
    return "UNKNOWN";
}

std::string_view name(DurabilityLevel level) noexcept {
    switch (level) {
        case DurabilityLevel::majority:
            return "majority";
        case DurabilityLevel::majority_and_persist_to_active:
            return "majority_and_persist_to_active";
        case DurabilityLevel::persist_to_majority:
            return "persist_to_majority";
    }
    return "UNKNOWN";
}

std::size_t frame_info_size(std::size_t id, std::size_t length) noexcept {
    return 1 + (id >= escape ? 1u : 0u) + (length >= escape ? 1u : 0u) + length;
}

char* store_frame_info(char* to, std::size_t id, std::string_view data) noexcept {
    to = store_head(to, id, data.size());
    if (!data.empty()) std::memcpy(to, data.data(), data.size());
    return to + data.size();
}

std::size_t encoded_size(std::span<const RequestFrameInfo> infos) noexcept {
    std::size_t size = 0;
    for (const RequestFrameInfo& info : infos)
        size += frame_info_size(static_cast<std::size_t>(info.id), data_size(info));
    return size;
}

char* encode(std::span<const RequestFrameInfo> infos, char* out) noexcept {
    for (const RequestFrameInfo& info : infos) {
        const auto id = static_cast<std::size_t>(info.id);
        switch (info.id) {
            case RequestFrameInfoId::durability:
                out = store_head(out, id, data_size(info));
                out = store_be8(out, static_cast<std::uint8_t>(info.level));
                if (info.number) out = store_be16(out, *info.number);
                break;
            case RequestFrameInfoId::dcp_stream_id:
            case RequestFrameInfoId::impersonate_with_token:
                out = store_head(out, id, 2);
                out = store_be16(out, info.number.value_or(0));
                break;
            default:
                out = store_frame_info(out, id, {info.text.data(), data_size(info)});
        }
    }
    return out;
}

std::optional<RawFrameInfo> FrameInfoReader::next() noexcept {
    if (left_.empty() || malformed_) return std::nullopt;
    std::size_t at = 0;
    const auto head = static_cast<std::uint8_t>(left_[at++]);
    std::size_t id = head >> 4;
    std::size_t length = head & 15u;
    const auto extend = [&](std::size_t& nibble) {
        if (nibble != escape) return true;
        if (at == left_.size()) return false;
        nibble += static_cast<std::uint8_t>(left_[at++]);
        return true;
    };
    if (!extend(id) || !extend(length) || length > left_.size() - at) {
        malformed_ = true;
        return std::nullopt;
    }
    const RawFrameInfo info{static_cast<std::uint16_t>(id), left_.substr(at, length)};
    left_.remove_prefix(at + length);
    return info;
}

DecodedFrameInfo decode_request_frame_info(const RawFrameInfo& raw) noexcept {
    DecodedFrameInfo result;
    const std::string_view data = raw.data;
    if (raw.id > static_cast<std::uint16_t>(RequestFrameInfoId::impersonate_with_token)) {
        result.error = FrameInfoError::unknown_id;
        return result;
    }
    result.info.id = static_cast<RequestFrameInfoId>(raw.id);
    switch (result.info.id) {
        case RequestFrameInfoId::barrier:
        case RequestFrameInfoId::preserve_ttl:
            if (!data.empty()) result.error = FrameInfoError::bad_length;
            break;
        case RequestFrameInfoId::durability: {
            if (data.size() != 1 && data.size() != 3) {
                result.error = FrameInfoError::bad_durability;
                break;
            }
            const auto level = static_cast<std::uint8_t>(data[0]);
            result.info.level = static_cast<DurabilityLevel>(level);
            if (level < 1 || level > 3) result.error = FrameInfoError::bad_durability;
            if (data.size() == 3) {
                result.info.number = load_be16(data.data() + 1);
                if (*result.info.number == 0 || *result.info.number == 0xffff)
                    result.error = FrameInfoError::bad_durability;
            }
            break;
        }
        case RequestFrameInfoId::dcp_stream_id:
        case RequestFrameInfoId::impersonate_with_token:
            if (data.size() != 2)
                result.error = FrameInfoError::bad_length;
            else
                result.info.number = load_be16(data.data());
            break;
        case RequestFrameInfoId::open_tracing_context:
        case RequestFrameInfoId::impersonate:
        case RequestFrameInfoId::impersonate_extra_privilege:
            if (data.empty()) result.error = FrameInfoError::bad_length;
            result.info.text = data;
            break;
    }
    return result;
}

double decode_server_duration_us(std::uint16_t encoded) noexcept {
    return std::pow(static_cast<double>(encoded), 1.74) / 2;
}

std::uint16_t encode_server_duration_us(double microseconds) noexcept {
    constexpr double cap = 120125042.0;
    if (!(microseconds > 0)) return 0;  // also what is not a number
    return static_cast<std::uint16_t>(std::lround(std::pow(2 * std::min(microseconds, cap), 1.0 / 1.74)));
}

std::optional<ResponseFrameInfos> decode_response_frame_infos(std::string_view framing_extras) noexcept {
    ResponseFrameInfos result;
    FrameInfoReader reader(framing_extras);
    while (const auto info = reader.next()) {
        if (info->id > static_cast<std::uint16_t>(ResponseFrameInfoId::throttle_duration)) continue;
        if (info->data.size() != 2) return std::nullopt;
        const std::uint16_t number = load_be16(info->data.data());
        switch (static_cast<ResponseFrameInfoId>(info->id)) {
            case ResponseFrameInfoId::server_duration:
                result.server_duration = number;
                break;
            case ResponseFrameInfoId::read_units:
                result.read_units = number;
                break;
            case ResponseFrameInfoId::write_units:
                result.write_units = number;
                break;
            case ResponseFrameInfoId::throttle_duration:
                result.throttle_duration = number;
                break;
        }
    }
    if (reader.malformed()) return std::nullopt;
    return result;
}

}  // namespace chaise::protocol
