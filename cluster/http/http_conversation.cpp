#include "cluster/http/http_conversation.hpp"

#include <http_parser.h>

#include <array>
#include <charconv>
#include <exception>
#include <string>
#include <utility>

namespace chaise::testing {

namespace {

/// What may wait before requests that came together are left for later.
constexpr std::size_t output_pause = std::size_t{64} * 1024;

void append_number(std::string& out, std::size_t number, int base = 10) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
    out.append(digits.data(), end);
}

class HttpConversation final : public Conversation, private HttpSink {
public:
    HttpConversation(HttpHandler& handler, Outlet& outlet, const HttpLimits& limits)
        : handler_(handler), outlet_(outlet), limits_(limits) {
        http_parser_init(&parser_, HTTP_REQUEST);
        parser_.data = this;
    }

    std::size_t on_bytes(std::string_view bytes) override {
        std::size_t used = 0;
        while (used < bytes.size() && !closed_ && !streaming_ && outlet_.waiting() <= output_pause) {
            used += parse(bytes.substr(used));
        }
        return closed_ ? bytes.size() : used;  // behind an error nothing is listened to any more
    }

    bool on_room() override {
        if (closed_) return false;
        bool more = false;
        if (stream_ && !ended_) more = stream_->on_room();
        if (ended_) retire();
        return more;
    }

private:
    enum class Refusal : int { none = 0, bad = 400, body = 413, head = 431 };

    // ---- parsing ---------------------------------------------------------------------------------------------

    std::size_t parse(std::string_view bytes) {
        http_parser_pause(&parser_, 0);
        complete_ = false;
        const std::size_t used = http_parser_execute(&parser_, &settings(), bytes.data(), bytes.size());
        if (failure_) std::rethrow_exception(failure_);
        if (complete_) {
            respond();
        } else if (HTTP_PARSER_ERRNO(&parser_) != HPE_OK) {
            if (HTTP_PARSER_ERRNO(&parser_) == HPE_HEADER_OVERFLOW) refusal_ = Refusal::head;
            refuse(refusal_ == Refusal::none ? Refusal::bad : refusal_);
        }
        return used;
    }

    static const http_parser_settings& settings() {
        static const http_parser_settings callbacks = [] {
            http_parser_settings s;
            http_parser_settings_init(&s);
            s.on_message_begin = notice<&HttpConversation::on_message_begin>;
            s.on_url = data<&HttpConversation::on_url>;
            s.on_header_field = data<&HttpConversation::on_header_field>;
            s.on_header_value = data<&HttpConversation::on_header_value>;
            s.on_headers_complete = notice<&HttpConversation::on_headers_complete>;
            s.on_body = data<&HttpConversation::on_body>;
            s.on_message_complete = notice<&HttpConversation::on_message_complete>;
            return s;
        }();
        return callbacks;
    }

    // No exception passes through the parser, which is C.
    template <bool (HttpConversation::*Member)()>
    static int notice(http_parser* parser) noexcept {
        auto& self = *static_cast<HttpConversation*>(parser->data);
        try {
            return (self.*Member)() ? 0 : -1;
        } catch (...) {
            self.failure_ = std::current_exception();
            return -1;
        }
    }
    template <bool (HttpConversation::*Member)(std::string_view)>
    static int data(http_parser* parser, const char* at, std::size_t length) noexcept {
        auto& self = *static_cast<HttpConversation*>(parser->data);
        try {
            return (self.*Member)({at, length}) ? 0 : -1;
        } catch (...) {
            self.failure_ = std::current_exception();
            return -1;
        }
    }

    bool on_message_begin() {
        request_ = {};
        request_.target.clear();
        request_.local_host = outlet_.local_host();
        head_size_ = 0;
        in_value_ = false;
        return true;
    }
    bool head_grows(std::size_t by) {
        head_size_ += by;
        if (head_size_ <= limits_.head_max) return true;
        refusal_ = Refusal::head;
        return false;
    }
    bool on_url(std::string_view part) {
        request_.target.append(part);
        return head_grows(part.size());
    }
    bool on_header_field(std::string_view part) {
        if (in_value_ || request_.headers.empty()) {
            request_.headers.emplace_back();
            in_value_ = false;
            if (!head_grows(sizeof(HttpHeader))) return false;  // many that are small are large, too
        }
        request_.headers.back().name.append(part);
        return head_grows(part.size());
    }
    bool on_header_value(std::string_view part) {
        if (request_.headers.empty()) return false;
        in_value_ = true;
        request_.headers.back().value.append(part);
        return head_grows(part.size());
    }
    bool on_headers_complete() {
        request_.method = http_method_str(static_cast<http_method>(parser_.method));
        if (parser_.content_length != ULLONG_MAX && parser_.content_length > limits_.body_max) {
            refusal_ = Refusal::body;
            return false;
        }
        if (request_.header("expect") == "100-continue") outlet_.send("HTTP/1.1 100 Continue\r\n\r\n");
        return true;
    }
    bool on_body(std::string_view part) {
        if (part.size() > limits_.body_max - request_.body.size()) {
            refusal_ = Refusal::body;
            return false;
        }
        request_.body.append(part);
        return true;
    }
    bool on_message_complete() {
        complete_ = true;
        keep_alive_ = http_should_keep_alive(&parser_) != 0 && parser_.upgrade == 0;
        http_parser_pause(&parser_, 1);  // the next request after this one's answer
        return true;
    }

