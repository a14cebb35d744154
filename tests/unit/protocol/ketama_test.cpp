#include <catch2/catch.hpp>

#include "protocol/ketama.hpp"
#include "protocol/md5.hpp"

#include <openssl/evp.h>

using namespace chaise::protocol;

namespace {

struct Row {
    std::string_view key;
    std::uint32_t place;
    std::uint32_t point;
    std::uint32_t host;
};

std::vector<RingHost> hosts(std::string_view prefix, int first, int count) {
    std::vector<RingHost> all;
    for (int i = 0; i < count; ++i) all.push_back({std::string(prefix) + std::to_string(first + i), 11210});
    return all;
}

template <std::size_t n>
void check(const Ring& ring, const Row (&rows)[n]) {
    for (const Row& row : rows) {
        CAPTURE(row.key);
        CHECK(ring.place(row.key) == row.place);
        CHECK(ring.owner(row.key) == row.host);
        const auto points = ring.points();
        const auto next = std::find_if(points.begin(), points.end(), [&](auto p) { return p.value >= row.place; });
        CHECK((next == points.end() ? points.front() : *next) == Ring::Point{row.point, row.host});
    }
}

using Points = std::vector<Ring::Point>;

Points first(const Ring& ring, std::ptrdiff_t n) { return {ring.points().begin(), ring.points().begin() + n}; }
Points last(const Ring& ring, std::ptrdiff_t n) { return {ring.points().end() - n, ring.points().end()}; }

}  // namespace

TEST_CASE("MD5 is OpenSSL's, at every length") {
    std::string text;
    for (std::size_t size = 0; size <= 300; ++size) {
        unsigned char digest[16];
        REQUIRE(EVP_Digest(text.data(), text.size(), digest, nullptr, EVP_md5(), nullptr) == 1);
        const auto words = md5(text);
        std::string mine, theirs;
        for (std::size_t i = 0; i < 16; ++i) {
            mine += std::to_string(words[i / 4] >> (8 * (i % 4)) & 0xff) + ' ';
            theirs += std::to_string(digest[i]) + ' ';
        }
        CHECK(mine == theirs);
        text += static_cast<char>(size * 37 + 200);
    }
}

// protocol.md 6.2, example A: all 640 points are those of SDK-RFC 26.
TEST_CASE("a ring of four is that of SDK-RFC 26") {
    const Ring ring(RingScheme::couchbase, hosts("192.168.1.", 101, 4));
    CHECK(ring.points().size() == 640);
    CHECK(first(ring, 5) ==
          Points{{0x0122faba, 3}, {0x01b1f2d7, 0}, {0x02268444, 3}, {0x02c06161, 3}, {0x0339732f, 3}});
    CHECK(last(ring, 4) == Points{{0xff1dca4e, 0}, {0xff205606, 1}, {0xff2c5bb7, 1}, {0xfffad36d, 1}});
    const Row rows[] = {
        {"foo", 0xdb18bdac, 0xdb527d26, 2},        {"bar", 0x191db537, 0x1949c5ed, 3},
        {"baz", 0xa4fffe73, 0xa530e8eb, 2},        {"Hello", 0x53991a8b, 0x53e1da1b, 1},
        {"key", 0x8a0b6e3c, 0x8b09dc49, 0},        {"mykey", 0xb3e0db9a, 0xb4b51e0e, 2},
        {"user:1", 0x10ddb1bd, 0x112648d7, 0},     {"user:1000", 0x2e986207, 0x2f23392f, 1},
        {"airline_10", 0x8c455f64, 0x8c63c98b, 3}, {"test", 0xcd6b8f09, 0xcda863a9, 2},
        {"couchbase", 0x56f08c3b, 0x57060f5c, 3},  {"counter", 0x3bb76b88, 0x3c07c519, 2},
        {"k1", 0x7ab137b6, 0x7b481c71, 3},         {"q1", 0xb1f133ff, 0xb28057be, 1},
        {"doc::0001", 0x86bf443a, 0x86ecd046, 0},  {"wrap_76506", 0xffffb7ba, 0x0122faba, 3},
    };
    check(ring, rows);
}

