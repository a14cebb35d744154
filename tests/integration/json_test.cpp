// chaise/json.hpp: values as they come from a server, parsed where they lie. ASan watches the padding.
#include "support/memcached_process.hpp"
#include "tests/support/run.hpp"

#include <chaise/json.hpp>

#include <catch2/catch.hpp>

#include <numeric>
#include <string>

using namespace chaise;
using chaise::testing::with_bucket;

namespace {

/// An array of numbers, as text.
std::string numbers(int count) {
    std::string text = "[";
    for (int i = 0; i < count; ++i) text += (i == 0 ? "" : ",") + std::to_string(i);
    return text + "]";
}

std::int64_t sum_of(const ValueResult& result, simdjson::ondemand::parser& parser) {
    simdjson::ondemand::document document;
    if (json(result, parser).get(document) != simdjson::SUCCESS) return -1;
    std::int64_t sum = 0;
    simdjson::ondemand::array array;
    if (document.get_array().get(array) != simdjson::SUCCESS) return -2;
    for (auto number : array) {
        std::int64_t value = 0;
        if (number.get(value) != simdjson::SUCCESS) return -3;
        sum += value;
    }
    return sum;
}

}  // namespace

TEST_CASE("json: short and long values, of every length around the padding") {
    const chaise::testing::MemcachedProcess server;
    with_bucket(server.connection_string(), [](AsyncBucket& bucket) -> Task<> {
        simdjson::ondemand::parser parser;
        for (int count = 1; count < 120; ++count) {
            const std::string text = numbers(count);
            co_await bucket.upsert("doc", text);
            const auto found = co_await bucket.get("doc");
            CHECK((found.pinned_bytes() == 0) == (text.size() <= ValueResult::inline_capacity));
            CHECK(sum_of(found, parser) == count * (count - 1) / 2);
        }
        const int many = 30'000;
        co_await bucket.upsert("doc", numbers(many));
        const auto large = co_await bucket.get("doc");
        CHECK(sum_of(large, parser) == std::int64_t{many} * (many - 1) / 2);
        // Two values that lie in one buffer: the second's bytes stand behind the first.
        co_await bucket.upsert("a", numbers(60));
        co_await bucket.upsert("b", numbers(70));
        auto first = bucket.get("a");
        auto second = bucket.get("b");
        const auto a = co_await first;
        const auto b = co_await second;
        CHECK(sum_of(a, parser) == 60 * 59 / 2);
        CHECK(sum_of(b, parser) == 70 * 69 / 2);
    });
}

TEST_CASE("json: a value may end exactly where its receive buffer does") {
    simdjson::ondemand::parser parser;
    // Made by hand, as the engine does it: nothing but the padding is behind the value.
    for (const int count : {1, 10, 24, 25, 26, 27, 100, 1000}) {
        const std::string text = numbers(count);
        detail::KeptBuffer buffer(detail::Buffer::make(text.size()));
        std::copy(text.begin(), text.end(), buffer->data());
        const ValueResult result({buffer->data(), text.size()}, 0, 0, 1, buffer.get());
        buffer = {};
        CHECK(sum_of(result, parser) == count * (count - 1) / 2);
        const ValueResult moved(result);
        CHECK(sum_of(moved, parser) == count * (count - 1) / 2);
    }
    const ValueResult number = ValueResult::of_counter(42, 1);
    std::int64_t value = 0;
    CHECK(json(number, parser).get(value) == simdjson::SUCCESS);
    CHECK(value == 42);
}

TEST_CASE("json: what is wrong is simdjson's to say") {
    const chaise::testing::MemcachedProcess server;
    with_bucket(server.connection_string(), [](AsyncBucket& bucket) -> Task<> {
        simdjson::ondemand::parser parser;
        const auto error_of = [&](const ValueResult& result) {
            std::string_view name;
            auto document = json(result, parser);
            return document["name"].get(name);
        };
        for (const std::size_t padding : {0u, 100u}) {  // inline, and in the receive buffer
            const std::string blanks(padding, ' ');
            co_await bucket.upsert("good", blanks + R"({"name":"Ada"})");
            co_await bucket.upsert("cut", blanks + R"({"name":"Ad)");
            co_await bucket.upsert("other", blanks + R"({"nom":"Ada"})");
            co_await bucket.upsert("wrong", blanks + R"({"name":})");
            co_await bucket.upsert("empty", blanks);
            const auto good = co_await bucket.get("good");
            const auto cut = co_await bucket.get("cut");
            const auto other = co_await bucket.get("other");
            const auto wrong = co_await bucket.get("wrong");
            const auto empty = co_await bucket.get("empty");
            CHECK(error_of(good) == simdjson::SUCCESS);
            CHECK(error_of(cut) == simdjson::UNCLOSED_STRING);
            CHECK(error_of(other) == simdjson::NO_SUCH_FIELD);
            CHECK(error_of(wrong) != simdjson::SUCCESS);
            CHECK(error_of(empty) == simdjson::EMPTY);
        }
        const auto absent = co_await bucket.get("absent", {.quiet = true});
        CHECK(error_of(absent) == simdjson::EMPTY);
    });
}
