#pragma once

/// \file
/// The HTTP seam: what the bucket needs of HTTP (cluster maps, views, queries) from whoever can do it. libcurl does it
/// over any IOPS by default; the simulator replaces it.
///
/// Rules, those of the transport seam (transport.hpp):
/// - Everything happens on the loop's thread.
/// - A receiver is never called inside a call to the client or an exchange; always from a later dispatch of the loop.
/// - Destroying an exchange cancels it; its receiver is not called afterwards.
/// - A receiver may destroy the very exchange that calls it, start others, pause, and throw (the exchange goes on; the
///   loop's run rethrows).

#include <chaise/http_headers.hpp>
#include <chaise/time.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace chaise {

/// How an exchange ended.
struct HttpEnd {
    /// None: the answer is complete, whatever its status. std::errc::timed_out: one of the request's limits.
    std::error_code error;
    /// With an error: what happened, for people.
    std::string message;
    /// The request, or a part of it, was sent: the server may have acted upon it.
    bool sent = false;
    bool resolved = false;  ///< the host's addresses are known; without that nothing can have been sent
};

/// Hears of one exchange: on_head, on_body any number of times, on_end; or only on_end.
class HttpReceiver {
public:
    /// Of the answer that counts, not of those before it (status 100 to 199); without trailers.
    virtual void on_head(int status, const HttpHeaders& headers) = 0;
    /// The next bytes of the body, chunked encoding undone; valid during the call only.
    virtual void on_body(std::string_view bytes) = 0;
    /// Once, and last.
    virtual void on_end(const HttpEnd& end) = 0;

protected:
    ~HttpReceiver() = default;
};

/// One request and its answer, under way. Its destructor cancels it and closes its connection.
class HttpExchange {
public:
    HttpExchange() = default;
    HttpExchange(const HttpExchange&) = delete;
    HttpExchange& operator=(const HttpExchange&) = delete;
    virtual ~HttpExchange() = default;

    /// Nothing is told until `resume`, and soon nothing more is read from the connection (at most 208 KiB are kept).
    virtual void pause() = 0;
    /// What has come meanwhile is told from the next turn on.
    virtual void resume() = 0;
};

/// Makes exchanges for one IOPS, and keeps connections alive for those that follow. Must go before its IOPS, and not
/// inside a receiver's call; exchanges that outlive it say nothing more.
class HttpClient {
public:
    struct Header {
        std::string name;
        std::string value;
    };
    struct Request {
        std::string method = "GET";
        std::string host;  ///< name or address, IPv6 without brackets; names are resolved for each request
        std::uint16_t port = 80;
        std::string target = "/";  ///< path and query, percent-encoded
        std::string username{};    ///< empty: no authentication; otherwise Basic
        std::string password{};
        std::vector<Header> headers{};
        std::string body{};  ///< sent with its length, unless it is empty and the method is GET or HEAD
        /// Until on_end; zero: no limit. Time in which the receiver has paused it counts.
        Duration timeout{};
        /// Until the name is resolved and the connection stands; zero: no limit but `timeout`.
        Duration connect_timeout{};
        /// Between bytes of the answer, once the request is sent; zero: no limit. Paused time does not count.
        Duration idle_timeout{};
    };

    HttpClient() = default;
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;
    virtual ~HttpClient() = default;

    /// `receiver` must outlive the exchange.
    [[nodiscard]] virtual std::unique_ptr<HttpExchange> start(Request request, HttpReceiver& receiver) = 0;
};

}  // namespace chaise
