#include <catch2/catch.hpp>

#include <vector>

#include "protocol/vbucket.hpp"

using namespace chaise::protocol;

namespace {

struct Row {
    std::string key;
    std::uint32_t crc;
    int of_1024;
    int of_64;
};

std::uint32_t crc_by_bits(std::string_view bytes) {
    std::uint32_t crc = 0xffffffff;
    for (const char c : bytes) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

}  // namespace

// protocol.md 6.1, checked there against libcouchbase.
TEST_CASE("keys belong to the vbuckets that Couchbase gives them") {
    const Row rows[] = {
        {"a", 0xe8b7be43, 183, 55},
        {"abc", 0x352441c2, 292, 36},
        {"0", 0xf4dbdf21, 219, 27},
        {"1", 0x83dcefb7, 988, 28},
        {"foo", 0x8c736521, 115, 51},
        {"bar", 0x76ff8caa, 767, 63},
        {"baz", 0x78240498, 36, 36},
        {"Hello", 0xf7d18982, 977, 17},
        {"hello", 0x3610a686, 528, 16},
        {"key", 0x8a90aba9, 656, 16},
        {"KEY", 0x1c37e923, 55, 55},
        {"mykey", 0xc466d94c, 102, 38},
        {"user:1", 0x7ba5c282, 933, 37},
        {"user:1000", 0x9f7417e3, 884, 52},
        {"user:hugo_chavez", 0x30d05fd8, 208, 16},
        {"u:1234", 0xbb1ba249, 795, 27},
        {"airline_10", 0x0d694ea7, 361, 41},
        {"airport_1254", 0x55952424, 405, 21},
        {"hotel_10025", 0xd634258c, 564, 52},
        {"landmark_10019", 0xa1dc13fe, 476, 28},
        {"route_10000", 0xeac34feb, 707, 3},
        {"counter", 0xc1229478, 290, 34},
        {"test", 0xd87f7e0c, 127, 63},
        {"couchbase", 0xf2ae8451, 686, 46},
        {"k1", 0x960ea0a9, 526, 14},
        {"q1", 0x26235a72, 547, 35},
        {"doc::0001", 0x40bb8f7d, 187, 59},
        {"doc1", 0xc9850b0b, 389, 5},
        {"Hello World", 0x4a17b156, 535, 23},
        {"clé-ünïcødé-日本", 0xb85ccfdb, 92, 28},
        {std::string(250, 'x'), 0x89689892, 360, 40},
        {std::string("\x00\x01\x02\xff", 4), 0x3fb23824, 946, 50},
        {"", 0x00000000, 0, 0},
    };
    for (const Row& row : rows) {
        INFO(row.key);
        CHECK(crc32(row.key) == row.crc);
        CHECK(vbucket_of(row.key, 1024) == row.of_1024);
        CHECK(vbucket_of(row.key, 64) == row.of_64);
        CHECK(vbucket_of(row.key, 1000) == ((row.crc >> 16) & 0x7fff) % 1000);  // no power of two
        CHECK(vbucket_of(row.key, 1) == 0);
    }
}

TEST_CASE("every length and alignment takes the same sum, by tables and by multiplication") {
    std::string text;
    for (int i = 0; i < 600; ++i) text += static_cast<char>(i * 131 + i / 7);
    for (std::size_t length = 0; length < 300; ++length)
        for (const std::size_t start : {0u, 1u, 3u, 7u, 8u, 64u, 300u}) {
            const std::vector<char> bytes(text.data() + start, text.data() + start + length);  // ASan sees its ends
            const std::string_view part(bytes.data(), bytes.size());
            const std::uint32_t expected = crc_by_bits(part);
            REQUIRE(crc32(part) == expected);
            REQUIRE(crc32_by_tables(part) == expected);
#if defined(__x86_64__)
            if (__builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"))
                REQUIRE(crc32_by_multiplication(part) == expected);
#endif
        }
}
