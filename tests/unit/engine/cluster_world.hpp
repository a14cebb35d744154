#pragma once

// A bucket on a scripted cluster, with books of what each operation was promised and what became of it.

#include "tests/unit/engine/script_cluster.hpp"
#include "tests/unit/engine/session_fixture.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
    World(ScriptMap map, std::string_view where);
    ~World();

    template <class T>
    AsyncResult<T>& track(AsyncResult<T>& operation, Book& book) {
        operation.set_callbacks([this, &book, alive = book.alive](T) { done(book); },
                                [this, &book, alive = book.alive](const Error& error) {
                                    book.outcome.error = error;
                                    done(book);
                                });
        return operation;
    }
    void done(Book& book);
    Book& begin(std::string key, bool mutation, Duration timeout);
    void get(const std::string& key, Duration timeout = 2500ms, bool cancel = false);
    void count(const std::string& key, Duration timeout = 2500ms, bool cancel = false);
    void connect(Duration timeout = 10s);
    void noop(Duration timeout = 2500ms);
    void check_outcomes();
    void check_nothing_is_left();

    std::unique_ptr<ScriptLoop> loop = std::make_unique<ScriptLoop>();
    ScriptCluster cluster;
    std::vector<std::unique_ptr<Book>> books;
    std::function<void()> on_outcome;
    std::optional<AsyncBucket> bucket;
};

}  // namespace chaise::testing
