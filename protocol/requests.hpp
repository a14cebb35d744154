#pragma once

// Every request a client can send: `std::size_t encoded_size(const R&)` and `char* encode(const R&, char* out)`, which
// writes exactly that many bytes and returns the end.
#include "protocol/data_requests.hpp"         // IWYU pragma: export
#include "protocol/session_requests.hpp"      // IWYU pragma: export
#include "protocol/subdocument_requests.hpp"  // IWYU pragma: export
#include "protocol/vbucket_requests.hpp"      // IWYU pragma: export
