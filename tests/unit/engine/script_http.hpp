#pragma once

// The HTTP of a ScriptLoop: what is asked is written down, and answered when the test likes.

#include "tests/unit/engine/script_loop.hpp"

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace chaise::testing {

class ScriptHttp {
public:
    struct Asked {
        HttpClient::Request request;
        HttpReceiver* receiver = nullptr;  ///< null: cancelled, or over
        bool paused = false;
        void head(int status) const { receiver->on_head(status, "application/json"); }
        void body(std::string_view bytes) const { receiver->on_body(bytes); }
        void end(std::error_code error = {}, std::string message = {}, bool resolved = true) {
            std::exchange(receiver, nullptr)->on_end({error, std::move(message), !error, resolved});
        }
    };

    explicit ScriptHttp(ScriptLoop& loop) : loop_(loop) {
        loop.net.http = [this] { return std::make_unique<Client>(*this); };
    }
    ~ScriptHttp() { loop_.net.http = nullptr; }
    ScriptHttp(const ScriptHttp&) = delete;
    ScriptHttp& operator=(const ScriptHttp&) = delete;

    std::deque<Asked> asked;
    [[nodiscard]] Asked& last() { return asked.back(); }
    [[nodiscard]] std::size_t open() const {
        std::size_t n = 0;
        for (const Asked& one : asked) n += one.receiver ? 1u : 0u;
        return n;
    }

private:
    class Exchange final : public HttpExchange {
    public:
        explicit Exchange(Asked& asked) : asked_(asked) {}
        ~Exchange() override { asked_.receiver = nullptr; }
        void pause() override { asked_.paused = true; }
        void resume() override { asked_.paused = false; }

    private:
        Asked& asked_;
    };
    class Client final : public HttpClient {
    public:
        explicit Client(ScriptHttp& book) : book_(book) {}
        [[nodiscard]] std::unique_ptr<HttpExchange> start(Request request, HttpReceiver& receiver) override {
            return std::make_unique<Exchange>(book_.asked.emplace_back(Asked{std::move(request), &receiver}));
        }

    private:
        ScriptHttp& book_;
    };

    ScriptLoop& loop_;
};

}  // namespace chaise::testing
