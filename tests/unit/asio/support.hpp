#pragma once

#include <chaise/asio/iops.hpp>

#include <asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace chaise::testing {

using namespace std::chrono_literals;

/// Hears a transport; what it shall do is set by the test.
struct StreamHandler final : TransportHandler {
    std::function<void(std::size_t, std::error_code)> read;
    std::function<void()> writable;
    void on_read(std::size_t bytes, std::error_code error) override {
        if (read) read(bytes, error);
    }
    void on_writable() override {
        if (writable) writable();
    }
};

struct Connected final : ConnectHandler {
    std::function<void()> then;
    std::unique_ptr<Transport> transport;
    std::error_code error;
    int calls = 0;
    void on_connect(std::unique_ptr<Transport> connected, std::error_code result) override {
        ++calls;
        transport = std::move(connected);
        error = result;
        if (then) then();
    }
};

struct Accepted final : AcceptHandler {
    std::function<void()> then;
    std::vector<std::unique_ptr<Transport>> transports;
    void on_accept(std::unique_ptr<Transport> transport) override {
        transports.push_back(std::move(transport));
        if (then) then();
    }
};

/// A timer event with a std::function for a handler.
class Timer {
public:
    Timer(IOPS& iops, std::function<void()> function)
        : iops_(iops), function_(std::move(function)), event_(iops.timer_event_factory()) {
        event_->set_handler([](void* self, int) { static_cast<Timer*>(self)->function_(); }, this);
    }
    ~Timer() { iops_.cleanup(*event_); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    TimerEvent& operator*() { return *event_; }
    void schedule(std::chrono::microseconds delay) { iops_.schedule(*event_, delay); }
    void defer() { iops_.defer(*event_); }
    void cancel() { iops_.cancel(*event_); }

private:
    IOPS& iops_;
    std::function<void()> function_;
    std::unique_ptr<TimerEvent> event_;
};

/// Both ends of one connection, on one IOPS.
struct StreamPair {
    std::unique_ptr<Transport> client;
    std::unique_ptr<Transport> server;
    StreamHandler client_handler;
    StreamHandler server_handler;

    StreamPair(asio::io_context& context, IOPS& iops) {
        Accepted accepted;
        Connected connected;
        const auto listener = iops.transport_factory().listen({"127.0.0.1", 0}, accepted);
        const auto connecting = iops.transport_factory().connect(listener->local_endpoint(), connected);
        while (accepted.transports.empty() || connected.calls == 0) context.run_one();
        client = std::move(connected.transport);
        server = std::move(accepted.transports.front());
        client->set_handler(client_handler);
        server->set_handler(server_handler);
    }
};

inline WriteResult write_text(Transport& transport, std::string_view text) {
    const ConstBuffer buffer{text.data(), text.size()};
    return transport.write({&buffer, 1});
}

}  // namespace chaise::testing
