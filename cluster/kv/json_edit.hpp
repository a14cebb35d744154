#pragma once

#include <string>
#include <string_view>

#include "cluster/kv/json_path.hpp"
#include "protocol/opcode.hpp"

// Sub-document operations on JSON as text: what is not changed keeps its bytes. The text has passed is_json().
namespace chaise::testing {

/// subdoc_get, subdoc_exists, subdoc_get_count; `value` becomes what is answered.
[[nodiscard]] protocol::Status json_lookup(protocol::Opcode command, std::string_view text, std::string_view path,
                                           std::string& value);

/// The single-path mutations. `value` becomes what is answered (of counters). `text` stays as it is when it fails.
[[nodiscard]] protocol::Status json_mutate(protocol::Opcode command, std::string& text, std::string_view path,
                                           std::string_view payload, bool make_parents, std::string& value);

}  // namespace chaise::testing
