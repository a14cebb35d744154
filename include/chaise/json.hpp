#pragma once

/// \file
/// Values as JSON, by simdjson's on-demand parser, without a copy: values have the 64 readable bytes behind them that
/// simdjson wants. Needs simdjson (1.0 or newer) on the include path; the core of chaise does not.

#include <chaise/result.hpp>

#include <simdjson.h>

namespace chaise {

static_assert(detail::buffer_padding >= simdjson::SIMDJSON_PADDING);

/// The value of `result` as a JSON document. The document refers to the bytes in `result` and to `parser`: both must
/// stay where they are while it is used, and one parser holds one document at a time. Errors: simdjson's.
[[nodiscard]] inline simdjson::simdjson_result<simdjson::ondemand::document> json(const ValueResult& result,
                                                                                  simdjson::ondemand::parser& parser) {
    const std::string_view value = result.value();
    return parser.iterate(
        simdjson::padded_string_view(value.data(), value.size(), value.size() + detail::buffer_padding));
}

/// The document would refer to bytes that are gone: keep the result in a variable.
simdjson::simdjson_result<simdjson::ondemand::document> json(const ValueResult&&, simdjson::ondemand::parser&) = delete;

}  // namespace chaise