    // ---- answering -------------------------------------------------------------------------------------------

    void respond() {
        HttpResponse response = handler_.answer(request_);
        const bool head_only = request_.method == "HEAD";
        chunked_ = parser_.http_major > 1 || (parser_.http_major == 1 && parser_.http_minor >= 1);
        std::string out = head(response);
        if (!response.stream) {
            out += "Content-Length: ";
            append_number(out, response.body.size());
            out += "\r\n\r\n";
            if (!head_only) out += response.body;
            outlet_.send(out);
            if (!keep_alive_) close();
            return;
        }
        // HTTP/1.0 knows no chunks: the end of the connection is the end of the answer.
        if (chunked_) out += "Transfer-Encoding: chunked\r\n";
        out += "\r\n";
        if (!response.head_waits || head_only) {
            outlet_.send(out);
        } else {
            head_ = std::move(out);
        }
        if (head_only) {
            if (!keep_alive_ || !chunked_) close();
            return;
        }
        streaming_ = true;
        ended_ = false;
        stream_ = response.stream(*this);
    }

    // Not from inside the stream.
    void retire() {
        stream_.reset();
        ended_ = streaming_ = false;
        outlet_.resume();  // for requests that came meanwhile
    }

    [[nodiscard]] std::string head(const HttpResponse& response) const {
        std::string out = "HTTP/1.1 ";
        append_number(out, static_cast<std::size_t>(response.status));
        out.append(" ")
            .append(http_reason(response.status))
            .append("\r\nServer: chaise\r\nCache-Control: no-cache\r\n");
        out.append("Content-Type: ").append(response.content_type).append("\r\n");
        for (const HttpHeader& header : response.headers) {
            out.append(header.name).append(": ").append(header.value).append("\r\n");
        }
        const bool closes = !keep_alive_ || (response.stream && !chunked_);
        if (closes) {
            out += "Connection: close\r\n";
        } else if (parser_.http_major == 1 && parser_.http_minor == 0) {
            out += "Connection: keep-alive\r\n";
        }
        return out;
    }

    void refuse(Refusal why) {
        keep_alive_ = false;
        const auto status = static_cast<int>(why);
        std::string out = head({.status = status, .content_type = "text/plain"});
        const std::string_view text = http_reason(status);
        out += "Content-Length: ";
        append_number(out, text.size());
        out.append("\r\n\r\n").append(text);
        outlet_.send(out);
        close();
    }

    void close() {
        if (std::exchange(closed_, true)) return;
        outlet_.close();
    }

    // ---- HttpSink --------------------------------------------------------------------------------------------

    void send(std::string_view part) override {
        if (closed_ || ended_ || part.empty()) return;  // an empty chunk would be the end
        if (outlet_.waiting() > limits_.stream_max) return close();
        send_head();
        std::string out;
        if (chunked_) {
            append_number(out, part.size(), 16);
            out.append("\r\n").append(part).append("\r\n");
            outlet_.send(out);
        } else {
            outlet_.send(part);
        }
    }
    void end() override {
        if (closed_ || ended_) return;
        send_head();
        if (chunked_) outlet_.send("0\r\n\r\n");
        if (!chunked_ || !keep_alive_) return close();
        ended_ = true;
        outlet_.resume();  // which comes back to on_room()
    }
    void cut() override { close(); }
    void send_head() {
        if (!head_.empty()) outlet_.send(std::exchange(head_, {}));
    }

    HttpHandler& handler_;
    Outlet& outlet_;
    const HttpLimits limits_;
    http_parser parser_;
    HttpRequest request_;
    std::string head_;  // of a stream that has not begun
    std::exception_ptr failure_;
    std::size_t head_size_ = 0;
    Refusal refusal_ = Refusal::none;
    bool in_value_ = false;
    bool complete_ = false;
    bool keep_alive_ = false;
    bool chunked_ = false;
    bool streaming_ = false;
    bool ended_ = false;  // the stream is to be destroyed
    bool closed_ = false;
    std::unique_ptr<HttpStream> stream_;  // last: it uses this in its destructor at the most
};

}  // namespace

std::unique_ptr<Conversation> make_http_conversation(HttpHandler& handler, Outlet& outlet, const HttpLimits& limits) {
    return std::make_unique<HttpConversation>(handler, outlet, limits);
}

ConversationFactory http_conversations(HttpHandler& handler, const HttpLimits& limits) {
    return [&handler, limits](Outlet& outlet) { return make_http_conversation(handler, outlet, limits); };
}

}  // namespace chaise::testing
