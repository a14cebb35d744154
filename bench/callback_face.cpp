// AsyncBucket by set_callbacks, on chaise's epoll loop.

#include "bench/client.hpp"

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace chaise::bench {

namespace {

class CallbackClient final : public Client {
public:
    CallbackClient(const Target& target, Workload& workload)
        : workload_(workload),
          bucket_(loop_, target.connection_string, bucket_options(target)),
          chains_(workload.depth()) {}

    void run(Meter& meter) override {
        meter_ = &meter;
        active_ = chains_.size();
        loop_.post([this] {
            for (Chain& chain : chains_) start(chain);
        });
        loop_.run();
    }

private:
    /// One operation after another.
    struct Chain {
        std::int64_t stamp = 0;
    };

    void start(Chain& chain) {
        if (!meter_->next(chain.stamp)) {
            if (--active_ == 0) loop_.stop();
            return;
        }
        const Workload::Draw draw = workload_.draw();
        if (draw.is_set) {
            bucket_.upsert(draw.key, workload_.value())
                .set_callbacks([this, &chain](const OperationResult&) { go_on(chain); },
                               [this](const Error& error) { fail(error); });
        } else {
            bucket_.get(draw.key).set_callbacks(
                [this, &chain](const ValueResult& result) {
                    check_value(result.value(), workload_);
                    go_on(chain);
                },
                [this](const Error& error) { fail(error); });
        }
    }
    void go_on(Chain& chain) {
        meter_->done(chain.stamp);
        start(chain);
    }
    void fail(const Error& error) { throw std::runtime_error(error.message()); }

    Workload& workload_;
    EpollLoop loop_;
    AsyncBucket bucket_;
    std::vector<Chain> chains_;
    Meter* meter_ = nullptr;
    std::size_t active_ = 0;
};

}  // namespace

std::unique_ptr<Client> make_callback_client(const Target& target, Workload& workload) {
    return std::make_unique<CallbackClient>(target, workload);
}

}  // namespace chaise::bench
