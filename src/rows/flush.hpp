#pragma once

#include <chaise/detail/bucket_handle.hpp>

#include <optional>

namespace chaise::detail {

/// Of a Couchbase bucket, over HTTP.
void submit_flush(Core& core, const BucketHandle& bucket, Slot& slot, const std::optional<Duration>& timeout);

}  // namespace chaise::detail
