#include <chaise/iops.hpp>

#include "iops/posix/posix_transport_factory.hpp"

#include <pthread.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace chaise {

namespace {

/// Random bits bought 64 words at a time; a word is wiped when it is handed out.
class RandomPool {
public:
    RandomPool() {
        // A forked child must not hand out its parent's words again.
        static const int once = pthread_atfork(nullptr, nullptr, [] { pool().left_ = 0; });
        static_cast<void>(once);
    }
    static RandomPool& pool() {
        thread_local RandomPool instance;
        return instance;
    }
    std::uint64_t next() {
        if (left_ == 0) refill();
        return std::exchange(words_[--left_], 0);
    }

private:
    void refill() {
        auto* bytes = reinterpret_cast<unsigned char*>(words_.data());
        std::size_t filled = 0;
        while (filled < sizeof words_) {
            const ssize_t got = ::getrandom(bytes + filled, sizeof words_ - filled, 0);
            if (got > 0) {
                filled += static_cast<std::size_t>(got);
            } else if (errno != EINTR) {
                throw std::system_error(errno, std::system_category(), "getrandom");
            }
        }
        left_ = words_.size();
    }

    std::array<std::uint64_t, 64> words_{};
    std::size_t left_ = 0;
};

}  // namespace

IOPS::~IOPS() = default;

std::unique_ptr<IOEvent> IOPS::io_event_factory() { return std::make_unique<IOEvent>(); }

std::unique_ptr<TimerEvent> IOPS::timer_event_factory() { return std::make_unique<TimerEvent>(); }

TimePoint IOPS::now() {
    return TimePoint{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

WallTime IOPS::wall_time() { return std::chrono::system_clock::now(); }

std::uint64_t IOPS::random() { return RandomPool::pool().next(); }

TransportFactory& IOPS::transport_factory() {
    if (!default_transports_) default_transports_ = std::make_unique<PosixTransportFactory>(*this);
    return *default_transports_;
}

void IOPS::on_exception(std::exception_ptr exception) noexcept { std::rethrow_exception(std::move(exception)); }

std::string Endpoint::to_string() const {
    const bool bracketed = address.find(':') != std::string::npos;
    std::string text;
    text.reserve(address.size() + 8);
    if (bracketed) text += '[';
    text += address;
    if (bracketed) text += ']';
    text += ':';
    text += std::to_string(port);
    return text;
}

}  // namespace chaise
