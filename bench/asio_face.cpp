// AsioBucket by co_await in asio::awaitable, in an asio::io_context of one thread.

#include "bench/client.hpp"

#include <chaise/asio.hpp>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <cstdint>
#include <exception>
#include <utility>

namespace chaise::bench {

namespace {

class AsioClient final : public Client {
public:
    AsioClient(const Target& target, Workload& workload)
        : workload_(workload), bucket_(context_, target.connection_string, bucket_options(target)) {}

    void run(Meter& meter) override {
        active_ = workload_.depth();
        for (std::size_t i = 0; i < workload_.depth(); ++i) {
            asio::co_spawn(bucket_.get_executor(), chain(meter), [this](std::exception_ptr exception) {
                if (exception) failure_ = exception;
                if (exception || --active_ == 0) context_.stop();  // the open bucket would keep run() waiting
            });
        }
        context_.restart();
        context_.run();
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }

private:
    asio::awaitable<void> chain(Meter& meter) {
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
    asio::io_context context_{1};
    AsioBucket bucket_;
    std::size_t active_ = 0;
    std::exception_ptr failure_;
};

}  // namespace

std::unique_ptr<Client> make_asio_client(const Target& target, Workload& workload) {
    return std::make_unique<AsioClient>(target, workload);
}

}  // namespace chaise::bench
