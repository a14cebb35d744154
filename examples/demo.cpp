// chaise-demo: starts a local Couchbase cluster of three nodes and a memcached, runs the examples against both, and
// shows what a round trip, a pipeline and an error cost and look like.

#include "support/beers.hpp"
#include "support/memcached_process.hpp"

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>
#include <chaise/testing/local_cluster.hpp>

#include <fmt/format.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using Microseconds = std::chrono::duration<double, std::micro>;

namespace {

class Stopwatch {
public:
    [[nodiscard]] Microseconds elapsed() const { return std::chrono::steady_clock::now() - start_; }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void heading(const std::string& text) {
    fmt::print("\n\033[1m== {}\033[0m\n", text);
    std::fflush(stdout);
}

/// A server, and how to get in.
struct Place {
    std::string connection_string;
    std::string username{};
    std::string password{};
    [[nodiscard]] chaise::BucketOptions options() const { return {.username = username, .password = password}; }
};

/// Runs a program and shows its output, indented.
bool run_example(const std::filesystem::path& program, const Place& place, const std::string& what) {
    heading(fmt::format("{}: {}", program.filename().string(), what));
    const Stopwatch stopwatch;
    std::string command = fmt::format("'{}' '{}'", program.string(), place.connection_string);
    if (!place.username.empty()) command += fmt::format(" '{}' '{}'", place.username, place.password);
    command += " 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    if (!pipe) return false;
    char line[1024];
    while (std::fgets(line, sizeof line, pipe)) fmt::print("   {}", line);
    const bool fine = pclose(pipe) == 0;
    fmt::print("   ({}, {:.1f} ms for the whole program)\n", fine ? "ended well" : "FAILED",
               stopwatch.elapsed().count() / 1000);
    return fine;
}

chaise::Task<> show_costs(chaise::AsyncBucket& bucket) {
    const Stopwatch connecting;
    co_await bucket.connect();
    fmt::print("   connect                     {:8.1f} us\n", connecting.elapsed().count());

    co_await bucket.upsert("demo", std::string(256, 'x'));
    std::vector<double> round_trips;
    for (int i = 0; i < 2000; ++i) {
        const Stopwatch one;
        co_await bucket.get("demo");
        round_trips.push_back(one.elapsed().count());
    }
    std::sort(round_trips.begin(), round_trips.end());
    fmt::print("   one get after another       {:8.1f} us each (median of 2,000; 99th percentile {:.1f} us)\n",
               round_trips[1000], round_trips[1980]);

    constexpr int many = 20'000;
    std::vector<chaise::AsyncResult<chaise::ValueResult>> gets;
    gets.reserve(many);
    const Stopwatch pipeline;
    for (int i = 0; i < many; ++i) gets.push_back(bucket.get("demo"));
    for (auto& get : gets) co_await get;
    const double total = pipeline.elapsed().count();
    fmt::print("   20,000 gets started at once {:8.1f} us in all, {:.2f} us each, {:.0f} per second\n", total,
               total / many, many / total * 1e6);
}

chaise::Task<> show_errors(chaise::AsyncBucket& bucket) {
    const auto show = [](const char* what, const chaise::Error& error) {
        fmt::print("   {}\n      {}\n", what, error.message());
    };
    auto missing = co_await bucket.get("nobody").as_expected();
    show("a key that is not there:", missing.error());
    auto exists = co_await bucket.insert("demo", "again").as_expected();
    show("insert of a document that exists:", exists.error());
    auto number = co_await bucket.counter("demo").as_expected();
    show("counting what is no number:", number.error());
    auto key = co_await bucket.get("").as_expected();
    show("a key that cannot be sent:", key.error());
}

template <class F>
void with_bucket(const Place& place, F body) {
    chaise::EpollLoop loop;
    chaise::AsyncBucket bucket(loop, place.connection_string, place.options());
    chaise::spawn(loop, body(bucket));
    loop.run();
}

/// Which node of the cluster each document went to.
void show_places(const chaise::testing::LocalCluster& cluster) {
    for (const char* key : {"user::42", "visits", "hello_callback", "hello_task::1", "hello_task::2", "demo"}) {
        const auto place = cluster.placement(key);
        fmt::print("   {:<16} vbucket {:>2}", key, place.vbucket);
        if (place.active) fmt::print(", active on {}", cluster.endpoint(*place.active).to_string());
        for (const std::size_t node : place.replicas) {
            fmt::print(", replica on {}{}", cluster.endpoint(node).to_string(),
                       cluster.stored(node, key) ? "" : " (not there yet)");
        }
        fmt::print("\n");
    }
}

std::filesystem::path here() { return std::filesystem::canonical("/proc/self/exe").parent_path(); }

/// What memcached has none of.
bool show_views(const Place& place) {
    with_bucket(place, chaise::testing::brew);
    return run_example(here() / "views_await", place, "rows of a view and of a query, by co_await") &
           run_example(here() / "views_callback", place, "the same view by callbacks");
}

bool show(const Place& place) {
    bool fine = run_example(here() / "hello_callback", place, "callback and errback on chaise's epoll loop");
    fine &= run_example(here() / "hello_task", place, "chaise::Task, two operations at once, errors");
    if (std::filesystem::exists(here() / "hello_await")) {
        fine &= run_example(here() / "hello_await", place, "co_await in asio::awaitable");
    }
    heading("what it costs (256-byte value, this machine, client and server on it)");
    with_bucket(place, show_costs);
    heading("what an error says");
    with_bucket(place, show_errors);
    return fine;
}

}  // namespace

int main(int, char** argv) {
    try {
        bool fine = true;
        {
            const Stopwatch starting;
            const auto cluster = chaise::testing::LocalCluster::on_thread({.nodes = 3, .replicas = 1});
            fmt::print(
                "A Couchbase cluster of three nodes runs at {}\n(in this process, on a thread of its own; {:.1f} ms)\n",
                cluster.connection_string(), starting.elapsed().count() / 1000);
            const Place place{cluster.connection_string(), "Administrator", "password"};
            fine &= show(place);
            fine &= show_views(place);
            heading("where the keys went: 64 vbuckets, one replica");
            show_places(cluster);
        }
        const chaise::testing::MemcachedProcess server({.arguments = {"-R", "1000"}});
        fmt::print("\nThe same on memcached, at {} (pid {})\n", server.connection_string(), server.pid());
        fine &= show({server.connection_string()});
        fmt::print("\n{}\n", fine ? "All of it worked." : "Something above failed.");
        return fine ? 0 : 1;
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}: {}\n", argv[0], error.what());
        return 1;
    }
}
