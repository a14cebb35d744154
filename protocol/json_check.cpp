#include "protocol/json_check.hpp"

#include <simdjson.h>

#include <string>

namespace chaise::protocol {

struct JsonCheck::Parser {
    simdjson::dom::parser dom;
    std::string copy;
};

JsonCheck::JsonCheck() : parser_(std::make_unique<Parser>()) {}
JsonCheck::~JsonCheck() = default;

bool JsonCheck::operator()(std::string_view text) {
    parser_->copy.assign(text);
    parser_->copy.append(padding, ' ');
    return padded(std::string_view(parser_->copy).substr(0, text.size()));
}

bool JsonCheck::padded(std::string_view text) {
    static_assert(padding >= simdjson::SIMDJSON_PADDING);
    return parser_->dom.parse(text.data(), text.size(), false).error() == simdjson::SUCCESS;
}

}  // namespace chaise::protocol
