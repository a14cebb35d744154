#include "tests/unit/engine/script_http.hpp"

#include <utility>

namespace chaise::testing {
namespace {

class Exchange final : public HttpExchange {
public:
    explicit Exchange(ScriptHttp::Asked& asked) : asked_(asked) {}
    ~Exchange() override { asked_.receiver = nullptr; }
    void pause() override { asked_.paused = true; }
    void resume() override { asked_.paused = false; }

private:
    ScriptHttp::Asked& asked_;
};

class Client final : public HttpClient {
public:
    explicit Client(ScriptHttp& book) : book_(book) {}
    [[nodiscard]] std::unique_ptr<HttpExchange> start(Request request, HttpReceiver& receiver) override {
        return std::make_unique<Exchange>(book_.asked.emplace_back(ScriptHttp::Asked{std::move(request), &receiver}));
    }

private:
    ScriptHttp& book_;
};

}  // namespace

void ScriptHttp::Asked::end(std::error_code error, std::string message, bool resolved) {
    std::exchange(receiver, nullptr)->on_end({error, std::move(message), !error, resolved});
}

ScriptHttp::ScriptHttp(ScriptLoop& loop) : loop_(loop) {
    loop.net.http = [this] { return std::make_unique<Client>(*this); };
}

ScriptHttp::~ScriptHttp() { loop_.net.http = nullptr; }

std::size_t ScriptHttp::open() const {
    std::size_t n = 0;
    for (const Asked& one : asked) n += one.receiver ? 1u : 0u;
    return n;
}

}  // namespace chaise::testing
