#include "bench/client.hpp"

#include <fmt/format.h>

#include <chrono>
#include <stdexcept>

namespace chaise::bench {

const std::vector<Case>& faces() {
    static const std::vector<Case> all{{"callback", &make_callback_client},
                                       {"await", &make_await_client},
#ifdef CHAISE_BENCH_ASIO
                                       {"asio", &make_asio_client}
#endif
    };
    return all;
}

std::uint64_t warm_up_operations(const Target& target, const Workload& workload) {
    // Enough for a node's requests to fill its first block of 64 KiB.
    return ConnectionString::parse(target.connection_string).hosts.size() * (2000 + 20 * workload.depth());
}

BucketOptions bucket_options(const Target& target) {
    BucketOptions options;
    options.bucket = target.bucket;
    options.username = target.username;
    options.password = target.password;
    options.compression = Compression::off;                // as the floor
    options.operation_timeout = std::chrono::seconds(30);  // under callgrind everything takes fifty times as long
    return options;
}

void wrong_answer(std::string_view what) { throw std::runtime_error(fmt::format("wrong answer: {}", what)); }

}  // namespace chaise::bench
