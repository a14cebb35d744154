#include "bench/workload.hpp"

#include "bench/client.hpp"

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace chaise::bench {

Workload::Workload(Op op, std::size_t value_size, std::size_t depth)
    : value_(value_size, 'v'),
      depth_(depth),
      sets_of_256_(op == Op::get   ? 0
                   : op == Op::set ? 256
                                   : 26) {
    keys_.reserve(key_count * key_size);
    for (std::size_t i = 0; i < key_count; ++i) keys_ += fmt::format("chaise-bench::{:06}", i);
}

static Task<> store_all(AsyncBucket& bucket, const Workload& workload) {
    co_await bucket.connect();  // fails at once where nobody listens
    constexpr std::size_t in_flight = 250;
    std::vector<AsyncResult<OperationResult>> started;
    for (std::size_t begin = 0; begin < Workload::key_count; begin += in_flight) {
        const std::size_t end = std::min(begin + in_flight, Workload::key_count);
        for (std::size_t i = begin; i < end; ++i) {
            started.push_back(bucket.upsert(workload.key(i), workload.value()));
        }
        for (auto& stored : started) co_await stored;
        started.clear();
    }
}

void preload(const Target& target, const Workload& workload) {
    EpollLoop loop;
    AsyncBucket bucket(loop, target.connection_string, bucket_options(target));
    spawn(loop, store_all(bucket, workload));
    loop.run();
}

}  // namespace chaise::bench
