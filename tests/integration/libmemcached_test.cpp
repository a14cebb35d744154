// libmemcached, another implementation of the ring: both must place keys on the same hosts.

#include "protocol/ketama.hpp"
#include "support/memcached_process.hpp"
#include "tests/support/run.hpp"

#include <libmemcached/memcached.h>

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

constexpr int key_count = 10'000;

std::string key_of(int i) { return "key:" + std::to_string(i) + "/" + std::to_string(i * 7919 % 1000); }

struct Case {
    std::string_view distribution;
    memcached_behavior_t behavior;
    std::vector<std::uint32_t> weights;
};

const std::vector<Case>& cases() {
    static const std::vector<Case> all = {
        {"ketama_weighted", MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, {1, 1, 1}},
        {"ketama_weighted", MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, {3, 1, 2}},
        {"ketama_weighted", MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, {7, 100, 13}},
        {"ketama", MEMCACHED_BEHAVIOR_KETAMA, {1, 1, 1}},
        {"ketama", MEMCACHED_BEHAVIOR_KETAMA, {3, 1, 2}},
    };
    return all;
}

using Client = std::unique_ptr<memcached_st, void (*)(memcached_st*)>;

Client make_client(memcached_behavior_t behavior) {
    Client client(memcached_create(nullptr), memcached_free);
    REQUIRE(memcached_behavior_set(client.get(), behavior, 1) == MEMCACHED_SUCCESS);
    return client;
}

std::string list(const std::vector<std::uint32_t>& weights) {
    std::string text;
    for (const auto weight : weights) text += (text.empty() ? "" : ",") + std::to_string(weight);
    return text;
}

}  // namespace

TEST_CASE("rings of up to 40 hosts, of every port and weight, are those of libmemcached") {
    std::mt19937 random(1);
    for (const auto& [scheme, behavior] :
         {std::pair{protocol::RingScheme::ketama_weighted, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED},
          {protocol::RingScheme::ketama, MEMCACHED_BEHAVIOR_KETAMA}}) {
        for (const std::size_t count : {2u, 3u, 7u, 16u, 40u}) {
            for (const bool weighted : {false, true}) {
                const Client client = make_client(behavior);
                std::vector<protocol::RingHost> hosts;
                for (std::size_t i = 0; i < count; ++i) {
                    // The port 11211 is not in the strings that are hashed.
                    const auto port = static_cast<std::uint16_t>(i % 3 == 0 ? 11211 : 11000 + i);
                    hosts.push_back({"cache" + std::to_string(i) + ".example", port,
                                     weighted ? 1 + static_cast<std::uint32_t>(random() % 50) : 1});
                    REQUIRE(memcached_server_add_with_weight(client.get(), hosts[i].host.c_str(), port,
                                                             hosts[i].weight) == MEMCACHED_SUCCESS);
                }
                const protocol::Ring ring(scheme, hosts);
                int differ = 0;
                for (int i = 0; i < key_count; ++i) {
                    // Bytes that a char cannot hold without a sign, too.
                    const std::string key = key_of(i) + (i % 5 == 0 ? "\xc3\xa4" : "");
                    if (ring.owner(key) != memcached_generate_hash(client.get(), key.data(), key.size())) ++differ;
                }
                CAPTURE(count, weighted);
                CHECK(differ == 0);
            }
        }
    }
}

TEST_CASE("10,000 keys that libmemcached stored on three memcacheds are found, and the other way round") {
    for (const Case& one : cases()) {
        CAPTURE(one.distribution, list(one.weights));
        std::array<MemcachedProcess, 3> servers;
        const Client client = make_client(one.behavior);
        memcached_behavior_set(client.get(), MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, 1);
        memcached_behavior_set(client.get(), MEMCACHED_BEHAVIOR_NOREPLY, 1);
        std::string where = "memcached://";
        for (std::size_t i = 0; i < servers.size(); ++i) {
            REQUIRE(memcached_server_add_with_weight(client.get(), "127.0.0.1",
                                                     static_cast<in_port_t>(servers[i].port()),
                                                     one.weights[i]) == MEMCACHED_SUCCESS);
            where += (i == 0 ? "" : ",") + ("127.0.0.1:" + std::to_string(servers[i].port()));
        }
        where += "?distribution=" + std::string(one.distribution) + "&weights=" + list(one.weights);
        std::array<int, 3> theirs{};
        for (int i = 0; i < key_count; i += 2) {
            const std::string key = key_of(i);
            REQUIRE(memcached_set(client.get(), key.data(), key.size(), key.data(), key.size(), 0, 0) ==
                    MEMCACHED_SUCCESS);
        }
        for (int i = 0; i < key_count; ++i) {
            const std::string key = key_of(i);
            ++theirs[memcached_generate_hash(client.get(), key.data(), key.size())];
        }
        REQUIRE(memcached_flush_buffers(client.get()) == MEMCACHED_SUCCESS);
        memcached_behavior_set(client.get(), MEMCACHED_BEHAVIOR_NOREPLY, 0);

        with_bucket(where, [&](AsyncBucket& bucket) -> Task<> {
            std::vector<std::string> stored, all;
            for (int i = 0; i < key_count; ++i) all.push_back(key_of(i));
            for (int i = 0; i < key_count; i += 2) stored.push_back(key_of(i));
            // What is sent without an answer may still be on its way.
            int found = 0;
            for (int attempt = 0; attempt < 50 && found != key_count / 2; ++attempt) {
                const auto values = co_await bucket.get_multi(stored, {.quiet = true});
                found = 0;
                for (const auto& [key, result] : values) found += result->success() && result->value() == key;
            }
            CHECK(found == key_count / 2);
            for (int i = 1; i < key_count; i += 2) co_await bucket.upsert(all[static_cast<std::size_t>(i)], "chaise");
            const auto stats = co_await bucket.stats();
            std::array<int, 3> counts{};
            for (std::size_t i = 0; i < servers.size(); ++i) {
                counts[i] =
                    std::stoi(stats.stats().at("curr_items").at("127.0.0.1:" + std::to_string(servers[i].port())));
            }
            CHECK(counts == theirs);
        });
        int back = 0;
        for (int i = 1; i < key_count; i += 2) {
            const std::string key = key_of(i);
            std::size_t size = 0;
            std::uint32_t flags = 0;
            memcached_return_t code{};
            char* value = memcached_get(client.get(), key.data(), key.size(), &size, &flags, &code);
            if (code == MEMCACHED_SUCCESS && std::string_view(value, size) == "chaise") ++back;
            std::free(value);
        }
        CHECK(back == key_count / 2);
    }
}
