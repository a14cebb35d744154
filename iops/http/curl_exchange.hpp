#pragma once

#include "iops/http/curl_client.hpp"
#include "iops/http/exchange_limits.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace chaise {

/// One request: its name is resolved by the IOPS's own resolver, then curl has it; its limits are timers of the IOPS.
class CurlExchange final : public HttpExchange, ResolveHandler {
public:
    CurlExchange(CurlClient& client, HttpClient::Request request, HttpReceiver& receiver);
    ~CurlExchange() override;

    void pause() override { paused_ = true; }
    void resume() override;

    /// The client goes: nothing is told any more.
    void orphan() noexcept;
    /// curl is done with it.
    void finished(CURLcode result);

private:
    void on_resolve(std::vector<std::string> addresses, std::error_code error) override;
    void begin(const std::vector<std::string>& addresses);
    [[nodiscard]] CURLcode configure(const std::vector<std::string>& addresses);
    [[nodiscard]] CURLcode configure_body();
    [[nodiscard]] CURLcode configure_headers();
    void end(std::error_code error, std::string message);
    void drop_transfer() noexcept;

    // What curl calls.
    static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
    static std::size_t on_write(char* data, std::size_t size, std::size_t count, void* self);
    static int on_request(void* self, char*, char*, int, int);
    bool header(std::string_view line);

    // What the receiver is told, one after the other.
    void news();
    void tell();
    [[nodiscard]] bool tell_one();
    [[nodiscard]] bool read_on();

    void check_limits();

    IOPS* iops_;
    CurlClient* client_;
    HttpReceiver& receiver_;
    const HttpClient::Request request_;
    std::unique_ptr<Pending> resolving_;
    CURL* easy_ = nullptr;
    curl_slist* headers_ = nullptr;
    curl_slist* addresses_ = nullptr;
    std::array<char, CURL_ERROR_SIZE> error_text_{};
    std::unique_ptr<TimerEvent> news_;
    ExchangeLimits limits_;
    int status_ = 0;
    HttpHeaders headers_heard_;
    bool too_many_headers_ = false;
    std::string body_;   // what has arrived and was not told
    std::string spare_;  // its memory, between two of them
    std::optional<HttpEnd> end_;
    bool head_ = false;  // complete
    bool head_told_ = false;
    bool held_back_ = false;  // curl was told to wait
    bool paused_ = false;
    bool telling_ = false;
    bool* gone_ = nullptr;  // set while it tells
};

}  // namespace chaise
