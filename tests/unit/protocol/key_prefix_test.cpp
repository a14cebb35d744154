// Requests that get another collection after they were encoded.
#include "protocol/key_prefix.hpp"
#include "protocol/leb128.hpp"
#include "protocol/requests.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace chaise::protocol;

template <class Request>
std::string bytes(const Request& request) {
    std::string out(encoded_size(request), 'x');
    REQUIRE(encode(request, out.data()) == out.data() + out.size());
    return out;
}

std::string prefix_of(std::optional<std::uint32_t> id) {
    if (!id) return {};
    char room[max_leb128_size];
    return {room, store_leb128(room, *id)};
}

std::string replaced(std::string_view request, std::size_t old_size, std::string_view prefix) {
    std::string out(request.size() - old_size + prefix.size(), 'x');
    REQUIRE(replace_key_prefix(request, old_size, prefix, out.data()) == out.data() + out.size());
    return out;
}

const std::vector<std::optional<std::uint32_t>> ids = {std::nullopt, 0,      8,          0x7f,      0x80,
                                                       0x3fff,       0x4000, 0x0fffffff, 0xffffffff};

/// However it was encoded, with another prefix it is what it would have been from the beginning.
template <class Request>
void check(Request request) {
    for (const auto& key : {std::string("k"), std::string(246, 'k'), std::string("\x80\x01\x00 odd", 8)}) {
        request.key = key;
        for (const auto& from : ids) {
            request.context.collection = from;
            const std::string old = bytes(request);
            CAPTURE(static_cast<int>(static_cast<unsigned char>(old[1])), key.size(), prefix_of(from).size());
            if (from) CHECK(key_prefix(old) == prefix_of(from));
            for (const auto& to : ids) {
                request.context.collection = to;
                const std::string fresh = replaced(old, prefix_of(from).size(), prefix_of(to));
                CHECK(fresh == bytes(request));
                CHECK(replaced(fresh, prefix_of(to).size(), prefix_of(from)) == old);
            }
        }
    }
}

/// In every framing.
template <class Request>
void check_framings(Request request) {
    request.context.opaque = 0xdeadbeef;
    request.context.vbucket = 0x1234;
    request.context.cas = 0x0102030405060708;
    check(request);
    request.context.flexible = true;
    check(request);
    request.context.flexible = false;
    const std::array infos = {RequestFrameInfo::preserve_ttl(),
                              RequestFrameInfo::durability(DurabilityLevel::majority, 1500)};
    request.context.frame_infos = infos;
    check(request);
}

}  // namespace

TEST_CASE("a request whose prefix is replaced is one that was encoded with it", "[key_prefix]") {
    const std::string big(70'000, 'v');
    check_framings(GetRequest{});
    check_framings(GetRequest{.opcode = Opcode::get_replica});
    for (const Opcode opcode : {Opcode::set, Opcode::add, Opcode::replace}) {
        check_framings(StoreRequest{.opcode = opcode, .value = "value", .flags = 7, .expiry = 9});
        check_framings(StoreRequest{.opcode = opcode});
    }
    check_framings(StoreRequest{.value = big});
    check_framings(ConcatRequest{.opcode = Opcode::append, .value = "more"});
    check_framings(ConcatRequest{.opcode = Opcode::prepend});
    check_framings(RemoveRequest{});
    check_framings(CounterRequest{.delta = 3, .initial = 4, .expiry = 5});
    check_framings(CounterRequest{.opcode = Opcode::decrement});
    check_framings(TouchRequest{.expiry = 3});
    check_framings(GetAndTouchRequest{.expiry = 3});
    check_framings(GetLockedRequest{.lock_time = 3});
    check_framings(GetLockedRequest{});
    check_framings(UnlockRequest{});
    check_framings(GetMetaRequest{.version = 2});
    check_framings(GetMetaRequest{});
}

TEST_CASE("a sub-document request keeps its path and specs when its prefix is replaced", "[key_prefix]") {
    check_framings(SubdocLookupRequest{.opcode = Opcode::subdoc_get, .path = "a.b"});
    check_framings(SubdocMutationRequest{.opcode = Opcode::subdoc_dict_upsert, .path = "a.b", .value = "{}"});
    const std::array specs = {LookupSpec{.opcode = Opcode::subdoc_get, .path = "a"},
                              LookupSpec{.opcode = Opcode::subdoc_exists, .path = "b"}};
    check_framings(MultiLookupRequest{.specs = specs});
}

TEST_CASE("what is no prefix is not taken for one", "[key_prefix]") {
    const std::string_view odd("\x80\x00 not canonical", 16);
    CHECK(key_prefix(bytes(GetRequest{.key = odd})).empty());
    CHECK(key_prefix(bytes(GetRequest{.key = "\xff\xff\xff\xff\xff"})).empty());
    CHECK(key_prefix(bytes(GetRequest{.key = std::string_view("\0", 1)})) == std::string_view("\0", 1));
}
