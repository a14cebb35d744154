#pragma once

// A bucket on a scripted cluster, with books of what each operation was promised and what became of it.

#include "tests/unit/engine/script_cluster.hpp"

#include <catch2/catch.hpp>

namespace chaise::testing {

using namespace std::chrono_literals;

/// An operation, what it was promised, and what became of it.
struct Book {
    std::string key;
    bool mutation = false;
    TimePoint deadline{};
    Outcome outcome;
    std::shared_ptr<int> alive = std::make_shared<int>();  ///< a copy is in its callbacks
};

struct World {
    World(ScriptMap map, std::string_view where) : cluster(*loop, std::move(map)) {
        cluster.mechanisms = "PLAIN";  // PBKDF2 takes milliseconds
        bucket.emplace(loop->make_iops(), where,
                       BucketOptions{.username = "me", .password = "secret", .allow_plain = true});
    }
    ~World() {
        bucket.reset();
        if (loop) loop->net.server = nullptr;
    }

    template <class T>
    AsyncResult<T>& track(AsyncResult<T>& operation, Book& book) {
        operation.set_callbacks([this, &book, alive = book.alive](T) { done(book); },
                                [this, &book, alive = book.alive](const Error& error) {
                                    book.outcome.error = error;
                                    done(book);
                                });
        return operation;
    }
    void done(Book& book) {
        ++book.outcome.calls;
        book.outcome.at = loop->now();
        if (on_outcome) on_outcome();
    }
    Book& begin(std::string key, bool mutation, Duration timeout) {
        books.push_back(std::make_unique<Book>());
        Book& book = *books.back();
        book.key = std::move(key);
        book.mutation = mutation;
        book.deadline = loop->now() + timeout;
        return book;
    }
    void get(const std::string& key, Duration timeout = 2500ms, bool cancel = false) {
        Book& book = begin(key, false, timeout);
        auto operation = bucket->get(key, {.timeout = timeout, .quiet = true});
        track(operation, book);
        if (cancel) operation.cancel();
    }
    void count(const std::string& key, Duration timeout = 2500ms, bool cancel = false) {
        Book& book = begin(key, true, timeout);
        auto operation = bucket->counter(key, {.initial = 1, .timeout = timeout});
        track(operation, book);
        if (cancel) operation.cancel();
    }
    void connect(Duration timeout = 10s) {
        auto operation = bucket->connect({.timeout = timeout});
        track(operation, begin({}, false, timeout));
    }
    void noop(Duration timeout = 2500ms) {
        auto operation = bucket->noop({.timeout = timeout});
        track(operation, begin({}, false, timeout));
    }
    void check_outcomes() {
        std::map<std::string, std::pair<std::size_t, std::size_t>> counted;  // certainly, perhaps
        for (const auto& book : books) {
            INFO((book->mutation ? "counter " : "get ") << book->key);
            CHECK(book->outcome.calls == 1);
            CHECK(book->outcome.at <= book->deadline);
            CHECK(book->alive.use_count() == 1);
            if (!book->mutation) continue;
            if (!book->outcome.error) {
                ++counted[book->key].first;
            } else if (book->outcome.error->may_have_happened()) {
                ++counted[book->key].second;
            }
        }
        for (const auto& [key, n] : counted) {
            INFO(key << ": " << n.first << " succeeded, " << n.second << " perhaps");
            const std::size_t executed = cluster.executed(key);
            CHECK(executed >= n.first);
            CHECK(executed <= n.first + n.second);
        }
    }
    void check_nothing_is_left() {
        loop->run();
        CHECK(loop->armed_timers() == 0);
        CHECK(loop->net.pending->empty());
        CHECK(cluster.open() == 0);
    }

    std::unique_ptr<ScriptLoop> loop = std::make_unique<ScriptLoop>();
    ScriptCluster cluster;
    std::vector<std::unique_ptr<Book>> books;
    std::function<void()> on_outcome;
    std::optional<AsyncBucket> bucket;
};

}  // namespace chaise::testing
