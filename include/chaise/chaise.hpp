#pragma once

/// \file
/// chaise without any dependency: the raw face, results, errors, tasks. Loops and other faces have headers of their
/// own: <chaise/epoll.hpp>, <chaise/asio.hpp>; <chaise/json.hpp> reads values with simdjson.

#include <chaise/async_bucket.hpp>
#include <chaise/async_result.hpp>
#include <chaise/async_view_base.hpp>
#include <chaise/bucket_options.hpp>
#include <chaise/collection.hpp>
#include <chaise/design_documents.hpp>
#include <chaise/diagnostics.hpp>
#include <chaise/durability.hpp>
#include <chaise/error.hpp>
#include <chaise/expected.hpp>
#include <chaise/iops.hpp>
#include <chaise/meta.hpp>
#include <chaise/multi.hpp>
#include <chaise/multi_result.hpp>
#include <chaise/mutation_state.hpp>
#include <chaise/mutation_token.hpp>
#include <chaise/observe.hpp>
#include <chaise/options.hpp>
#include <chaise/pressure.hpp>
#include <chaise/query_options.hpp>
#include <chaise/replica.hpp>
#include <chaise/result.hpp>
#include <chaise/retry.hpp>
#include <chaise/row.hpp>
#include <chaise/rows.hpp>
#include <chaise/spawn.hpp>
#include <chaise/stoppable.hpp>
#include <chaise/subdocument.hpp>
#include <chaise/task.hpp>
#include <chaise/time.hpp>
#include <chaise/transcoder.hpp>
#include <chaise/transport.hpp>
#include <chaise/typed.hpp>
#include <chaise/view_options.hpp>
#include <chaise/view_pages.hpp>