// Example B, checked there against libcouchbase.
TEST_CASE("a ring of three is that of libcouchbase") {
    const Ring ring(RingScheme::couchbase, hosts("10.1.0.", 11, 3));
    CHECK(ring.points().size() == 480);
    CHECK(first(ring, 5) ==
          Points{{0x01278491, 1}, {0x03d1409a, 2}, {0x046de9c5, 2}, {0x05186d18, 1}, {0x059de22b, 1}});
    CHECK(last(ring, 4) == Points{{0xfe705348, 2}, {0xfee6b594, 2}, {0xff7c611d, 2}, {0xffd14c70, 2}});
    const Row rows[] = {
        {"foo", 0xdb18bdac, 0xdbcf3ff8, 2},        {"bar", 0x191db537, 0x19ed7799, 2},
        {"baz", 0xa4fffe73, 0xa5167b6c, 1},        {"Hello", 0x53991a8b, 0x542b9423, 1},
        {"key", 0x8a0b6e3c, 0x8b1dde87, 1},        {"mykey", 0xb3e0db9a, 0xb50227fe, 0},
        {"user:1", 0x10ddb1bd, 0x11b2c5ed, 2},     {"user:1000", 0x2e986207, 0x2ecf5e3f, 1},
        {"airline_10", 0x8c455f64, 0x8d78a3d4, 0}, {"test", 0xcd6b8f09, 0xcdb2b9e4, 2},
        {"couchbase", 0x56f08c3b, 0x57256b50, 1},  {"counter", 0x3bb76b88, 0x3c678c1a, 2},
        {"k1", 0x7ab137b6, 0x7b04c027, 1},         {"q1", 0xb1f133ff, 0xb23a1b18, 1},
        {"doc::0001", 0x86bf443a, 0x86f0c6e3, 0},  {"wrap_190", 0xffee6cfb, 0x01278491, 1},
    };
    check(ring, rows);
}

TEST_CASE("the couchbase ring does not depend on the order of the hosts; IPv6 is in brackets") {
    std::vector<RingHost> all = hosts("10.1.0.", 11, 3);
    const Ring ring(RingScheme::couchbase, all);
    std::swap(all[0], all[2]);
    const Ring other(RingScheme::couchbase, all);
    for (int i = 0; i < 1000; ++i) {
        const std::string key = "key" + std::to_string(i);
        CHECK(ring.owner(key) == 2 - other.owner(key));
    }
    const std::vector<RingHost> v6 = {{"::1", 11210}};
    const Ring six(RingScheme::couchbase, v6);
    const auto expected = md5("[::1]:11210-0")[0];
    CHECK(std::any_of(six.points().begin(), six.points().end(), [&](auto p) { return p.value == expected; }));
}

namespace {

/// Which hosts 10,000 keys go to: how many to each, and all of it folded into one number.
struct Spread {
    std::vector<int> counts;
    std::uint32_t sum = 0;
    friend bool operator==(const Spread&, const Spread&) = default;
};

Spread spread(RingScheme scheme, std::span<const RingHost> of) {
    const Ring ring(scheme, of);
    Spread spread{std::vector<int>(of.size())};
    for (int i = 0; i < 10'000; ++i) {
        const std::size_t owner = ring.owner("key:" + std::to_string(i));
        ++spread.counts[owner];
        spread.sum = spread.sum * 31 + static_cast<std::uint32_t>(owner);
    }
    return spread;
}

}  // namespace

// What Debian's libmemcached 1.1.4 says by memcached_generate_hash(); an integration test asks it anew.
TEST_CASE("rings are libmemcached's") {
    const std::vector<RingHost> equal = {{"10.0.0.1", 11211}, {"10.0.0.2", 11212}, {"10.0.0.3", 11213}};
    const std::vector<RingHost> unequal = {{"10.0.0.1", 11211, 3}, {"10.0.0.2", 11212, 1}, {"10.0.0.3", 11213, 2}};
    CHECK(spread(RingScheme::ketama_weighted, equal) == Spread{{3229, 3589, 3182}, 2752066491});
    CHECK(spread(RingScheme::ketama_weighted, unequal) == Spread{{4798, 1980, 3222}, 865629692});
    CHECK(spread(RingScheme::ketama, equal) == Spread{{3723, 3245, 3032}, 3333117367});
    CHECK(spread(RingScheme::ketama, unequal) == Spread{{4833, 1967, 3200}, 1690046655});
    CHECK(spread(RingScheme::couchbase, equal).sum != 2752066491);  // it has all the ports in its strings
}

TEST_CASE("of a ring that a host leaves only the keys of that host move") {
    const auto all = hosts("10.1.0.", 11, 4);
    const auto three = hosts("10.1.0.", 11, 3);
    for (const auto scheme : {RingScheme::couchbase, RingScheme::ketama_weighted, RingScheme::ketama}) {
        const Ring before(scheme, all), after(scheme, three);
        int moved = 0;
        for (int i = 0; i < 2000; ++i) {
            const std::string key = "key" + std::to_string(i);
            if (before.owner(key) == 3) {
                ++moved;
            } else {
                CHECK(after.owner(key) == before.owner(key));
            }
        }
        CHECK(moved > 300);
        CHECK(moved < 700);
    }
}

TEST_CASE("nobody owns a key of an empty ring") {
    CHECK(Ring().owner("key") == Ring::nobody);
    CHECK(Ring(RingScheme::ketama_weighted, {}).owner("key") == Ring::nobody);
}
