#pragma once

#include <string>
#include <string_view>

#include "cluster/json/json.hpp"

namespace chaise::testing {

/// Bytes whose plain order is CouchDB's order of the values: null, false, true, numbers, strings, arrays (element by
/// element), objects (member by member). Strings as ICU's root collation has ASCII: signs, digits, letters, and case
/// only where all else is equal, lower first; letters of Latin-1 with accents stand behind their plain form. What is
/// beyond follows by code point: the rest of ICU's tables is left out.
[[nodiscard]] std::string collation_key(const Json& value);

/// Appends that of a string alone.
void append_string_collation(std::string& key, std::string_view text);

}  // namespace chaise::testing
