#include "iops/conformance/check.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <stdexcept>
#include <system_error>

namespace chaise::testing::conformance {

namespace {

using namespace std::chrono_literals;

/// Two connected non-blocking stream sockets.
class Pair {
public:
    Pair() {
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds_) != 0) {
            throw std::system_error(errno, std::system_category(), "socketpair");
        }
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;
    ~Pair() {
        close_near();
        close_far();
    }
    [[nodiscard]] int near() const { return fds_[0]; }
    void close_near() { close(0); }
    void close_far() { close(1); }
    /// The near end gets the number that another descriptor has just given up.
    void move_near_to(int number) {
        if (fds_[0] == number) return;
        if (::dup2(fds_[0], number) < 0) throw std::system_error(errno, std::system_category(), "dup2");
        ::close(fds_[0]);
        fds_[0] = number;
    }
    /// Makes the near end readable; one that is full of unread bytes is readable already.
    void send(std::size_t bytes = 1) {
        const std::string text(bytes, 'x');
        if (::write(fds_[1], text.data(), bytes) == static_cast<ssize_t>(bytes)) return;
        if (errno != EAGAIN) throw std::system_error(errno, std::system_category(), "write");
    }
    /// Takes up to `limit` bytes from the near end.
    std::size_t take(std::size_t limit = 4096) {
        char buffer[4096];
        const ssize_t got = ::read(fds_[0], buffer, std::min(limit, sizeof buffer));
        return got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    /// Until the near end takes no more.
    void fill() {
        const std::string text(65536, 'x');
        while (::write(fds_[0], text.data(), text.size()) > 0) {
        }
    }
    void drain_far() {
        char buffer[65536];
        while (::read(fds_[1], buffer, sizeof buffer) > 0) {
        }
    }

private:
    void close(int side) {
        if (fds_[side] >= 0) ::close(fds_[side]);
        fds_[side] = -1;
    }
    int fds_[2] = {-1, -1};
};

void io_not_inline(Check& check) {
    Pair pair;
    pair.send();
    IoProbe probe{check};
    probe.watch(pair.near(), read_event);
    check.expect(probe.count == 0 && probe.ignored() == 0 && probe.active(), "an event does not fire inside watch");
    bool inside = false;
    bool nested = false;
    Pair other;
    other.send();
    IoProbe inner{check, [&] { nested = nested || inside; }};
    IoProbe outer{check, [&] {
                      inside = true;
                      inner.watch(other.near(), rw_event);
                      inside = false;
                  }};
    Pair third;
    third.send();
    outer.watch(third.near(), read_event);
    check.run_until([&] { return probe.count > 0 && inner.count > 0; }, "they fire later");
    check.expect(!nested, "what a handler watches does not fire inside that handler");
}

void io_flags(Check& check) {
    Pair pair;
    IoProbe reader{check};
    reader.watch(pair.near(), read_event);
    check.run_turns(2);
    check.expect(reader.count == 0, "an event that waits for data is not delivered while only a write is possible");
    pair.send();
    check.run_until([&] { return reader.count > 0; }, "data is reported");
    check.expect(reader.flags == read_event, "data is reported as readable to who asked for it, and as nothing else");

    Pair writable;
    writable.send();
    IoProbe writer{check};
    writer.watch(writable.near(), write_event);
    check.run_until([&] { return writer.count > 0; }, "a socket with room is reported");
    check.expect(writer.flags == write_event, "room is reported as writable to who asked for it, and as nothing else");

    int seen = 0;
    IoProbe both{check};
    both.on([&] {
        seen |= both.flags;
        if (seen != rw_event) both.watch(writable.near(), rw_event & ~seen);
    });
    both.watch(writable.near(), rw_event);
    check.run_until([&] { return seen == rw_event; }, "an event that waits for both is told of both");

    Pair full;
    full.fill();
    IoProbe blocked{check};
    blocked.watch(full.near(), write_event);
    check.run_turns(2);
    check.expect(blocked.count == 0, "a full socket is not reported as writable");
    full.drain_far();
    check.run_until([&] { return blocked.count > 0; }, "and is when it was emptied");
}

void io_one_shot(Check& check) {
    Pair pair;
    pair.send();
    IoProbe probe{check};
    probe.watch(pair.near(), read_event);
    check.run_until([&] { return probe.count > 0; }, "the event is delivered");
    check.run_quietly();
    check.expect(probe.count == 1 && !probe.active(), "an event is delivered once for each time it is armed");
    check.expect(probe.ignored() == 0, "a watcher that has fired is not armed any more, though there is data still");
    probe.watch(pair.near(), read_event);
    check.run_until([&] { return probe.count == 2; }, "it may be armed again later, and finds the data that was there");
}

void io_fires_once(Check& check) {
    Pair pair;
    IoProbe probe{check};
    std::size_t spurious = 0;
    std::size_t bytes = 0;
    probe.on([&] {
        const std::size_t got = pair.take();
        bytes += got;
        if (got == 0) ++spurious;
        probe.watch(pair.near(), read_event);
    });
    probe.watch(pair.near(), read_event);
    for (std::size_t i = 1; i <= 20; ++i) {
        pair.send();
        if (!check.run_until([&] { return bytes == i; }, "each byte is reported")) return;
    }
    check.run_turns(3);
    check.expect(spurious == 0 && probe.count == 20,
                 "one readiness is delivered once, also if it is armed again inside");
}

void io_rearmed_in_handler(Check& check) {
    Pair pair;
    pair.send(200);
    std::size_t bytes = 0;
    IoProbe probe{check};
    probe.on([&] {
        bytes += pair.take(1);
        if (bytes < 200) probe.watch(pair.near(), read_event);
    });
    probe.watch(pair.near(), read_event);
    check.run_until([&] { return bytes == 200; }, "an event that is armed again inside its handler is delivered again");
    check.run_turns(3);
    check.expect(probe.count == 200 && probe.ignored() == 0, "once for each byte that its handler takes");
}

void io_interest_changed(Check& check) {
    Pair pair;
    pair.send();
    IoProbe probe{check};
    probe.watch(pair.near(), read_event);
    probe.watch(pair.near(), write_event);
    check.run_until([&] { return probe.count > 0; }, "an armed event may be armed for something else");
    check.expect(probe.flags == write_event, "the new interest replaces the old one");
    Pair other;
    probe.watch(pair.near(), read_event);
    probe.watch(other.near(), read_event);
    check.run_turns(3);
    check.expect(probe.count == 1 && probe.ignored() == 0,
                 "an event that moved to another descriptor leaves the old one");
    other.send();
    check.run_until([&] { return probe.count == 2; }, "and hears of the new one");
}

void io_unwatched(Check& check) {
    Pair pair;
    pair.send();
    IoProbe probe{check};
    probe.watch(pair.near(), read_event);
    probe.unwatch();
    check.run_quietly();
    check.expect(probe.count == 0 && probe.ignored() == 0, "an event that was unwatched is not delivered");
    probe.watch(pair.near(), read_event);
    check.run_until([&] { return probe.count == 1; }, "it may be watched again");
    probe.watch(pair.near(), read_event);
    probe.unwatch();
    probe.watch(pair.near(), read_event);
    check.run_until([&] { return probe.count == 2; }, "unwatched and watched again in one turn, it is armed");
    check.expect(probe.ignored() == 0, "and is delivered once");
}

void io_cleaned_up(Check& check) {
    Pair pair;
    pair.send();
    IoProbe probe{check};
    probe.watch(pair.near(), read_event);
    check.run_until([&] { return probe.count == 1; }, "the event is delivered");
    probe.watch(pair.near(), read_event);
    probe.cleanup();
    check.run_quietly();
    check.expect(probe.count == 1 && probe.ignored() == 0, "an event that was cleaned up is not touched any more");
}

/// Two descriptors are ready in one turn; whichever event comes first disposes of the other.
void other_in_same_batch(Check& check, void (*dispose)(IoProbe&), std::string_view what) {
    for (std::size_t i = 0; i < 4; ++i) {
        Pair pairs[2];
        std::deque<IoProbe> probes;
        probes.emplace_back(check, [&] { dispose(probes[1]); });
        probes.emplace_back(check, [&] { dispose(probes[0]); });
        // In both orders, lest an adapter looks right by the order of its descriptors.
        for (const std::size_t k : {i % 2, 1 - i % 2}) {
            pairs[k].send();
            probes[k].watch(pairs[k].near(), read_event);
        }
        check.run_until([&] { return probes[0].count + probes[1].count > 0; }, "one of them is delivered");
        check.run_turns(3);
        check.expect(probes[0].count + probes[1].count == 1 && probes[0].ignored() + probes[1].ignored() == 0, what);
        probes[0].cleanup();
        probes[1].cleanup();
    }
}

void io_unwatched_by_other(Check& check) {
    other_in_same_batch(
        check,
        [](IoProbe& other) {
            if (other.active()) other.unwatch();
        },
        "an event that another's handler unwatches in the same turn is not delivered");
}

void io_cleaned_up_by_other(Check& check) {
    other_in_same_batch(
        check, [](IoProbe& other) { other.cleanup(); },
        "an event that another's handler cleans up in the same turn is not touched");
}

void io_destroyed_in_handler(Check& check) {
    Pair pairs[2];
    int fired = 0;
    std::deque<IoProbe> probes;
    for (int i = 0; i < 2; ++i) {
        probes.emplace_back(check, [&] {
            ++fired;
            probes[0].destroy();
            probes[1].destroy();
            pairs[0].close_near();
            pairs[1].close_near();
        });
    }
    for (std::size_t i = 0; i < 2; ++i) {
        pairs[i].send();
        probes[i].watch(pairs[i].near(), read_event);
    }
    check.run_until([&] { return fired > 0; }, "one of them is delivered");
    check.run_turns(3);
    check.expect(fired == 1, "a handler may destroy its own and another event");
}

void io_two_on_one_descriptor(Check& check) {
    Pair pair;
    IoProbe reader{check};
    IoProbe writer{check};
    reader.watch(pair.near(), read_event);
    writer.watch(pair.near(), write_event);
    check.run_until([&] { return writer.count == 1; }, "of two events on one descriptor, the writer is delivered");
    check.expect(reader.count == 0, "and the reader is not");
    pair.send();
    check.run_until([&] { return reader.count == 1; }, "then the reader is delivered");
    check.expect(writer.count == 1 && writer.ignored() == 0, "and the writer, not armed any more, is not");
    writer.cleanup();
    reader.watch(pair.near(), read_event);
    check.run_until([&] { return reader.count == 2; }, "cleaning up the writer does not take the reader's watch");
}

void io_descriptor_reused(Check& check) {
    IoProbe old{check};
    IoProbe fresh{check};
    Pair second;
    {
        Pair first;
        first.send();
        old.watch(first.near(), read_event);
        check.run_until([&] { return old.count == 1; }, "the event is delivered");
        old.watch(first.near(), read_event);
        const int number = first.near();
        old.cleanup();
        // The descriptor of the same stream lives on under another number, so the kernel does not forget it by itself.
        const int other_name = ::dup(number);
        first.close_near();
        second.move_near_to(number);
        fresh.watch(second.near(), read_event);
        check.run_turns(3);
        check.expect(fresh.count == 0 && fresh.ignored() == 0,
                     "a new event on a reused descriptor number does not get the old one's readiness");
        check.expect(old.count == 1 && old.ignored() == 0, "the old event is not touched");
        second.send();
        check.run_until([&] { return fresh.count == 1; }, "the new event gets its own readiness");
        ::close(other_name);
    }
    second.take();
    fresh.watch(second.near(), read_event);
    second.send();
    check.run_until([&] { return fresh.count == 2; }, "and goes on getting it when the old stream is gone");
}

void io_descriptor_reused_in_batch(Check& check) {
    Pair pairs[2];
    std::deque<Pair> replacements(2);
    std::deque<IoProbe> probes;
    std::deque<IoProbe> fresh;
    bool replaced = false;
    for (std::size_t i = 0; i < 2; ++i) {
        fresh.emplace_back(check);
        probes.emplace_back(check, [&, i] {
            if (replaced) return;
            replaced = true;
            const std::size_t other = 1 - i;
            const int number = pairs[other].near();
            probes[other].cleanup();
            pairs[other].close_near();
            replacements[other].move_near_to(number);
            fresh[other].watch(number, read_event);
        });
    }
    for (std::size_t i = 0; i < 2; ++i) {
        pairs[i].send();
        probes[i].watch(pairs[i].near(), read_event);
    }
    check.run_until([&] { return replaced; }, "one of them is delivered");
    check.run_turns(3);
    check.expect(probes[0].count + probes[1].count == 1, "the event whose descriptor was closed is not delivered");
    check.expect(fresh[0].count + fresh[1].count == 0,
                 "readiness of this turn is not delivered to a new event on the reused descriptor number");
}

void io_closed_peer(Check& check) {
    Pair pair;
    IoProbe probe{check};
    probe.watch(pair.near(), read_event);
    pair.close_far();
    check.run_until([&] { return probe.count == 1; }, "the end of a stream is reported to who waits for data");
    check.expect((probe.flags & read_event) != 0, "as readable");
    check.run_quietly();
    check.expect(probe.count == 1 && probe.ignored() == 0, "once");

    int ends[2];
    if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) throw std::system_error(errno, std::system_category(), "pipe2");
    IoProbe writer{check};
    ::close(ends[0]);
    writer.watch(ends[1], write_event);
    check.run_until([&] { return writer.count == 1; }, "a broken pipe is reported to who waits for room");
    check.expect((writer.flags & write_event) != 0, "as writable");
    writer.cleanup();
    ::close(ends[1]);
}

void io_ten_thousand(Check& check) {
    constexpr std::size_t sockets = 50;
    constexpr std::size_t rounds = 200;
    std::deque<Pair> pairs(sockets);
    std::deque<IoProbe> probes;
    std::size_t bytes = 0;
    std::size_t deliveries = 0;
    for (std::size_t i = 0; i < sockets; ++i) {
        probes.emplace_back(check, [&, i] {
            ++deliveries;
            bytes += pairs[i].take();
            if (static_cast<std::size_t>(probes[i].count) < rounds) {
                probes[i].watch(pairs[i].near(), read_event);
                pairs[(i * 7 + 1) % sockets].send();
            }
        });
        probes[i].watch(pairs[i].near(), read_event);
    }
    // Each delivery feeds another socket; what arrives together is taken together, so the rounds are driven anew.
    for (std::size_t i = 0; i < sockets; ++i) pairs[i].send();
    TimerProbe pump{check};
    pump.on([&] {
        for (std::size_t i = 0; i < sockets; ++i) {
            if (probes[i].active()) pairs[i].send();
        }
        if (deliveries < sockets * rounds) pump.schedule(0us);
    });
    pump.schedule(0us);
    check.run_until([&] { return deliveries == sockets * rounds; },
                    "ten thousand events on fifty sockets are delivered");
    unsigned ignored = 0;
    for (const IoProbe& probe : probes) ignored += probe.ignored();
    check.run_turns(3);
    check.expect(deliveries == sockets * rounds && ignored == 0, "and not one more");
}

void io_exception(Check& check) {
    Pair pairs[2];
    IoProbe thrower{check, [] { throw std::runtime_error("thrown"); }};
    IoProbe beside{check};
    pairs[0].send();
    pairs[1].send();
    thrower.watch(pairs[0].near(), read_event);
    beside.watch(pairs[1].near(), read_event);
    int caught = 0;
    for (int i = 0; i < 2; ++i) {
        try {
            check.run_until([&] { return caught > 0 && beside.count > 0; }, "the loop runs on after a handler threw");
        } catch (const std::runtime_error&) {
            ++caught;
        }
    }
    check.expect(caught == 1 && thrower.count == 1, "what a handler throws leaves the loop's run, once");
    check.expect(beside.count == 1, "and keeps no other event from being delivered");
    thrower.watch(pairs[0].near(), read_event);
    try {
        check.run_until([&] { return thrower.count == 2; }, "the event may be armed again");
        check.run_turns(1);
    } catch (const std::runtime_error&) {
        ++caught;
    }
    check.expect(caught == 2, "and throw again");
}

void io_before_timers(Check& check) {
    Pair pair;
    bool late = false;
    TimerProbe deadline{check};
    IoProbe reply{check, [&] {
                      late = deadline.count > 0;
                      deadline.cancel();
                  }};
    TimerProbe busy{check, [&] {
                        // The deadline passes while the loop is busy; meanwhile the reply arrives.
                        const TimePoint start = check.iops().now();
                        while (check.iops().now() - start < 4ms) {
                        }
                        pair.send();
                    }};
    reply.watch(pair.near(), read_event);
    check.run_turns(2);
    deadline.schedule(2ms);
    busy.defer();
    check.run_until([&] { return reply.count > 0; }, "the reply is delivered");
    check.expect(!late && deadline.count == 0, "a reply that is in the socket wins over its deadline");
}

bool if_descriptors(const ConformanceOptions& options) { return options.descriptors; }
bool if_shared(const ConformanceOptions& options) { return options.descriptors && options.shared_descriptors; }
bool if_io_first(const ConformanceOptions& options) { return options.descriptors && options.io_before_timers; }

}  // namespace

