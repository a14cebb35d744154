#include "iops/http/exchange_limits.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>

namespace chaise {

namespace {

bool has_control(std::string_view text) noexcept {
    return std::any_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
}

bool spaced(std::string_view text) noexcept { return has_control(text) || text.find(' ') != text.npos; }

}  // namespace

const char* why_malformed(const HttpClient::Request& request) noexcept {
    if (request.method.empty() || spaced(request.method)) return "the method is malformed";
    if (request.host.empty() || spaced(request.host) || request.host.find_first_of("/?#@[]") != std::string::npos) {
        return "the host is malformed";
    }
    if (!request.target.starts_with('/') || spaced(request.target) || request.target.find('#') != std::string::npos) {
        return "the target is malformed";
    }
    if (request.username.find(':') != std::string::npos) return "a username with a colon cannot be told in HTTP";
    for (const HttpClient::Header& header : request.headers) {
        if (header.name.empty() || spaced(header.name) || header.name.find(':') != std::string::npos ||
            has_control(header.value)) {
            return "a header is malformed";
        }
    }
    return nullptr;
}

ExchangeLimits::ExchangeLimits(IOPS& iops, const HttpClient::Request& request, void (*handler)(void*, int),
                               void* context)
    : iops_(iops), request_(request), timer_(iops.timer_event_factory()), started_(iops.now()), heard_(started_) {
    timer_->set_handler(handler, context);
}

void ExchangeLimits::sent() {
    sent_ = true;
    heard();
    arm();
}

void ExchangeLimits::arm() {
    TimePoint first = TimePoint::max();
    const auto limit = [&](Duration duration, TimePoint since) {
        if (duration > Duration::zero()) first = std::min(first, since + duration);
    };
    limit(request_.timeout, started_);
    if (!sent_) limit(request_.connect_timeout, started_);
    if (sent_) limit(request_.idle_timeout, heard_);
    if (first == TimePoint::max() || (timer_->active() && armed_for_ <= first)) return;
    armed_for_ = first;
    const auto delay = std::chrono::ceil<std::chrono::microseconds>(first - iops_.now());
    iops_.schedule(*timer_, std::max(delay, std::chrono::microseconds{0}));
}

std::string ExchangeLimits::over(bool paused) {
    const TimePoint now = iops_.now();
    const auto passed = [&](Duration limit, TimePoint since) {
        return limit > Duration::zero() && now - since >= limit;
    };
    // Who does not listen cannot be told; he hears the rest, and of this, when he does.
    if (paused) heard_ = now;
    if (passed(request_.timeout, started_)) return sent_ ? "no complete answer in time" : "not sent in time";
    if (!sent_ && passed(request_.connect_timeout, started_)) {
        return resolved_ ? "no connection in time" : "\"" + request_.host + "\" was not resolved in time";
    }
    if (sent_ && passed(request_.idle_timeout, heard_)) return "the server has gone silent";
    arm();
    return {};
}

void ExchangeLimits::stop() {
    if (timer_->active()) iops_.cancel(*timer_);
}

}  // namespace chaise
