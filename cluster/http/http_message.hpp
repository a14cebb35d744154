#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// HTTP without a connection: requests, and answers that may go on for ever.
namespace chaise::testing {

struct HttpHeader {
    std::string name;
    std::string value;
};

struct HttpRequest {
    std::string method = "GET";
    std::string target = "/";  ///< as sent: path and query
    std::vector<HttpHeader> headers{};
    std::string body{};
    /// The address by which the client reached this server, without the port; IPv6 without brackets.
    std::string local_host{};

    /// The first header of that name, in any case; empty when there is none.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
    /// The path's segments, each percent-decoded: "/a/b%2Fc?d" gives "a", "b/c".
    [[nodiscard]] std::vector<std::string> path() const;
    /// User and password of "Authorization: Basic"; two empty strings when there is none that can be read.
    [[nodiscard]] std::pair<std::string, std::string> basic_credentials() const;
};

/// Where the parts of an open-ended answer go.
class HttpSink {
public:
    virtual void send(std::string_view part) = 0;
    /// The answer is complete. The stream is destroyed on a later turn.
    virtual void end() = 0;
    /// The connection ends here, in the middle of the answer, once what was sent has gone.
    virtual void cut() = 0;

protected:
    ~HttpSink() = default;
};

/// An open-ended answer: lives until it has ended itself or the client is gone.
class HttpStream {
public:
    virtual ~HttpStream() = default;
    /// The client takes more: time to send the next piece. Asked again, on this turn or later, as long as it returns
    /// true; false: nothing was sent now (what is sent later comes without being asked for).
    virtual bool on_room() { return false; }
};

struct HttpResponse {
    int status = 200;
    std::string content_type = "application/json";
    std::vector<HttpHeader> headers{};
    std::string body{};
    /// When it is set the answer is a stream: what this makes sends its parts, the first ones at once if it likes.
    /// `body` is then ignored.
    std::function<std::unique_ptr<HttpStream>(HttpSink&)> stream{};
    /// Of a stream: status and headers go with its first part, not at once.
    bool head_waits = false;
};

/// "Not Found" of 404; "Unknown" of what is not known here.
[[nodiscard]] std::string_view http_reason(int status) noexcept;
/// Percent-decoded. What is no escape stays as it is.
[[nodiscard]] std::string percent_decode(std::string_view text);
/// What RFC 3986 calls unreserved stays, the rest is percent-encoded.
[[nodiscard]] std::string percent_encode(std::string_view text);

/// What a server answers.
class HttpHandler {
public:
    [[nodiscard]] virtual HttpResponse answer(const HttpRequest& request) = 0;

protected:
    ~HttpHandler() = default;
};

}  // namespace chaise::testing
