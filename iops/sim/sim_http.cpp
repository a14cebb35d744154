#include "iops/sim/sim_http.hpp"

#include "iops/http/exchange_limits.hpp"

#include <http_parser.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace chaise::testing::sim {

namespace {

std::string base64(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        unsigned bits = 0;
        for (std::size_t j = 0; j < 3; ++j) {
            bits = bits << 8 | (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0u);
        }
        for (std::size_t j = 0; j < 4; ++j) out += i + j <= text.size() ? digits[bits >> (18 - 6 * j) & 63] : '=';
    }
    return out;
}

std::string text_of(const HttpClient::Request& request) {
    const bool numeric_6 = request.host.find(':') != std::string::npos;
    std::string text = request.method + " " + request.target + " HTTP/1.1\r\nHost: " + (numeric_6 ? "[" : "") +
                       request.host + (numeric_6 ? "]:" : ":") + std::to_string(request.port) +
                       "\r\nUser-Agent: chaise\r\nAccept: */*\r\nConnection: close\r\n";
    if (!request.username.empty()) {
        text += "Authorization: Basic " + base64(request.username + ":" + request.password) + "\r\n";
    }
    for (const HttpClient::Header& header : request.headers) text += header.name + ": " + header.value + "\r\n";
    const bool without = request.method == "GET" || request.method == "HEAD" || request.method == "DELETE";
    if (!request.body.empty() || !without) text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
    return text.append("\r\n").append(request.body);
}

}  // namespace

class SimHttpExchange final : public HttpExchange, ResolveHandler, ConnectHandler, TransportHandler {
public:
    SimHttpExchange(SimHttpClient& client, HttpClient::Request request, HttpReceiver& receiver)
        : iops_(client.iops_),
          client_(&client),
          receiver_(receiver),
          request_(std::move(request)),
          news_(iops_.timer_event_factory()),
          limits_(iops_, request_, [](void* self, int) { static_cast<SimHttpExchange*>(self)->check_limits(); }, this) {
        client.exchanges_.insert(this);
        news_->set_handler([](void* self, int) { static_cast<SimHttpExchange*>(self)->tell(); }, this);
        http_parser_init(&parser_, HTTP_RESPONSE);
        parser_.data = this;
        if (const char* why = why_malformed(request_)) {
            end(std::make_error_code(std::errc::invalid_argument), why);
        } else {
            unsent_ = text_of(request_);
            pending_ = iops_.transport_factory().resolve(request_.host, *this);
            limits_.arm();
        }
    }
    ~SimHttpExchange() override {
        if (gone_ != nullptr) *gone_ = true;
        if (client_ != nullptr) client_->exchanges_.erase(this);
        orphan();
    }

    void pause() override { paused_ = true; }
    void resume() override {
        if (!std::exchange(paused_, false) || client_ == nullptr) return;
        limits_.heard();
        limits_.arm();
        news();
    }

    // The client goes: nothing is told any more.
    void orphan() noexcept {
        if (client_ == nullptr) return;
        pending_.reset();
        transport_.reset();
        iops_.cleanup(*news_);
        limits_.cleanup();
        client_ = nullptr;
    }

private:
    // ---- the connection ---------------------------------------------------------------------------------------

    void on_resolve(std::vector<std::string> addresses, std::error_code error) override {
        pending_.reset();
        if (error || addresses.empty()) {
            if (!error) error = std::make_error_code(std::errc::host_unreachable);
            return end(error, "cannot resolve \"" + request_.host + "\": " + error.message());
        }
        limits_.resolved();
        addresses_ = std::move(addresses);
        connect();
    }
    void connect() { pending_ = iops_.transport_factory().connect({addresses_[next_++], request_.port}, *this); }
    void on_connect(std::unique_ptr<Transport> transport, std::error_code error) override {
        pending_.reset();
        if (!transport && next_ < addresses_.size()) return connect();
        if (!transport) {
            return end(error, "cannot connect to " + request_.host + ":" + std::to_string(request_.port) + ": " +
                                  error.message());
        }
        transport_ = std::move(transport);
        transport_->set_handler(*this);
        limits_.sent();
        read();
        send();
    }
    void send() {
        if (unsent_.empty()) return;
        const ConstBuffer rest{unsent_.data(), unsent_.size()};
        const WriteResult result = transport_->write({&rest, 1});
        unsent_.erase(0, result.bytes);
        // An error shows when it is read, behind what the server may have said before.
        if (!result.error && !unsent_.empty()) transport_->wait_writable();
    }
    void on_writable() override { send(); }

    void read() {
        reading_ = true;
        transport_->read({buffer_.data(), buffer_.size()});
    }
    void on_read(std::size_t bytes, std::error_code error) override {
        reading_ = false;
        limits_.heard();
        if (error) return end(std::make_error_code(std::errc::connection_reset), error.message());
        const std::size_t used = http_parser_execute(&parser_, &settings(), buffer_.data(), bytes);
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
        if (too_many_headers_) return end(std::make_error_code(std::errc::protocol_error), too_many_headers);
        if (complete_) return end({}, {});
        if (bytes == 0) return end(std::make_error_code(std::errc::connection_reset), "it ended within the answer");
        if (used != bytes || HTTP_PARSER_ERRNO(&parser_) != HPE_OK) {
            return end(std::make_error_code(std::errc::protocol_error),
                       http_errno_description(HTTP_PARSER_ERRNO(&parser_)));
        }
        limits_.arm();
        if (body_.size() < most_kept_of_body) read();
        news();
    }
    void end(std::error_code error, std::string message) {
        pending_.reset();
        transport_.reset();
        limits_.stop();
        end_ = HttpEnd{error, std::move(message), limits_.was_sent(), limits_.was_resolved()};
        news();
    }

