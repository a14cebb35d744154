// chaise-rows-bench: a million rows of a query, read by chaise and by a bare libcurl that only counts the bytes, in
// turns, from one local cluster in this process. Prints rows/s, MB/s, the client's CPU time, and what the process grew.
//
//     chaise-rows-bench [rows [rounds]]

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>
#include <chaise/testing/local_cluster.hpp>

#include <curl/curl.h>
#include <fmt/format.h>

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace chaise;

constexpr const char* statement = "many rows";

std::string body_of(std::size_t rows) {
    std::string out = R"({"requestID":"x","results":[)";
    for (std::size_t i = 0; i < rows; ++i) {
        out +=
            fmt::format(R"({}{{"id":"beer_{:08}","key":["United States","California",{}],"value":{{"abv":5.{},"name":)"
                        R"("number \"{}\""}}}})",
                        i ? "," : "", i, i % 977, i % 10, i);
    }
    return out + R"(],"status":"success"})";
}

struct Turn {
    double seconds = 0;
    double cpu = 0;  ///< of this thread
    std::uint64_t bytes = 0;
    std::uint64_t rows = 0;
};

double thread_cpu() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::size_t resident() {
    std::ifstream file("/proc/self/statm");
    std::size_t size = 0;
    std::size_t pages = 0;
    file >> size >> pages;
    return pages * 4096;
}

template <class F>
Turn measured(const F& work) {
    Turn turn;
    const double cpu = thread_cpu();
    const auto begin = std::chrono::steady_clock::now();
    work(turn);
    turn.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    turn.cpu = thread_cpu() - cpu;
    return turn;
}

std::size_t count_bytes(char*, std::size_t size, std::size_t count, void* turn) {
    static_cast<Turn*>(turn)->bytes += size * count;
    return size * count;
}

Turn bare_curl(const testing::LocalCluster& cluster) {
    const Endpoint at = cluster.service_endpoint(testing::LocalService::query, 0);
    const std::string url = fmt::format("http://{}:{}/query/service", at.address, at.port);
    const std::string request = fmt::format(R"({{"statement":"{}"}})", statement);
    return measured([&](Turn& turn) {
        CURL* easy = ::curl_easy_init();
        curl_slist* headers = ::curl_slist_append(nullptr, "Content-Type: application/json");
        ::curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
        ::curl_easy_setopt(easy, CURLOPT_PROXY, "");
        ::curl_easy_setopt(easy, CURLOPT_USERNAME, "Administrator");
        ::curl_easy_setopt(easy, CURLOPT_PASSWORD, "password");
        ::curl_easy_setopt(easy, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
        ::curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        ::curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.c_str());
        ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &count_bytes);
        ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, &turn);
        const CURLcode result = ::curl_easy_perform(easy);
        ::curl_slist_free_all(headers);
        ::curl_easy_cleanup(easy);
        if (result != CURLE_OK) throw std::runtime_error(::curl_easy_strerror(result));
    });
}

Task<> read_all(AsyncBucket& bucket, Turn& turn) {
    auto rows = bucket.n1ql_query(statement);
    while (auto row = co_await rows.next()) {
        ++turn.rows;
        turn.bytes += row.json().size();
    }
}

Turn by_coroutine(EpollLoop& loop, AsyncBucket& bucket) {
    return measured([&](Turn& turn) {
        spawn(loop, read_all(bucket, turn));
        loop.run();
    });
}

class Counter final : public AsyncViewBase {
public:
    Counter(ViewCall call, Turn& turn, EpollLoop& loop) : AsyncViewBase(std::move(call)), turn_(turn), loop_(loop) {}
    Error error;

private:
    void on_rows(std::span<const Row> rows) override {
        turn_.rows += rows.size();
        for (const Row& row : rows) turn_.bytes += row.json().size();
    }
    void on_error(const Error& failed) override { error = failed; }
    void on_done() override { loop_.stop(); }
    Turn& turn_;
    EpollLoop& loop_;
};

Turn by_view(EpollLoop& loop, AsyncBucket& bucket) {
    return measured([&](Turn& turn) {
        auto view = bucket.n1ql_query<Counter>(statement, {}, turn, loop);
        view->start();
        loop.run();
        if (view->error) throw_error(view->error);
    });
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const std::size_t rows = argc > 1 ? std::stoul(argv[1]) : 1'000'000;
        const std::size_t rounds = argc > 2 ? std::stoul(argv[2]) : 5;
        auto cluster = testing::LocalCluster::on_thread();
        double megabytes = 0;
        {
            const std::string body = body_of(rows);
            megabytes = static_cast<double>(body.size()) * 1e-6;
            cluster.script_query(statement, body);
        }
        EpollLoop loop;
        AsyncBucket bucket(loop, cluster.connection_string(), {.username = "Administrator", .password = "password"});
        struct Case {
            std::string name;
            std::function<Turn()> run;
            std::vector<double> seconds{}, cpu{};
        };
        std::vector<Case> cases{{"bare libcurl", [&] { return bare_curl(cluster); }},
                                {"co_await rows.next()", [&] { return by_coroutine(loop, bucket); }},
                                {"AsyncViewBase", [&] { return by_view(loop, bucket); }}};
        for (Case& one : cases) static_cast<void>(one.run());
        const std::size_t before = resident();
        for (std::size_t round = 0; round < rounds; ++round) {
            for (Case& one : cases) {
                const Turn turn = one.run();
                if (one.name != "bare libcurl" && turn.rows != rows) throw std::runtime_error("rows are missing");
                one.seconds.push_back(turn.seconds);
                one.cpu.push_back(turn.cpu);
            }
        }
        const std::size_t after = resident();
        fmt::print("{} rows, {:.1f} MB, medians of {} rounds\n\n", rows, megabytes, rounds);
        fmt::print("{:24}{:>12}{:>10}{:>14}{:>16}\n", "", "rows/s", "MB/s", "of libcurl's", "client CPU s");
        const double floor = median(cases.front().seconds);
        for (const Case& one : cases) {
            const double seconds = median(one.seconds);
            fmt::print("{:24}{:>12.0f}{:>10.1f}{:>14.2f}{:>16.3f}\n", one.name, static_cast<double>(rows) / seconds,
                       megabytes / seconds, floor / seconds, median(one.cpu));
        }
        fmt::print("\nthe process, cluster and all, grew by {:.1f} MB meanwhile\n",
                   (static_cast<double>(after) - static_cast<double>(before)) * 1e-6);
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "chaise-rows-bench: {}\n", error.what());
        return 1;
    }
}
