#include "protocol/json_array.hpp"

#include <simdjson.h>

#include <new>

namespace chaise::protocol {

namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

bool parse(simdjson::dom::parser& parser, std::string_view text, element& to) {
    const auto error = parser.parse(text.data(), text.size()).get(to);  // copies: it wants bytes behind the text
    if (error == simdjson::MEMALLOC) throw std::bad_alloc();
    return error == simdjson::SUCCESS;
}

bool is_whole(const element& e) { return e.is<std::int64_t>() || e.is<std::uint64_t>(); }

bool equal(const element& a, const element& b) {
    if (a.is_number() && b.is_number()) {
        if (!is_whole(a) || !is_whole(b)) return double(a) == double(b);
        // What fits into an int64_t is one.
        return a.type() == b.type() && (a.type() == element_type::INT64 ? std::int64_t(a) == std::int64_t(b)
                                                                        : std::uint64_t(a) == std::uint64_t(b));
    }
    if (a.type() != b.type()) return false;
    switch (a.type()) {
        case element_type::STRING:
            return std::string_view(a) == std::string_view(b);
        case element_type::BOOL:
            return bool(a) == bool(b);
        case element_type::NULL_VALUE:
            return true;
        default:
            return false;
    }
}

}  // namespace

bool is_json_scalar(std::string_view text) {
    simdjson::dom::parser parser;
    element scalar;
    return parse(parser, text, scalar) && !scalar.is_array() && !scalar.is_object();
}

ArraySearch find_in_array(std::string_view document, std::string_view scalar) {
    simdjson::dom::parser of_scalar;
    simdjson::dom::parser of_document;
    element wanted;
    element whole;
    if (!parse(of_document, document, whole)) return {ArraySearchStatus::not_json};
    if (!whole.is_array()) return {ArraySearchStatus::not_an_array};
    if (!parse(of_scalar, scalar, wanted)) return {ArraySearchStatus::missing};
    std::size_t index = 0;
    for (const element one : simdjson::dom::array(whole)) {
        if (equal(one, wanted)) return {ArraySearchStatus::found, index};
        ++index;
    }
    return {ArraySearchStatus::missing};
}

}  // namespace chaise::protocol
