#include "tests/unit/engine/cluster_world.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <utility>

namespace chaise::testing {

World::World(ScriptMap map, std::string_view where) : cluster(*loop, std::move(map)) {
    cluster.mechanisms = "PLAIN";  // PBKDF2 takes milliseconds
    bucket.emplace(loop->make_iops(), where,
                   BucketOptions{.username = "me", .password = "secret", .allow_plain = true});
}

World::~World() {
    bucket.reset();
    if (loop) loop->net.server = nullptr;
}

void World::done(Book& book) {
    ++book.outcome.calls;
    book.outcome.at = loop->now();
    if (on_outcome) on_outcome();
}

Book& World::begin(std::string key, bool mutation, Duration timeout) {
    books.push_back(std::make_unique<Book>());
    Book& book = *books.back();
    book.key = std::move(key);
    book.mutation = mutation;
    book.deadline = loop->now() + timeout;
    return book;
}

void World::get(const std::string& key, Duration timeout, bool cancel) {
    Book& book = begin(key, false, timeout);
    auto operation = bucket->get(key, {.timeout = timeout, .quiet = true});
    track(operation, book);
    if (cancel) operation.cancel();
}

void World::count(const std::string& key, Duration timeout, bool cancel) {
    Book& book = begin(key, true, timeout);
    auto operation = bucket->counter(key, {.initial = 1, .timeout = timeout});
    track(operation, book);
    if (cancel) operation.cancel();
}

void World::connect(Duration timeout) {
    auto operation = bucket->connect({.timeout = timeout});
    track(operation, begin({}, false, timeout));
}

void World::noop(Duration timeout) {
    auto operation = bucket->noop({.timeout = timeout});
    track(operation, begin({}, false, timeout));
}

void World::check_outcomes() {
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

void World::check_nothing_is_left() {
    loop->run();
    CHECK(loop->armed_timers() == 0);
    CHECK(loop->net.pending->empty());
    CHECK(cluster.open() == 0);
}

}  // namespace chaise::testing