    // ---- the answer: no exception passes through the parser, which is C -----------------------------------------

    template <int (SimHttpExchange::*Member)(std::string_view)>
    static int data(http_parser* parser, const char* at, std::size_t length) noexcept {
        auto& self = *static_cast<SimHttpExchange*>(parser->data);
        try {
            return (self.*Member)({at, length});
        } catch (...) {
            self.failure_ = std::current_exception();
            return -1;
        }
    }
    static const http_parser_settings& settings() {
        static const http_parser_settings callbacks = [] {
            http_parser_settings s;
            http_parser_settings_init(&s);
            s.on_header_field = data<&SimHttpExchange::on_header_field>;
            s.on_header_value = data<&SimHttpExchange::on_header_value>;
            s.on_headers_complete = [](http_parser* parser) {
                auto& self = *static_cast<SimHttpExchange*>(parser->data);
                try {
                    return self.on_headers_complete();
                } catch (...) {
                    self.failure_ = std::current_exception();
                    return -1;
                }
            };
            s.on_body = data<&SimHttpExchange::on_body_bytes>;
            s.on_message_complete = [](http_parser* parser) {
                auto& self = *static_cast<SimHttpExchange*>(parser->data);
                self.complete_ = self.head_;
                if (self.complete_) http_parser_pause(parser, 1);  // what comes behind is nobody's
                return 0;
            };
            return s;
        }();
        return callbacks;
    }
    int on_header_field(std::string_view part) {
        if (in_value_ && !header_ends()) return -1;
        field_ += part;
        return 0;
    }
    int on_header_value(std::string_view part) {
        in_value_ = true;
        value_ += part;
        return 0;
    }
    // False: too much of them.
    bool header_ends() {
        const bool fits = head_ || headers_.add(field_, value_);  // (there may be trailers)
        if (!fits) too_many_headers_ = true;
        field_.clear();
        value_.clear();
        in_value_ = false;
        return fits;
    }
    // 1: there is no body, whatever the headers say.
    int on_headers_complete() {
        if (in_value_ && !header_ends()) return -1;
        if (parser_.status_code < 200) {  // "continue"; the answer comes
            headers_.clear();
            return 0;
        }
        head_ = true;
        return request_.method == "HEAD" ? 1 : 0;
    }
    int on_body_bytes(std::string_view bytes) {
        body_ += bytes;
        return 0;
    }

    // ---- what the receiver is told ------------------------------------------------------------------------------

    void news() {
        if (!paused_ && !telling_ && !news_->active()) iops_.defer(*news_);
    }
    void tell() {
        IOPS& iops = iops_;
        std::exception_ptr exception;
        bool gone = false;
        gone_ = &gone;
        telling_ = true;
        try {
            while (!gone && tell_one()) {
            }
        } catch (...) {
            exception = std::current_exception();
        }
        if (!gone) {
            gone_ = nullptr;
            telling_ = false;
            if (exception) news();  // the rest, on another turn
            if (transport_ && !reading_ && body_.size() < most_kept_of_body) read();
        }
        if (exception) iops.on_exception(std::move(exception));
    }
    // False: that was all, or it is not wanted now.
    bool tell_one() {
        if (paused_ || client_ == nullptr) return false;
        if (head_ && !head_told_) {
            head_told_ = true;
            receiver_.on_head(static_cast<int>(parser_.status_code), headers_);
            return true;
        }
        if (!body_.empty()) {
            const std::string bytes = std::exchange(body_, {});
            receiver_.on_body(bytes);
            return true;
        }
        if (!end_) return false;
        const HttpEnd how = *std::exchange(end_, std::nullopt);
        receiver_.on_end(how);
        return false;
    }

    void check_limits() {
        std::string over = limits_.over(paused_);
        if (!over.empty()) end(std::make_error_code(std::errc::timed_out), std::move(over));
    }

    IOPS& iops_;
    SimHttpClient* client_;
    HttpReceiver& receiver_;
    const HttpClient::Request request_;
    std::unique_ptr<TimerEvent> news_;
    ExchangeLimits limits_;
    std::unique_ptr<Pending> pending_;  // resolution or connect
    std::vector<std::string> addresses_;
    std::size_t next_ = 0;
    std::unique_ptr<Transport> transport_;
    std::string unsent_;
    std::array<char, 16384> buffer_{};
    http_parser parser_{};
    std::exception_ptr failure_;
    std::string field_;
    std::string value_;
    HttpHeaders headers_;
    bool too_many_headers_ = false;
    std::string body_;  // what has arrived and was not told
    std::optional<HttpEnd> end_;
    bool in_value_ = false;
    bool head_ = false;
    bool head_told_ = false;
    bool complete_ = false;
    bool reading_ = false;
    bool paused_ = false;
    bool telling_ = false;
    bool* gone_ = nullptr;  // set while it tells
};

SimHttpClient::~SimHttpClient() {
    for (SimHttpExchange* exchange : std::exchange(exchanges_, {})) exchange->orphan();
}

std::unique_ptr<HttpExchange> SimHttpClient::start(Request request, HttpReceiver& receiver) {
    return std::make_unique<SimHttpExchange>(*this, std::move(request), receiver);
}

}  // namespace chaise::testing::sim
