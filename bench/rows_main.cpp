// chaise-rows-bench: a million rows of a query, read by chaise and by a bare libcurl that only counts the bytes, in
// turns, from one local cluster in a process and on a core of its own (the kernel likes to put both ends of a loopback
// connection on one core, where they can only take turns). Prints rows/s, MB/s, the client's CPU time, and what the
// process had at most and what it grew.
//
//     chaise-rows-bench [rows [rounds]]

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>
#include <chaise/testing/local_cluster.hpp>

#include <curl/curl.h>
#include <fmt/format.h>

#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/cores.hpp"

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
    std::size_t peak = 0;  ///< what the process had at most, above what it had before
};

double thread_cpu() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// Of the process, in bytes: "VmRSS:" now, "VmHWM:" at most since forget_peak().
std::size_t resident(const std::string& which) {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(which)) return std::stoul(line.substr(which.size())) * 1024;
    }
    throw std::runtime_error("/proc/self/status has no " + which);
}

void forget_peak() {
    std::ofstream file("/proc/self/clear_refs");
    file << "5";
    if (!file.flush()) throw std::runtime_error("/proc/self/clear_refs cannot be written");
}

template <class F>
Turn measured(const F& work) {
    Turn turn;
    forget_peak();
    const std::size_t before = resident("VmRSS:");
    const double cpu = thread_cpu();
    const auto begin = std::chrono::steady_clock::now();
    work(turn);
    turn.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    turn.cpu = thread_cpu() - cpu;
    turn.peak = resident("VmHWM:") - std::min(resident("VmHWM:"), before);
    return turn;
}

/// The local cluster, which answers the statement with so many rows, until this goes.
class ClusterProcess {
public:
    explicit ClusterProcess(std::size_t rows) {
        int told[2];
        int life[2];
        if (::pipe(told) != 0 || ::pipe(life) != 0) throw std::runtime_error("no pipe");
        pid_ = ::fork();
        if (pid_ < 0) throw std::runtime_error("no fork");
        if (pid_ == 0) {
            if (const auto cores = bench::two_cores()) bench::pin_to(cores->server);
            ::close(told[0]);
            ::close(life[1]);
            ::_exit(serve(rows, told[1], life[0]));
        }
        ::close(told[1]);
        ::close(life[0]);
        life_ = life[1];
        std::string text;
        char buffer[512];
        for (ssize_t got = 0; (got = ::read(told[0], buffer, sizeof buffer)) > 0;) {
            text.append(buffer, static_cast<std::size_t>(got));
        }
        ::close(told[0]);
        std::istringstream in(text);
        if (!(in >> url >> connection_string >> megabytes)) throw std::runtime_error("the cluster did not start");
    }
    ClusterProcess(const ClusterProcess&) = delete;
    ClusterProcess& operator=(const ClusterProcess&) = delete;
    ~ClusterProcess() {
        ::close(life_);
        ::waitpid(pid_, nullptr, 0);
    }

    std::string url;
    std::string connection_string;
    double megabytes = 0;

private:
    static int serve(std::size_t rows, int told, int life) noexcept {
        try {
            auto cluster = testing::LocalCluster::on_thread();
            std::size_t size = 0;
            {
                const std::string body = body_of(rows);
                size = body.size();
                cluster.script_query(statement, body);
            }
            const Endpoint at = cluster.service_endpoint(testing::LocalService::query, 0);
            const std::string text = fmt::format("http://{}:{}/query/service {} {}", at.address, at.port,
                                                 cluster.connection_string(), static_cast<double>(size) * 1e-6);
            if (::write(told, text.data(), text.size()) != static_cast<ssize_t>(text.size())) return 1;
            ::close(told);
            char none = 0;
            return ::read(life, &none, 1) == 0 ? 0 : 1;
        } catch (const std::exception& error) {
            fmt::print(stderr, "chaise-rows-bench: the cluster: {}\n", error.what());
            return 1;
        }
    }

