// Every stage of an operation × every consumer × every two things that may happen to it.

#include "tests/unit/api/consumers.hpp"
#include "tests/unit/engine/script_server.hpp"

#include <chaise/async_bucket.hpp>

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

enum class Stage { not_connected, queued, half_written, sent, waiting, delivered };
enum class Who { nobody, callbacks, fields, coroutine };
enum class Act {
    nothing,
    cancel,
    drop,
    detach,
    attach,
    destroy_bucket,
    destroy_loop,
    destroy_coroutine,
    close,
    reset_connection,
    time_out,
    answer,
    callback_destroys_bucket,
    callback_throws,
};
constexpr int stages = 6;
constexpr int whos = 4;
constexpr int acts = 14;

struct Boom {};

class Run {
public:
    Run(Stage stage, Who who) : stage_(stage), who_(who) {
        bucket_->on_unobserved([this](const Error&) { ++unobserved_; });
        server_->items["k"].value = std::string(100, 'v');
        if (stage == Stage::not_connected) loop_->net.hang_connect = true;
        loop_->run();
        server_->hold = true;
        if (stage == Stage::half_written) loop_->net.link().window = 10;
        operation_ = bucket_->get("k", {.timeout = 1s});
        if (stage != Stage::waiting) consume();
        if (stage == Stage::not_connected || stage == Stage::queued) return;
        turns();
        if (stage == Stage::waiting || stage == Stage::delivered) act(Act::answer);
        if (stage == Stage::waiting) consume();
    }

    void act(Act act) {
        switch (act) {
            case Act::nothing:
                break;
            case Act::cancel:
                operation_.cancel();
                break;
            case Act::drop:
                operation_ = {};
                coroutine_.destroy();
                break;
            case Act::detach:
                operation_.detach();
                break;
            case Act::attach:
                if (!operation_.valid()) break;
                try {
                    operation_.set_callbacks([this, counted = Counted()](ValueResult) { called(); },
                                             [this, counted = Counted()](const Error&) { called(); });
                    consumed_ = true;
                } catch (const std::logic_error&) {
                    refused_ = true;
                }
                break;
            case Act::destroy_bucket:
                bucket_.reset();
                break;
            case Act::destroy_loop:
                loop_.reset();
                break;
            case Act::destroy_coroutine:
                coroutine_.destroy();
                break;
            case Act::close:
                if (bucket_) bucket_->close().detach();
                break;
            case Act::reset_connection:
                if (loop_ && !loop_->net.links.empty()) loop_->net.link().reset();
                break;
            case Act::time_out:
                if (loop_) guarded([&] { loop_->advance(1s); });
                break;
            case Act::answer:
                if (!loop_) break;
                loop_->net.hang_connect = false;
                for (auto& link : loop_->net.links) link->window = SIZE_MAX;
                turns();
                server_->answer_all();
                turns();
                break;
            case Act::callback_destroys_bucket:
                in_callback_ = [this] { bucket_.reset(); };
                break;
            case Act::callback_throws:
                in_callback_ = [] { throw Boom(); };
                break;
        }
    }
    void turns() {
        if (loop_) guarded([&] { loop_->run(); });
    }

    void finish() {
        const bool loop_lived = loop_ != nullptr;
        server_->hold = false;
        act(Act::answer);
        act(Act::time_out);
        act(Act::time_out);
        const bool coroutine_lives = coroutine_.alive();
        // At most once, always.
        CHECK(calls_ <= 1);
        if (loop_lived) {
            if (consumed_ && who_ != Who::coroutine) {
                CHECK(calls_ == 1);
            }
            if (coroutine_lives) {
                CHECK(calls_ == 1);
                CHECK(coroutine_.script.done());
            }
        }
        CHECK(unobserved_ <= 1);
        CHECK(unobserved_ + calls_ <= 1);
        coroutine_.destroy();
        operation_ = {};
        turns();
        CHECK(calls_ <= 1);
        if (bucket_) {
            CHECK(bucket_->operations() == 0);
        }
        if (bucket_ && loop_ && !closed()) {  // and it still works
            unsigned more = 0;
            bucket_->get("k").set_callbacks([&](ValueResult r) { more += r.value().size() == 100 ? 1u : 0u; },
                                            [](const Error&) {});
            guarded([&] { loop_->advance(2s); });
            CHECK(more == 1);
        }
        bucket_.reset();
        turns();
        if (loop_) {
            CHECK(loop_->armed_timers() == 0);
            CHECK(loop_->net.pending->empty());
            for (auto& link : loop_->net.links) CHECK(link->closed_by_client);
        }
        loop_.reset();
        CHECK(Counted::alive == 0);
    }

private:
    struct Coroutine {
        Script script;
        bool exists = false;
        void destroy() {
            script.destroy();
            exists = false;
        }
        [[nodiscard]] bool alive() const { return exists; }
    };

    [[nodiscard]] bool closed() {
        bool shut = false;
        bucket_->get("k").set_callbacks([](ValueResult) {},
                                        [&](const Error& error) { shut = error.code() == errc::shutdown; });
        guarded([&] { loop_->advance(1s); });
        return shut;
    }
    template <class F>
    void guarded(F&& f) {
        for (int i = 0; i < 20; ++i) {
            try {
                return f();
            } catch (const Boom&) {
            }
        }
        FAIL("thrown too often");
    }
    void called() {
        ++calls_;
        if (auto act = std::exchange(in_callback_, nullptr)) act();
    }
    void consume() {
        const auto call = [this, counted = Counted()](auto&&) { called(); };
        switch (who_) {
            case Who::nobody:
                return;
            case Who::callbacks:
                operation_.set_callbacks(call, call);
                break;
            case Who::fields:
                operation_.set_callback(call);
                operation_.set_errback(call);
                break;
            case Who::coroutine:
                coroutine_.script = go(wait(std::move(operation_), Counted()));
                coroutine_.exists = true;
                break;
        }
        consumed_ = true;
    }
    Script wait(AsyncResult<ValueResult> operation, Counted) {
        auto result = co_await operation.as_expected();
        called();
    }

    Stage stage_;
    Who who_;
    std::unique_ptr<ScriptLoop> loop_ = std::make_unique<ScriptLoop>();
    std::unique_ptr<ScriptServer> server_ = std::make_unique<ScriptServer>(*loop_);
    std::optional<AsyncBucket> bucket_{std::in_place, loop_->make_iops(), "memcached://node"};
    AsyncResult<ValueResult> operation_;
    Coroutine coroutine_;
    std::function<void()> in_callback_;
    unsigned calls_ = 0;
    unsigned unobserved_ = 0;
    bool consumed_ = false;
    bool refused_ = false;
};

}  // namespace

TEST_CASE("every stage, every consumer, every two things that happen, in one turn or in two", "[interleavings]") {
    Counted::alive = 0;
    unsigned runs = 0;
    for (int stage = 0; stage < stages; ++stage) {
        for (int who = 0; who < whos; ++who) {
            for (int first = 0; first < acts; ++first) {
                for (int second = 0; second < acts; ++second) {
                    for (const bool turn_between : {false, true}) {
                        INFO("stage " << stage << ", consumer " << who << ", first " << first << ", second " << second
                                      << (turn_between ? ", with a turn between" : ""));
                        Run run(static_cast<Stage>(stage), static_cast<Who>(who));
                        run.act(static_cast<Act>(first));
                        if (turn_between) run.turns();
                        run.act(static_cast<Act>(second));
                        run.finish();
                        ++runs;
                    }
                }
            }
        }
    }
    CHECK(runs == stages * whos * acts * acts * 2);
}
