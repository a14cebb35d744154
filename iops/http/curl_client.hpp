#pragma once

#include <chaise/http.hpp>
#include <chaise/iops.hpp>

#include <curl/curl.h>

#include <memory>
#include <unordered_map>
#include <unordered_set>

namespace chaise {

class CurlExchange;

/// HTTP/1.1 by libcurl's multi-socket interface, driven by the events of one IOPS. curl never calls a receiver: what it
/// reads is kept in the exchange and told in a dispatch of its own, so that a receiver may do anything. While nothing
/// is under way no event exists.
class CurlClient final : public HttpClient {
public:
    explicit CurlClient(IOPS& iops);
    ~CurlClient() override;

    [[nodiscard]] std::unique_ptr<HttpExchange> start(Request request, HttpReceiver& receiver) override;

private:
    friend class CurlExchange;
    /// One of curl's sockets.
    struct Watch {
        CurlClient* client;
        curl_socket_t fd;
        int wanted;
        std::unique_ptr<IOEvent> event;
    };

    // ---- told by the exchanges -----------------------------------------------------------------------------------
    /// False: curl does not take it.
    [[nodiscard]] bool add(CurlExchange& exchange, CURL* easy);
    void remove(CurlExchange& exchange, CURL* easy) noexcept;
    void leave(CurlExchange& exchange) noexcept { exchanges_.erase(&exchange); }
    /// curl goes on reading what it was told to hold back.
    void read_on(CURL* easy);

    void act(curl_socket_t fd, int ready);
    /// After every call into curl: what has ended, and what it wants to be told of.
    void settle();
    void drop_timer() noexcept;
    static int on_watch(CURL* easy, curl_socket_t fd, int what, void* client, void* socket);
    static int on_timeout(CURLM* multi, long milliseconds, void* client);
    static curl_socket_t on_open(void* client, curlsocktype purpose, curl_sockaddr* address);
    static int on_close(void* client, curl_socket_t fd);
    static void on_ready(void* watch, int flags);
    static void on_timer(void* client, int flags);
    void forget(curl_socket_t fd) noexcept;

    IOPS& iops_;
    CURLM* multi_ = nullptr;
    std::unordered_set<CurlExchange*> exchanges_;
    std::unordered_set<CurlExchange*> transfers_;  // those that curl works on
    std::unordered_map<curl_socket_t, std::unique_ptr<Watch>> watches_;
    std::unique_ptr<TimerEvent> timer_;
};

}  // namespace chaise