    pid_t pid_ = 0;
    int life_ = -1;
};

std::size_t count_bytes(char*, std::size_t size, std::size_t count, void* turn) {
    static_cast<Turn*>(turn)->bytes += size * count;
    return size * count;
}

Turn bare_curl(const std::string& url) {
    const std::string request = fmt::format(R"({{"statement":"{}"}})", statement);
    return measured([&](Turn& turn) {
        CURL* easy = ::curl_easy_init();
        curl_slist* headers = ::curl_slist_append(nullptr, "Content-Type: application/json");
        ::curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
        ::curl_easy_setopt(easy, CURLOPT_PROXY, "");
        ::curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 64L * 1024);  // as chaise
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

/// Asks for a document behind every 50th row, while which more of them may come: slower than they do.
Task<> read_slowly(AsyncBucket& bucket, Turn& turn) {
    auto rows = bucket.n1ql_query(statement);
    while (auto row = co_await rows.next()) {
        ++turn.rows;
        turn.bytes += row.json().size();
        if (turn.rows % 50 == 0) static_cast<void>(co_await bucket.get("none", {.quiet = true}));
    }
}

Turn by_coroutine(EpollLoop& loop, AsyncBucket& bucket) {
    return measured([&](Turn& turn) {
        spawn(loop, read_all(bucket, turn));
        loop.run();
    });
}

Turn by_slow_coroutine(EpollLoop& loop, AsyncBucket& bucket) {
    return measured([&](Turn& turn) {
        spawn(loop, read_slowly(bucket, turn));
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
        const auto cores = bench::two_cores();
        const ClusterProcess cluster(rows);
        if (cores) bench::pin_to(cores->client);
        const double megabytes = cluster.megabytes;
        EpollLoop loop;
        AsyncBucket bucket(loop, cluster.connection_string, {.username = "Administrator", .password = "password"});
        struct Case {
            std::string name;
            std::function<Turn()> run;
            std::vector<double> seconds{}, cpu{};
            std::size_t peak = 0;
        };
        std::vector<Case> cases{{"bare libcurl", [&] { return bare_curl(cluster.url); }},
                                {"co_await rows.next()", [&] { return by_coroutine(loop, bucket); }},
                                {"AsyncViewBase", [&] { return by_view(loop, bucket); }},
                                {"slow consumer", [&] { return by_slow_coroutine(loop, bucket); }}};
        for (Case& one : cases) one.peak = one.run().peak;  // what malloc keeps then hides what later ones have
        const std::size_t before = resident("VmRSS:");
        for (std::size_t round = 0; round < rounds; ++round) {
            for (Case& one : cases) {
                const Turn turn = one.run();
                if (one.name != "bare libcurl" && turn.rows != rows) throw std::runtime_error("rows are missing");
                one.seconds.push_back(turn.seconds);
                one.cpu.push_back(turn.cpu);
                one.peak = std::max(one.peak, turn.peak);
            }
        }
        const std::size_t after = resident("VmRSS:");
        fmt::print("{} rows, {:.1f} MB, medians of {} rounds\n\n", rows, megabytes, rounds);
        fmt::print("{:24}{:>12}{:>10}{:>14}{:>16}{:>12}\n", "", "rows/s", "MB/s", "of libcurl's", "client CPU s",
                   "peak + MB");
        const double floor = median(cases.front().seconds);
        for (const Case& one : cases) {
            const double seconds = median(one.seconds);
            fmt::print("{:24}{:>12.0f}{:>10.1f}{:>14.2f}{:>16.3f}{:>12.2f}\n", one.name,
                       static_cast<double>(rows) / seconds, megabytes / seconds, floor / seconds, median(one.cpu),
                       static_cast<double>(one.peak) * 1e-6);
        }
        fmt::print("\nthe client's process grew by {:.1f} MB meanwhile\n",
                   (static_cast<double>(after) - static_cast<double>(before)) * 1e-6);
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "chaise-rows-bench: {}\n", error.what());
        return 1;
    }
}
