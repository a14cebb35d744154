#include "topology/http_config.hpp"

#include "bucket/core.hpp"
#include "operation/probe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace chaise::detail {

namespace {

/// A stream that says nothing for so long is looked for elsewhere (protocol.md 7.1).
constexpr Duration longest_silence = std::chrono::minutes(5);

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view("-_.~").find(c) != std::string_view::npos;
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace

HttpConfig::HttpConfig(Core& core) : core_(core), timer_(core.iops().timer_event_factory()) {
    timer_->set_handler([](void* config, int) { static_cast<HttpConfig*>(config)->on_timer(); }, this);
}

HttpConfig::~HttpConfig() { core_.iops().cleanup(*timer_); }

void HttpConfig::start(std::vector<protocol::Endpoint> nodes) {
    if (state_ != State::idle) return;
    shuffle(std::move(nodes));
    next();
}

void HttpConfig::stop() noexcept {
    state_ = State::idle;
    established_ = false;
    exchange_.reset();
    if (timer_->active()) core_.iops().cancel(*timer_);
}

void HttpConfig::shuffle(std::vector<protocol::Endpoint> nodes) {
    nodes_ = std::move(nodes);
    for (std::size_t i = nodes_.size(); i > 1; --i) std::swap(nodes_[i - 1], nodes_[core_.iops().random() % i]);
    next_ = 0;
}

/// The node whose turn it is, if there is one left.
void HttpConfig::next() {
    legacy_ = false;
    if (next_ == nodes_.size()) return pass_over();
    const std::string name = protocol::authority(nodes_[next_]);
    const Duration wait = core_.router().attempts().admit(name, core_.now());
    if (wait > Duration::zero()) return rest(wait);
    ask();
}

void HttpConfig::ask() {
    const Settings& settings = core_.settings();
    HttpClient::Request request;
    request.host = nodes_[next_].host;
    request.port = nodes_[next_].port;
    request.target =
        (legacy_ ? "/pools/default/bucketsStreaming/" : "/pools/default/bs/") + percent_encoded(settings.bucket);
    request.username = settings.username;
    request.password = settings.password;
    request.connect_timeout = settings.connect_timeout;
    request.idle_timeout = longest_silence;
    state_ = State::asking;
    documents_.emplace(protocol::max_map_size);
    core_.iops().schedule(*timer_, std::chrono::ceil<std::chrono::microseconds>(settings.connect_timeout));
    exchange_ = core_.http()->start(std::move(request), *this);
}

void HttpConfig::rest(Duration delay) {
    state_ = State::resting;
    core_.iops().schedule(*timer_, std::chrono::ceil<std::chrono::microseconds>(delay));
}

void HttpConfig::pass_over() {
    state_ = State::idle;
    if (!established_) return core_.router().http_failed();
    shuffle(core_.router().management_nodes());
    rest(backoff_.next(core_.iops().random()));
}

/// This node gives no map, or no more.
void HttpConfig::refused(errc code, std::string message) {
    exchange_.reset();
    if (timer_->active()) core_.iops().cancel(*timer_);
    const std::string name = protocol::authority(nodes_[next_]);
    ++next_;
    if (std::exchange(state_, State::idle) == State::streaming) {
        backoff_.connection_held(core_.now() - since_);
        next_ = nodes_.size();
        return pass_over();
    }
    // Later failures are nobody's: the text of this one would grow with each.
    if (!established_) core_.router().note_failure(code, message, name);
    next();
}

void HttpConfig::on_timer() {
    Core::Dispatch dispatch(core_);
    if (state_ == State::resting) {
        state_ = State::idle;
        return next();
    }
    refused(errc::timeout_before_send, "the management service gave no cluster map within connect_timeout");
}

void HttpConfig::on_head(int status, const HttpHeaders&) {
    if (status == 200) return;
    const Core::InsideHttp inside(core_);
    Core::Dispatch dispatch(core_);
    const Settings& settings = core_.settings();
    switch (status) {
        case 401:
            return refused(errc::authentication_failure,
                           fmt::format("the management service refused the username or the password of user \"{}\"",
                                       settings.username));
        case 404:
            if (!std::exchange(legacy_, true)) {
                CHAISE_PROBE(http_legacy_stream);
                exchange_.reset();
                return ask();
            }
            [[fallthrough]];
        case 403:
            return refused(
                errc::bucket_not_found,
                fmt::format("bucket \"{}\" does not exist, or user \"{}\" has no access to it, HTTP status {}",
                            settings.bucket, settings.username, status));
        default:
            return refused(errc::temporary_failure,
                           fmt::format("the management service answers with HTTP status {}", status));
    }
}

void HttpConfig::on_body(std::string_view bytes) {
    const Core::InsideHttp inside(core_);
    Core::Dispatch dispatch(core_);
    if (!documents_->feed(bytes)) return refused(errc::protocol_error, "its cluster map is too large");
    take_documents();
}

void HttpConfig::take_documents() {
    while (exchange_) {
        const std::string text(documents_->next());
        if (text.empty()) return;
        Router& router = core_.router();
        bool no_news = false;
        const std::string why_not = router.http_map(text, nodes_[next_], no_news);
        if (!exchange_) return;
        if (state_ == State::streaming) continue;
        // The first shows whether this is the bucket's stream; that it tells nothing new does not matter.
        if (!why_not.empty() && !no_news) {
            return refused(errc::protocol_error, "its cluster map is of no use: " + why_not);
        }
        state_ = State::streaming;
        established_ = true;
        since_ = core_.now();
        if (timer_->active()) core_.iops().cancel(*timer_);
    }
}

void HttpConfig::on_end(const HttpEnd& end) {
    const Core::InsideHttp inside(core_);
    Core::Dispatch dispatch(core_);
    if (!end.error) return refused(errc::not_connected, "the management service ended its answer");
    const errc code = end.error == std::errc::timed_out        ? errc::timeout_before_send
                      : !end.resolved                          ? errc::host_not_found
                      : end.error == std::errc::protocol_error ? errc::protocol_error
                                                               : errc::not_connected;
    refused(code, end.message);
}

}  // namespace chaise::detail
