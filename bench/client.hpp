#pragma once

#include "bench/meter.hpp"
#include "bench/workload.hpp"

#include <chaise/bucket_options.hpp>

#include <memory>
#include <string_view>
#include <vector>

namespace chaise::bench {

/// One way to do the workload: a connection that lives as long as the client.
class Client {
public:
    Client() = default;
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    virtual ~Client() = default;

    /// Keeps `depth` operations in flight, each completion starting the next, until the meter has enough; returns
    /// when all are complete. \throws whatever went wrong with the first operation that failed.
    virtual void run(Meter& meter) = 0;
};

/// A case of the comparison. The target is preloaded; both arguments outlive the client.
struct Case {
    std::string_view name;
    std::unique_ptr<Client> (*make)(const Target&, Workload&);
};

/// A raw socket client with none of chaise's engine or codec, waiting with epoll as every event loop does.
std::unique_ptr<Client> make_floor(const Target&, Workload&);
/// The same on a blocking socket: no event loop could share its thread.
std::unique_ptr<Client> make_blocking_floor(const Target&, Workload&);
std::unique_ptr<Client> make_callback_client(const Target&, Workload&);
std::unique_ptr<Client> make_await_client(const Target&, Workload&);
std::unique_ptr<Client> make_asio_client(const Target&, Workload&);

/// chaise's faces in this build.
[[nodiscard]] const std::vector<Case>& faces();

/// Operations until pools, the buffers of every node that the connection string names, and the server are warm.
[[nodiscard]] std::uint64_t warm_up_operations(const Target& target, const Workload& workload);
[[nodiscard]] BucketOptions bucket_options(const Target& target);
/// A response that is not what the workload asked for.
[[noreturn]] void wrong_answer(std::string_view what);

inline void check_value(std::string_view value, const Workload& workload) {
    if (value.size() != workload.value().size()) [[unlikely]]
        wrong_answer("a value of another length");
}

}  // namespace chaise::bench
