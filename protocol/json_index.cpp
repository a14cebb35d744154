#include "protocol/json_index.hpp"

#include <simdjson.h>

namespace chaise::protocol {

struct JsonIndex::Parser {
    simdjson::dom::parser dom;
};

JsonIndex::JsonIndex() : parser_(std::make_unique<Parser>()) {}
JsonIndex::~JsonIndex() = default;

bool JsonIndex::read(std::string_view text) {
    static_assert(padding >= simdjson::SIMDJSON_PADDING);
    if (text.empty()) return false;
    simdjson::dom::parser& dom = parser_->dom;
    if (dom.capacity() < text.size() && dom.allocate(text.size()) != simdjson::SUCCESS) return false;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    simdjson::internal::dom_parser_implementation& found = *dom.implementation;
    if (found.stage1(bytes, text.size(), simdjson::stage1_mode::regular) != simdjson::SUCCESS) return false;
    found.structural_indexes[found.n_structural_indexes] = static_cast<std::uint32_t>(text.size());  // has room
    return true;
}

const std::uint32_t* JsonIndex::offsets() const noexcept {
    return parser_->dom.implementation->structural_indexes.get();
}
std::size_t JsonIndex::size() const noexcept { return parser_->dom.implementation->n_structural_indexes; }

}  // namespace chaise::protocol
