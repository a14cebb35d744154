#pragma once

// What every HTTP exchange keeps to, whoever carries it: libcurl, or the simulated world.

#include <chaise/http.hpp>
#include <chaise/iops.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace chaise {

/// What is kept of a body that nobody wants to hear of yet, in bytes; one read more may come.
constexpr std::size_t most_kept_of_body = std::size_t{64} * 1024;

/// The answer has more headers than HttpHeaders takes.
constexpr const char* too_many_headers = "the answer's headers are longer than 64 KiB";

/// What would make another request of it than the one that was meant; null: nothing.
[[nodiscard]] const char* why_malformed(const HttpClient::Request& request) noexcept;

/// The time limits of one exchange, by one timer that is never moved later: it fires, looks, and is armed again.
class ExchangeLimits {
public:
    /// `request` must outlive it. `handler` is to ask for over().
    ExchangeLimits(IOPS& iops, const HttpClient::Request& request, void (*handler)(void*, int), void* context);

    /// The name's addresses are known.
    void resolved() noexcept { resolved_ = true; }
    /// The connection stands and the request is on its way.
    void sent();
    /// The server has said something, or may not have been heard until now.
    void heard() { heard_ = iops_.now(); }
    [[nodiscard]] bool was_resolved() const noexcept { return resolved_; }
    [[nodiscard]] bool was_sent() const noexcept { return sent_; }

    void arm();
    /// Which limit is over, in words; empty: none, and the timer is armed for the next.
    [[nodiscard]] std::string over(bool paused);
    /// The exchange has ended.
    void stop();
    /// It goes, or its IOPS does.
    void cleanup() noexcept { iops_.cleanup(*timer_); }

private:
    IOPS& iops_;
    const HttpClient::Request& request_;
    std::unique_ptr<TimerEvent> timer_;
    TimePoint started_;
    TimePoint heard_;
    TimePoint armed_for_{};
    bool resolved_ = false;
    bool sent_ = false;
};

}  // namespace chaise
