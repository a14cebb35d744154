#include "tests/simulation/campaign.hpp"

#include "operation/probe.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <type_traits>
#include <utility>

namespace chaise::testing {

using detail::probe_hits;

namespace {

/// A seed takes some 30 ms, under sanitizers a second.
constexpr unsigned seconds_per_seed = 120;

// ---- from process to process: records, each with its length before it --------------------------------------------

enum class Record : std::uint8_t { begins, report, hits };

class Writer {
public:
    template <class T>
        requires std::is_arithmetic_v<T>
    void number(T value) {
        out_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    void text(const std::string& value) {
        number(value.size());
        out_ += value;
    }
    void send(int fd) const {
        std::string all(sizeof(std::size_t), '\0');
        const std::size_t size = out_.size();
        std::memcpy(all.data(), &size, sizeof size);
        all += out_;
        for (std::size_t sent = 0; sent < all.size();) {
            const ssize_t n = ::write(fd, all.data() + sent, all.size() - sent);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) _exit(3);  // nobody listens
            sent += static_cast<std::size_t>(n);
        }
    }

private:
    std::string out_;
};

class Reader {
public:
    explicit Reader(const char* at) : at_(at) {}
    template <class T>
    T number() {
        T value{};
        std::memcpy(&value, at_, sizeof value);
        at_ += sizeof value;
        return value;
    }
    std::string text() {
        const auto size = number<std::size_t>();
        std::string value(at_, size);
        at_ += size;
        return value;
    }

private:
    const char* at_;
};

template <class Report, class F>
void each_number(Report& report, const F& f) {
    f(report.trace_hash), f(report.operations), f(report.succeeded), f(report.ambiguous), f(report.not_done);
    f(report.cancelled), f(report.rerouted), f(report.operations_at_a_time), f(report.connects_in_a_second);
    f(report.fault_count), f(report.fault_kinds), f(report.connections), f(report.virtual_seconds);
}

void send_report(int fd, std::uint64_t seed, const RunReport& report) {
    Writer out;
    out.number(static_cast<std::uint8_t>(Record::report));
    out.number(seed);
    each_number(report, [&](const auto& value) { out.number(value); });
    out.text(report.shape);
    out.text(report.faults);
    out.number(report.complaints.size());
    for (const std::string& complaint : report.complaints) out.text(complaint);
    out.send(fd);
}

SeedReport read_report(Reader& in) {
    SeedReport out;
    out.seed = in.number<std::uint64_t>();
    each_number(out.report, [&](auto& value) { value = in.number<std::decay_t<decltype(value)>>(); });
    out.report.shape = in.text();
    out.report.faults = in.text();
    for (auto n = in.number<std::size_t>(); n > 0; --n) out.report.complaints.push_back(in.text());
    return out;
}

RunReport run_once_or_twice(const RunSeed& run_seed, std::uint64_t seed) {
    RunReport report = run_seed(seed, false);
    if (seed % 20 == 0 && run_seed(seed, false).trace_hash != report.trace_hash) {
        report.complaints.emplace_back("not deterministic: a second run had another trace");
    }
    return report;
}

/// Every `step`-th seed, in a process of its own.
[[noreturn]] void work(int fd, std::uint64_t seed, std::uint64_t end, std::uint64_t step, const RunSeed& run_seed) {
    std::fill(probe_hits.begin(), probe_hits.end(), 0);
    for (; seed < end; seed += step) {
        Writer begins;
        begins.number(static_cast<std::uint8_t>(Record::begins));
        begins.number(seed);
        begins.send(fd);
        alarm(seconds_per_seed);
        send_report(fd, seed, run_once_or_twice(run_seed, seed));
    }
    Writer hits;
    hits.number(static_cast<std::uint8_t>(Record::hits));
    for (const std::uint64_t count : probe_hits) hits.number(count);
    hits.send(fd);
    _exit(0);
}

/// One process, and how far it is.
struct Worker {
    pid_t process = -1;
    int fd = -1;
    std::uint64_t next = 0;  // the seed that it is at, or begins with
    bool in_seed = false;
    std::string bytes;
};

}  // namespace

void run_campaign(std::uint64_t first, std::uint64_t count, unsigned jobs, bool until_failure, const RunSeed& run_seed,
                  const std::function<void(SeedReport&&)>& told, std::vector<std::uint64_t>& hits) {
    const std::uint64_t end = first + count;
    hits.assign(probe_hits.size(), 0);
    std::vector<Worker> workers(jobs);
    bool failed = false;

    const auto start = [&](Worker& worker) {
        int ends[2];
        if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
        worker.process = ::fork();
        if (worker.process < 0) throw std::system_error(errno, std::generic_category(), "fork");
        if (worker.process == 0) {
            ::close(ends[0]);
            work(ends[1], worker.next, end, jobs, run_seed);
        }
        ::close(ends[1]);
        worker.fd = ends[0];
        worker.bytes.clear();
        worker.in_seed = false;
    };
    const auto tell = [&](SeedReport&& seed) {
        failed = failed || !seed.report.complaints.empty();
        told(std::move(seed));
    };
    const auto take_records = [&](Worker& worker) {
        std::size_t used = 0, size = 0;
        while (worker.bytes.size() - used >= sizeof size) {
            std::memcpy(&size, worker.bytes.data() + used, sizeof size);
            if (worker.bytes.size() - used - sizeof size < size) break;
            Reader in(worker.bytes.data() + used + sizeof size);
            used += sizeof size + size;
            switch (static_cast<Record>(in.number<std::uint8_t>())) {
                case Record::begins:
                    worker.next = in.number<std::uint64_t>();
                    worker.in_seed = true;
                    break;
                case Record::report:
                    tell(read_report(in));
                    worker.next += jobs;
                    worker.in_seed = false;
                    break;
                case Record::hits:
                    for (std::uint64_t& hit : hits) hit += in.number<std::uint64_t>();
                    break;
            }
        }
        worker.bytes.erase(0, used);
    };
    const auto bury = [&](Worker& worker) {
        ::close(std::exchange(worker.fd, -1));
        int status = 0;
        while (::waitpid(worker.process, &status, 0) < 0 && errno == EINTR) {
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
        SeedReport seed{.seed = worker.next, .report = {}};
        seed.report.complaints.push_back(
            !WIFSIGNALED(status)          ? "the process ended with status " + std::to_string(WEXITSTATUS(status))
            : WTERMSIG(status) == SIGALRM ? "no end in " + std::to_string(seconds_per_seed) + " s"
                                          : std::string("crashed: ") + strsignal(WTERMSIG(status)));
        tell(std::move(seed));
        worker.next += jobs;
        if (worker.next < end && !(failed && until_failure)) start(worker);
    };

    for (unsigned job = 0; job < jobs && job < count; ++job) {
        workers[job].next = first + job;
        start(workers[job]);
    }
    while (true) {
        std::vector<pollfd> polled;
        for (const Worker& worker : workers) {
            if (worker.fd >= 0) polled.push_back({worker.fd, POLLIN, 0});
        }
        if (polled.empty()) return;
        if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) {
            throw std::system_error(errno, std::generic_category(), "poll");
        }
        for (const pollfd& ready : polled) {
            if (ready.revents == 0) continue;
            Worker& worker =
                *std::find_if(workers.begin(), workers.end(), [&](const Worker& one) { return one.fd == ready.fd; });
            char buffer[65536];
            const ssize_t n = ::read(worker.fd, buffer, sizeof buffer);
            if (n > 0) {
                worker.bytes.append(buffer, static_cast<std::size_t>(n));
                take_records(worker);
            } else if (n == 0) {
                bury(worker);
            }
        }
        if (failed && until_failure) {
            for (Worker& worker : workers) {
                if (worker.fd < 0) continue;
                ::kill(worker.process, SIGKILL);
                ::close(std::exchange(worker.fd, -1));
                ::waitpid(worker.process, nullptr, 0);
            }
            return;
        }
    }
}

}  // namespace chaise::testing
