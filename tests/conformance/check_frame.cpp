#include <cmath>

#include "protocol/frame_info.hpp"
#include "protocol/leb128.hpp"
#include "protocol/snappy.hpp"
#include "vector.hpp"

namespace chaise::testing {

using namespace protocol;

namespace {

void check_number(const Json& fields, const char* name, std::uint64_t actual) {
    if (const Json* field = fields.find(name)) expect_equal(name, actual, field->number());
}

void check_text(const Json& fields, const char* name, std::string_view actual) {
    if (const Json* field = fields.find(name)) expect_equal(name, actual, field->text());
}

void check_hex(const Json& fields, const char* name, std::string_view actual) {
    if (const Json* field = fields.find(name)) expect_equal(name, actual, field->bytes());
}

// The parts a frame does not have are not in its fields, and the other way round.
const Json* part(const Json& fields, const char* name, std::string_view bytes) {
    const Json* found = fields.find(name);
    if (found == nullptr && !bytes.empty()) throw FieldError(std::string("the bytes have ") + name);
    return found;
}

void check_key(const Json& key, std::string_view actual) {
    check_number(key, "length", actual.size());
    check_hex(key, "hex", actual);
    std::string_view logical = actual;
    if (const Json* id = key.find("collection_id")) {
        const auto prefix = load_leb128(actual);
        if (!prefix) throw FieldError("no collection prefix");
        expect_equal("collection_id", prefix->value, id->number());
        check_hex(key, "collection_id_leb128", actual.substr(0, prefix->size));
        logical.remove_prefix(prefix->size);
    }
    check_text(key, "text", logical);
    check_text(key, "logical_key", logical);
}

void check_duration(const Json& info, std::uint16_t encoded) {
    check_number(info, "encoded", encoded);
    const double exact = decode_server_duration_us(encoded);
    check_number(info, "decoded_us", static_cast<std::uint64_t>(exact));
    if (const Json* field = info.find("decoded_us_exact"))
        if (std::abs(field->decimal() - exact) > 0.0006) throw FieldError("decoded_us_exact differs from the bytes");
}

void check_request_info(const Json& info, const RawFrameInfo& raw) {
    const DecodedFrameInfo decoded = decode_request_frame_info(raw);
    if (decoded.error == FrameInfoError::unknown_id) {
        check_text(info, "name", "unknown_" + std::to_string(raw.id));
        return;
    }
    if (decoded.error != FrameInfoError::none) throw FieldError("a malformed frame info");
    check_text(info, "name", name(decoded.info.id));
    if (decoded.info.id == RequestFrameInfoId::durability) {
        check_number(info, "level", static_cast<std::uint64_t>(decoded.info.level));
        check_text(info, "level_name", name(decoded.info.level));
        if (info.has("timeout_ms") != decoded.info.number.has_value()) throw FieldError("durability timeout");
    }
    for (const char* number : {"timeout_ms", "stream_id", "token"})
        if (decoded.info.number) check_number(info, number, *decoded.info.number);
    check_text(info, "user", decoded.info.text);
    check_text(info, "privilege", decoded.info.text);
}

void check_response_info(const Json& info, const RawFrameInfo& raw) {
    const std::string_view known = raw.id < 16 ? name(static_cast<ResponseFrameInfoId>(raw.id)) : "UNKNOWN";
    check_text(info, "name", known == "UNKNOWN" ? "unknown_" + std::to_string(raw.id) : std::string(known));
    if (known == "UNKNOWN") return;
    if (raw.data.size() != 2) throw FieldError("a frame info of another length");
    const std::uint16_t number = load_be16(raw.data.data());
    const auto id = static_cast<ResponseFrameInfoId>(raw.id);
    if (id == ResponseFrameInfoId::server_duration || id == ResponseFrameInfoId::throttle_duration)
        check_duration(info, number);
    check_number(info, "units", number);
}

void check_frame_infos(const Json* infos, const Frame& frame) {
    if (infos == nullptr && frame.framing_extras.empty()) return;
    if (infos == nullptr) throw FieldError("the bytes have frame infos");
    infos->read = true;
    FrameInfoReader reader(frame.framing_extras);
    for (const auto& member : infos->members) {
        const Json& info = member.second;
        const auto raw = reader.next();
        if (!raw) throw FieldError("more frame infos than in the bytes");
        check_number(info, "id", raw->id);
        check_number(info, "length", raw->data.size());
        check_hex(info, "data_hex", raw->data);
        if (is_response(frame.magic))
            check_response_info(info, *raw);
        else
            check_request_info(info, *raw);
    }
    if (reader.next() || reader.malformed()) throw FieldError("fewer frame infos than in the bytes");
}

}  // namespace

void check_frame(const Json& fields, const Frame& frame) {
    check_number(fields, "magic", static_cast<std::uint64_t>(frame.magic));
    check_number(fields, "opcode", static_cast<std::uint64_t>(frame.opcode));
    const bool server_space = frame.magic == Magic::server_request || frame.magic == Magic::server_response;
    check_text(fields, "opcode_name", server_space ? name(frame.server_opcode()) : name(frame.opcode));
    check_number(fields, "framing_extras_length", frame.framing_extras.size());
    check_number(fields, "key_length", frame.key.size());
    check_number(fields, "extras_length", frame.extras.size());
    check_number(fields, "datatype", frame.datatype);
    check_number(fields, is_response(frame.magic) ? "status" : "vbucket", frame.specific);
    check_number(fields, "total_body_length",
                 frame.framing_extras.size() + frame.extras.size() + frame.key.size() + frame.value.size());
    check_number(fields, "opaque", frame.opaque);
    check_number(fields, "cas", frame.cas);
    check_frame_infos(fields.find("frame_infos"), frame);
    if (const Json* extras = part(fields, "extras", frame.extras)) check_hex(*extras, "hex", frame.extras);
    if (const Json* key = part(fields, "key", frame.key)) check_key(*key, frame.key);
    if (const Json* value = part(fields, "value", frame.value)) {
        check_number(*value, "length", frame.value.size());
        check_hex(*value, "hex", frame.value);
        check_text(*value, "text", frame.value);
    }
}

void check_request_details(const Json& fields, const Frame& frame) {
    if (const Json* extras = fields.find("extras"))
        if (const Json* length = extras->find("path_length")) {
            if (frame.extras.size() < 3) throw FieldError("no path length in the bytes");
            expect_equal("path_length", load_be16(frame.extras.data()), length->number());
        }
    const Json* value = fields.find("value");
    const Json* decoded = value == nullptr ? nullptr : value->find("decoded");
    if (decoded == nullptr) return;
    if (const Json* length = decoded->find("inflated_length"))
        expect_equal("inflated_length", snappy_inflated_size(frame.value), std::optional(length->number()));
    if (const Json* specs = decoded->find("specs"))
        for (const auto& member : specs->members)
            if (const Json* opcode = member.second.find("opcode_name"))
                expect_equal("opcode_name", name(static_cast<Opcode>(member.second["opcode"].u8())), opcode->text());
}

}  // namespace chaise::testing
