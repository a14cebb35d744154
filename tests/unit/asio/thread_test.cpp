// One IOPS in a loop that several threads run. The handlers use plain variables: TSan is the judge.
#include <catch2/catch.hpp>

#include "support.hpp"

#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/thread_pool.hpp>

#include <array>
#include <future>
#include <stdexcept>
#include <thread>

namespace {

using namespace chaise;
using namespace chaise::testing;

/// Connections that play ping-pong through one listener, timers and deferred calls; every handler checks that it is
/// on the strand.
class Game final : AcceptHandler {
public:
    Game(AsioIOPS& iops, int rounds) : iops_(iops), rounds_(rounds) {}

    /// On the strand. `finished` gets its value when all is done and torn down.
    void start() {
        listener_ = iops_.transport_factory().listen({"127.0.0.1", 0}, *this);
        for (auto& client : clients_) {
            client.game = this;
            client.connecting = iops_.transport_factory().connect(listener_->local_endpoint(), client);
        }
        ticker_ = std::make_unique<Timer>(iops_, [this] {
            check();
            ++ticks;
            ticker_->schedule(200us);
        });
        ticker_->schedule(200us);
        deferrer_ = std::make_unique<Timer>(iops_, [this] {
            check();
            ++deferred;
        });
    }
    std::promise<void> finished;
    int ticks = 0;
    int deferred = 0;
    int off_strand = 0;
    int wrong = 0;

private:
    static constexpr std::size_t connections = 4;

    struct Peer final : TransportHandler {
        Game* game = nullptr;
        std::unique_ptr<Transport> transport;
        std::array<char, 256> buffer{};
        void arm() { transport->read({buffer.data(), buffer.size()}); }
        void on_read(std::size_t bytes, std::error_code error) override {
            game->check();
            if (error || bytes == 0) return transport.reset();
            const ConstBuffer echo{buffer.data(), bytes};
            if (transport->write({&echo, 1}).bytes != bytes) ++game->wrong;
            arm();
        }
        void on_writable() override {}
    };
    struct Client final : TransportHandler, ConnectHandler {
        Game* game = nullptr;
        std::unique_ptr<Pending> connecting;
        std::unique_ptr<Transport> transport;
        std::array<char, 256> buffer{};
        int rounds = 0;
        void on_connect(std::unique_ptr<Transport> connected, std::error_code error) override {
            game->check();
            if (error) ++game->wrong;
            transport = std::move(connected);
            transport->set_handler(*this);
            on_writable();
        }
        void on_read(std::size_t bytes, std::error_code error) override {
            game->check();
            if (error || bytes != 4) ++game->wrong;
            game->deferrer_->defer();
            if (++rounds == game->rounds_) return game->client_done();
            if (rounds % 7 == 0) return transport->wait_writable();
            on_writable();
        }
        void on_writable() override {
            game->check();
            if (write_text(*transport, "ping").bytes != 4) ++game->wrong;
            transport->read({buffer.data(), buffer.size()});
        }
    };

    void on_accept(std::unique_ptr<Transport> transport) override {
        check();
        peers_.push_back(std::make_unique<Peer>());
        Peer& peer = *peers_.back();
        peer.game = this;
        peer.transport = std::move(transport);
        peer.transport->set_handler(peer);
        peer.arm();
    }
    void client_done() {
        if (++done_ < connections) return;
        // Everything goes at once, with reads armed and completions under way on the other threads.
        for (Client& client : clients_) client.transport.reset();
        for (const auto& peer : peers_) peer->transport.reset();
        listener_.reset();
        ticker_.reset();
        deferrer_.reset();
        finished.set_value();
    }
    void check() {
        if (!iops_.running_in_this_thread()) ++off_strand;
    }

    AsioIOPS& iops_;
    int rounds_;
    std::size_t done_ = 0;
    std::unique_ptr<Listener> listener_;
    std::array<Client, connections> clients_;
    std::vector<std::unique_ptr<Peer>> peers_;
    std::unique_ptr<Timer> ticker_;
    std::unique_ptr<Timer> deferrer_;
};

void judge(const Game& game) {
    CHECK(game.off_strand == 0);
    CHECK(game.wrong == 0);
    CHECK(game.deferred > 0);
    CHECK(game.ticks > 0);
}

}  // namespace

TEST_CASE("on a strand over a thread pool") {
    for (int repeat = 0; repeat < 5; ++repeat) {
        asio::thread_pool pool(2);
        auto iops = make_asio_iops(pool);
        Game game(*iops, 300);
        auto finished = game.finished.get_future();
        asio::post(iops->get_executor(), [&] { game.start(); });
        REQUIRE(finished.wait_for(60s) == std::future_status::ready);
        asio::post(iops->get_executor(), [&] { iops.reset(); });
        pool.join();
        judge(game);
    }
}

TEST_CASE("in an io_context that two threads run") {
    for (int repeat = 0; repeat < 5; ++repeat) {
        asio::io_context context;
        auto iops = make_asio_iops(context);
        Game game(*iops, 300);
        game.start();  // before the loop runs: allowed on any one thread
        std::thread other([&] { context.run(); });
        context.run();
        other.join();
        judge(game);
    }
}

TEST_CASE("two buckets in one loop, each on its strand, come and go at the same time") {
    asio::thread_pool pool(2);
    for (int repeat = 0; repeat < 10; ++repeat) {
        auto first = make_asio_iops(pool);
        auto second = make_asio_iops(pool);
        Game one(*first, 50);
        Game two(*second, 50);
        auto done_one = one.finished.get_future();
        auto done_two = two.finished.get_future();
        asio::post(first->get_executor(), [&] { one.start(); });
        asio::post(second->get_executor(), [&] { two.start(); });
        REQUIRE(done_one.wait_for(60s) == std::future_status::ready);
        REQUIRE(done_two.wait_for(60s) == std::future_status::ready);
        const auto end = [](std::unique_ptr<AsioIOPS>& iops) {
            std::promise<void> gone;
            asio::post(iops->get_executor(), [&] {
                iops.reset();
                gone.set_value();
            });
            gone.get_future().wait();
        };
        end(first);
        end(second);
        judge(one);
        judge(two);
    }
    pool.join();
}

TEST_CASE("an exception leaves the run() of the thread that runs the strand") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    int later = 0;
    Timer bad(*iops, [&] { iops->on_exception(std::make_exception_ptr(std::runtime_error("thrown"))); });
    Timer good(*iops, [&] { ++later; });
    bad.schedule(1ms);
    good.schedule(5ms);
    std::atomic<int> caught{0};
    const auto run = [&] {
        for (;;) {
            try {
                context.run();
                return;
            } catch (const std::runtime_error&) {
                ++caught;
            }
        }
    };
    std::thread other(run);
    run();
    other.join();
    CHECK(caught == 1);
    CHECK(later == 1);
}
