// Consumers and buckets that come and go at awkward moments.

#include "tests/unit/engine/session_fixture.hpp"

#include <catch2/catch.hpp>

#include <stdexcept>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// A loop whose timers cannot be armed.
class BrokenIops final : public IOPS {
public:
    explicit BrokenIops(bool& destroyed) : destroyed_(destroyed) {}
    ~BrokenIops() override { destroyed_ = true; }
    void update_event(IOEvent&, EventAction, int) override {}
    void update_timer(TimerEvent&, EventAction action, std::chrono::microseconds) override {
        if (action == EventAction::watch) throw std::runtime_error("no timers");
    }

private:
    bool& destroyed_;
};

}  // namespace

TEST_CASE("an operation without time, started again and again by its errback, leaves the loop its turns", "[reentry]") {
    Fixture f;
    f.connected();
    f.server.mute = true;
    Outcome& other = f.get("other", {.timeout = 1ms});
    std::vector<unsigned> turns;
    std::function<void()> again = [&] {
        f.bucket->get("k", {.timeout = 0ns})
            .set_callbacks([](ValueResult) {},
                           [&](const Error& error) {
                               if (error == errc::shutdown) return;
                               turns.push_back(f.loop.turns);
                               if (turns.size() < 1000) again();
                           });
    };
    again();
    for (int i = 0; i < 4; ++i) f.loop.turn();
    CHECK_FALSE(turns.empty());
    CHECK(turns.size() < 1000);
    f.loop.advance(1ms);
    CHECK(turns.size() == 1000);  // each of them ended
    CHECK(other.error.has_value());
}

TEST_CASE("a bucket that is assigned to closes then, and not with the bucket it was assigned from", "[reentry]") {
    Fixture f;
    f.connected();
    f.server.mute = true;
    Outcome& pending = f.get("k");
    f.loop.run();
    CHECK(pending.pending());
    AsyncBucket other(f.loop.make_iops(), "memcached://other");
    *f.bucket = std::move(other);
    CHECK(pending.pending());  // never inside the assignment
    f.loop.run();
    CHECK(pending.failed(errc::shutdown));
    f.server.mute = false;
    f.loop.advance(100ms);
    CHECK(f.bucket->connected());
}

TEST_CASE("a loop that throws while the bucket is made leaves nothing behind", "[reentry]") {
    bool destroyed = false;
    CHECK_THROWS_WITH(AsyncBucket(std::make_unique<BrokenIops>(destroyed), "memcached://node"), "no timers");
    CHECK(destroyed);
}
