// AsyncBucket by co_await in chaise::Task, on chaise's epoll loop.

#include "bench/client.hpp"

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>

#include <cstdint>

namespace chaise::bench {

namespace {

class AwaitClient final : public Client {
public:
    AwaitClient(const Target& target, Workload& workload)
        : workload_(workload), bucket_(loop_, target.connection_string, bucket_options(target)) {}

    void run(Meter& meter) override {
        for (std::size_t i = 0; i < workload_.depth(); ++i) spawn(loop_, chain(meter));
        loop_.run();
    }

private:
    Task<> chain(Meter& meter) {
        std::int64_t stamp = 0;
        while (meter.next(stamp)) {
            const Workload::Draw draw = workload_.draw();
            if (draw.is_set) {
                co_await bucket_.upsert(draw.key, workload_.value());
            } else {
                const ValueResult result = co_await bucket_.get(draw.key);
                check_value(result.value(), workload_);
            }
            meter.done(stamp);
        }
    }

    Workload& workload_;
    EpollLoop loop_;
    AsyncBucket bucket_;
};

}  // namespace

std::unique_ptr<Client> make_await_client(const Target& target, Workload& workload) {
    return std::make_unique<AwaitClient>(target, workload);
}

}  // namespace chaise::bench
