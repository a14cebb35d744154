// A user's own framework over BasicBucket: here senders and receivers, in some forty lines.
#include "support/memcached_process.hpp"

#include <chaise/async_bucket.hpp>
#include <chaise/epoll.hpp>

#include <catch2/catch.hpp>

#include <concepts>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace senders {

/// The three channels of P2300.
template <class R, class T>
concept Receiver = requires(R receiver, T value, std::exception_ptr error) {
    std::move(receiver).set_value(std::move(value));
    std::move(receiver).set_error(error);
    std::move(receiver).set_stopped();
};

template <class T>
class Sender {
public:
    explicit Sender(chaise::AsyncResult<T> operation) : operation_(std::move(operation)) {}

    /// The operation has been started already; this is where it will say how it ended.
    template <Receiver<T> R>
    void start(R receiver) && {
        operation_.consume(Channels<R>{std::move(receiver)});
    }

private:
    template <class R>
    struct Channels {
        R receiver;
        void on_result(T&& value) && { std::move(receiver).set_value(std::move(value)); }
        void on_error(chaise::Error&& error) && {
            if (error == chaise::errc::cancelled || error == chaise::errc::shutdown) {
                return std::move(receiver).set_stopped();
            }
            std::move(receiver).set_error(chaise::make_exception_ptr(std::move(error)));
        }
    };
    chaise::AsyncResult<T> operation_;
};

struct Face {
    template <class T>
    Sender<T> wrap(chaise::AsyncResult<T> operation) {
        return Sender<T>(std::move(operation));
    }
    /// With a receiver as the last argument there is nothing left to do.
    template <class T, Receiver<T> R>
    void wrap(chaise::AsyncResult<T> operation, R receiver) {
        Sender<T>(std::move(operation)).start(std::move(receiver));
    }
};

class Bucket : public chaise::BasicBucket<Face> {
public:
    template <chaise::Loop L>
    Bucket(L& loop, std::string_view connection_string) : BasicBucket(Face{}, loop.make_iops(), connection_string) {}
};

}  // namespace senders

namespace {

using namespace chaise;

struct Log {
    std::vector<std::string>* lines;
    std::string name;
    void set_value(const ValueResult& found) && { lines->push_back(name + ": " + found.owned()); }
    void set_value(const Result& result) && { lines->push_back(name + (result.success() ? ": done" : ": not found")); }
    void set_error(const std::exception_ptr& error) && {
        try {
            std::rethrow_exception(error);
        } catch (const DataError& thrown) {
            lines->push_back(name + ": DataError " + std::string(chaise::name(thrown.code())));
        }
    }
    void set_stopped() && { lines->push_back(name + ": stopped"); }
};

}  // namespace

TEST_CASE("a user's own face over BasicBucket") {
    const chaise::testing::MemcachedProcess server;
    std::vector<std::string> lines;
    EpollLoop loop;
    senders::Bucket bucket(loop, server.connection_string());
    bucket.upsert("k", "v").start(Log{&lines, "stored"});
    senders::Sender<ValueResult> found = bucket.get("k");
    bucket.get("absent").start(Log{&lines, "absent"});
    // Options and the face's own argument, in every combination.
    bucket.get("k", Log{&lines, "argument"});
    bucket.get("absent", {.quiet = true}, Log{&lines, "both"});
    bucket.remove("absent", {.quiet = true}).start(Log{&lines, "options"});
    bucket.insert("k", "v", Log{&lines, "insert"});
    bucket.counter("n", {.initial = 5}, Log{&lines, "counter"});
    bucket.noop(Log{&lines, "noop"});
    std::move(found).start(Log{&lines, "found"});
    CHECK(lines.empty());

    struct Close : Log {
        senders::Bucket* bucket;
        Log last;
        void set_value(const OperationResult&) && {
            bucket->get("k", Log{lines, "too late"});
            bucket->close(last);
        }
    };
    bucket.noop(Close{{&lines, "noop"}, &bucket, {&lines, "closed"}});
    loop.run();
    CHECK(lines == std::vector<std::string>{"stored: done", "found: v", "absent: DataError document_not_found",
                                            "argument: v", "both: ", "options: not found",
                                            "insert: DataError document_exists", "counter: 5", "noop: done",
                                            "too late: stopped", "closed: done"});
}