std::vector<NamedCheck> io_checks() {
    return {
        {"io_not_inline", io_not_inline, if_descriptors},
        {"io_flags", io_flags, if_descriptors},
        {"io_one_shot", io_one_shot, if_descriptors},
        {"io_fires_once", io_fires_once, if_descriptors},
        {"io_rearmed_in_handler", io_rearmed_in_handler, if_descriptors},
        {"io_interest_changed", io_interest_changed, if_descriptors},
        {"io_unwatched", io_unwatched, if_descriptors},
        {"io_cleaned_up", io_cleaned_up, if_descriptors},
        {"io_unwatched_by_other", io_unwatched_by_other, if_descriptors},
        {"io_cleaned_up_by_other", io_cleaned_up_by_other, if_descriptors},
        {"io_destroyed_in_handler", io_destroyed_in_handler, if_descriptors},
        {"io_two_on_one_descriptor", io_two_on_one_descriptor, if_shared},
        {"io_descriptor_reused", io_descriptor_reused, if_descriptors},
        {"io_descriptor_reused_in_batch", io_descriptor_reused_in_batch, if_descriptors},
        {"io_closed_peer", io_closed_peer, if_descriptors},
        {"io_ten_thousand", io_ten_thousand, if_descriptors},
        {"io_exception", io_exception, if_descriptors},
        {"io_before_timers", io_before_timers, if_io_first},
    };
}

}  // namespace chaise::testing::conformance
