#pragma once

// Typed readers of every response: views into the frame, nothing on malformed input, never a read past the end.
#include "protocol/data_responses.hpp"         // IWYU pragma: export
#include "protocol/frame_info.hpp"             // IWYU pragma: export
#include "protocol/manifest.hpp"               // IWYU pragma: export
#include "protocol/session_responses.hpp"      // IWYU pragma: export
#include "protocol/subdocument_responses.hpp"  // IWYU pragma: export
#include "protocol/vbucket_responses.hpp"      // IWYU pragma: export
#include "protocol/xattr.hpp"                  // IWYU pragma: export
