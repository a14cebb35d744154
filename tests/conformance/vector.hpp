#pragma once

#include <string>
#include <vector>

#include "json_tree.hpp"
#include "protocol/frame.hpp"

namespace chaise::testing {

/// One conformance vector (protocol.md section 11).
struct Vector {
    std::string name;
    std::string kind;
    std::string bytes;
    bool collections = false;
    Json fields;
};

/// CHAISE_VECTORS, or tests/data/vectors.json.
[[nodiscard]] std::vector<Vector> load_vectors();
[[nodiscard]] bool is_own_file();

/// The request's bytes, made by the opcode's typed encoder from the named fields: never from the hex of extras, key or
/// value, except for what has no other name in the file; such fields are added to `unnamed`. Throws FieldError.
[[nodiscard]] std::string build_request(const Json& fields, std::vector<std::string>& unnamed);

/// Header, lengths, hex parts, key and frame infos: every kind of frame. Throws FieldError on the first difference.
void check_frame(const Json& fields, const protocol::Frame& frame);

/// What a request's fields repeat (path_length, inflated_length). Throws FieldError.
void check_request_details(const Json& fields, const protocol::Frame& frame);

/// Every named field of extras and value, read by the typed decoders. Throws FieldError.
void check_response(const Json& fields, const protocol::Frame& frame);
void check_server_request(const Json& fields, const protocol::Frame& frame);

/// A difference is told with both sides.
template <class A, class B>
void expect_equal(const char* what, const A& actual, const B& expected) {
    if (!(actual == expected)) throw FieldError(std::string(what) + " differs from the bytes");
}

}  // namespace chaise::testing
