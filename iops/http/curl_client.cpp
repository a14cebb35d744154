#include "iops/http/curl_client.hpp"

#include "iops/http/curl_exchange.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <new>
#include <stdexcept>
#include <utility>

namespace chaise {

namespace {

/// To one host; what goes beyond waits in curl for one of them.
constexpr long connections_per_host = 64;
/// Kept alive, to all hosts.
constexpr long idle_connections = 32;

}  // namespace

std::unique_ptr<HttpClient> IOPS::make_http_client() { return std::make_unique<CurlClient>(*this); }

CurlClient::CurlClient(IOPS& iops) : iops_(iops) {
    static const CURLcode library = ::curl_global_init(CURL_GLOBAL_DEFAULT);
    if (library != CURLE_OK) throw std::runtime_error(std::string("libcurl: ") + ::curl_easy_strerror(library));
    multi_ = ::curl_multi_init();
    if (multi_ == nullptr) throw std::bad_alloc();
    ::curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlClient::on_watch);
    ::curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    ::curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlClient::on_timeout);
    ::curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    ::curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
    ::curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, connections_per_host);
    ::curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, idle_connections);
}

CurlClient::~CurlClient() {
    for (CurlExchange* exchange : std::exchange(exchanges_, {})) exchange->orphan();
    ::curl_multi_cleanup(multi_);  // closes the connections, by on_close
    drop_timer();
    while (!watches_.empty()) forget(watches_.begin()->first);
}

std::unique_ptr<HttpExchange> CurlClient::start(Request request, HttpReceiver& receiver) {
    auto exchange = std::make_unique<CurlExchange>(*this, std::move(request), receiver);
    exchanges_.insert(exchange.get());
    return exchange;
}

bool CurlClient::add(CurlExchange& exchange, CURL* easy) {
    ::curl_easy_setopt(easy, CURLOPT_PRIVATE, &exchange);
    ::curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &CurlClient::on_open);
    ::curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
    ::curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &CurlClient::on_close);
    ::curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, this);
    if (::curl_multi_add_handle(multi_, easy) != CURLM_OK) return false;
    transfers_.insert(&exchange);
    settle();
    return true;
}

void CurlClient::remove(CurlExchange& exchange, CURL* easy) noexcept {
    if (transfers_.erase(&exchange) != 0) ::curl_multi_remove_handle(multi_, easy);
    if (transfers_.empty()) drop_timer();
}

void CurlClient::read_on(CURL* easy) {
    ::curl_easy_pause(easy, CURLPAUSE_CONT);
    settle();
}

void CurlClient::act(curl_socket_t fd, int ready) {
    int running = 0;
    ::curl_multi_socket_action(multi_, fd, ready, &running);
    settle();
}

void CurlClient::settle() {
    int left = 0;
    while (const CURLMsg* message = ::curl_multi_info_read(multi_, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        const CURLcode result = message->data.result;
        CurlExchange* exchange = nullptr;
        ::curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        exchange->finished(result);  // which removes it
    }
    for (const auto& [fd, watch] : watches_) {
        if (!watch->event->active()) iops_.watch(*watch->event, fd, watch->wanted);
    }
}

void CurlClient::drop_timer() noexcept {
    if (timer_) iops_.cleanup(*timer_);
    timer_.reset();
}

// ---- what curl wants to be told of ----------------------------------------------------------------------------------

int CurlClient::on_watch(CURL*, curl_socket_t fd, int what, void* self, void*) {
    auto& client = *static_cast<CurlClient*>(self);
    if (what == CURL_POLL_REMOVE) {
        client.forget(fd);
        return 0;
    }
    const int wanted = ((what & CURL_POLL_IN) != 0 ? read_event : 0) | ((what & CURL_POLL_OUT) != 0 ? write_event : 0);
    auto& watch = client.watches_[fd];
    if (!watch) {
        watch = std::make_unique<Watch>(Watch{&client, fd, 0, client.iops_.io_event_factory()});
        watch->event->set_handler(&CurlClient::on_ready, watch.get());
    }
    watch->wanted = wanted;
    client.iops_.watch(*watch->event, fd, wanted);
    return 0;
}

int CurlClient::on_timeout(CURLM*, long milliseconds, void* self) {
    auto& client = *static_cast<CurlClient*>(self);
    if (milliseconds < 0) {
        if (client.timer_ && client.timer_->active()) client.iops_.cancel(*client.timer_);
        return 0;
    }
    if (!client.timer_) {
        client.timer_ = client.iops_.timer_event_factory();
        client.timer_->set_handler(&CurlClient::on_timer, &client);
    }
    client.iops_.schedule(*client.timer_, std::chrono::milliseconds(milliseconds));
    return 0;
}

curl_socket_t CurlClient::on_open(void*, curlsocktype, curl_sockaddr* address) {
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
}

int CurlClient::on_close(void* self, curl_socket_t fd) {
    static_cast<CurlClient*>(self)->forget(fd);
    return ::close(fd);
}

void CurlClient::forget(curl_socket_t fd) noexcept {
    const auto found = watches_.find(fd);
    if (found == watches_.end()) return;
    iops_.cleanup(*found->second->event);
    watches_.erase(found);
}

void CurlClient::on_ready(void* context, int flags) {
    // curl may close this socket, and the watch with it.
    const Watch& watch = *static_cast<Watch*>(context);
    CurlClient& client = *watch.client;
    client.act(watch.fd,
               ((flags & read_event) != 0 ? CURL_CSELECT_IN : 0) | ((flags & write_event) != 0 ? CURL_CSELECT_OUT : 0));
}

void CurlClient::on_timer(void* self, int) { static_cast<CurlClient*>(self)->act(CURL_SOCKET_TIMEOUT, 0); }

}  // namespace chaise
