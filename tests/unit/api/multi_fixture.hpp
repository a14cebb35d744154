#pragma once

// Multi operations on one scripted server, and what becomes of them.

#include "tests/unit/engine/session_fixture.hpp"

#include <chaise/chaise.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace chaise::testing {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// What became of a multi operation.
template <class T>
struct Book {
    unsigned calls = 0;
    MultiResult<T> results;
    Error error;
};

struct Multi : Fixture {
    explicit Multi(BucketOptions options = {}) : Fixture(options) { connected(); }
    ~Multi() {
        if (std::uncaught_exceptions() != 0) return;
        loop.run();
        CHECK(bucket->operations() == 0);
        CHECK(unobserved.empty());
    }
    template <class T>
    std::shared_ptr<Book<T>> book(AsyncResult<MultiResult<T>> operation) {
        auto book = std::make_shared<Book<T>>();
        operation.set_callbacks(
            [book](MultiResult<T> results) {
                ++book->calls;
                book->results = std::move(results);
            },
            [book](const Error& error) {
                ++book->calls;
                book->error = error;
                book->results = error.all_results<T>();
            });
        return book;
    }
    template <class T>
    Book<T> run(AsyncResult<MultiResult<T>> operation) {
        const auto done = book(std::move(operation));
        CHECK(done->calls == 0);  // never in the call
        loop.run();
        CHECK(done->calls == 1);
        return *done;
    }
    void put(std::string key, std::string value, std::uint64_t cas = 5) {
        server.items[std::move(key)] = {std::move(value), 0, cas};
    }
};

inline std::string joined(const MultiResult<ValueResult>& all) {
    std::string out;
    for (const auto& [key, result] : all) {
        out += (out.empty() ? "" : " ") + std::string(key) + "=";
        out += !result ? name(result.error().code()) : result->success() ? result->value() : "-";
    }
    return out;
}

}  // namespace chaise::testing
