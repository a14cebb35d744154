// SendBuffer and Pipeline.

#include "session/pipeline.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <memory>

using namespace chaise;
using namespace chaise::detail;

namespace {

constexpr std::size_t megabyte = 1 << 20;

struct TestLine {
    explicit TestLine(std::size_t max_operations = 1000, std::size_t max_bytes = megabyte)
        : pipeline(max_operations, max_bytes) {}
    ~TestLine() {
        for (auto& slot : slots) {
            if ((slot->owners & owned_by_wire) != 0) pipeline.remove(*slot);
        }
    }
    /// Null if there was no room.
    Slot* add(std::string_view bytes) {
        auto slot = std::make_unique<Slot>();
        char* room = pipeline.reserve(*slot, bytes.size());
        if (!room) return nullptr;
        std::memcpy(room, bytes.data(), bytes.size());
        pipeline.append(*slot);
        slots.push_back(std::move(slot));
        return slots.back().get();
    }
    /// What a transport that takes at most `most` bytes gets.
    std::string write(std::size_t most = SIZE_MAX, std::size_t buffers = 64) {
        std::vector<ConstBuffer> out(buffers);
        last_buffers = pipeline.gather(out);
        std::string all;
        for (std::size_t i = 0; i < last_buffers; ++i) all.append(static_cast<const char*>(out[i].data), out[i].size);
        REQUIRE(all.size() == pipeline.gathered_bytes());
        all.resize(std::min(all.size(), most));
        pipeline.written(all.size());
        return all;
    }
    Pipeline pipeline;
    std::vector<std::unique_ptr<Slot>> slots;
    std::size_t last_buffers = 0;
};

}  // namespace

TEST_CASE("requests that are neighbours in a block are one buffer", "[pipeline]") {
    TestLine line;
    std::string all;
    for (int i = 0; i < 100; ++i) {
        const std::string request = "request-" + std::to_string(i) + ";";
        all += request;
        line.add(request);
    }
    CHECK(line.pipeline.has_unsent());
    CHECK(line.write() == all);
    CHECK(line.last_buffers == 1);
    CHECK_FALSE(line.pipeline.has_unsent());
    CHECK(line.write().empty());
    for (auto& slot : line.slots) CHECK(line.pipeline.sent(*slot));
    CHECK(line.pipeline.size() == 100);
}

TEST_CASE("partial writes at every byte: the stream is whole, and sent() is exact", "[pipeline]") {
    const std::vector<std::string> requests = {"a", "bc", "defg", "hijklmno", "p"};
    std::string all;
    for (const auto& request : requests) all += request;
    for (std::size_t first = 0; first <= all.size(); ++first) {
        for (std::size_t step = 1; step <= all.size(); ++step) {
            TestLine line;
            for (const auto& request : requests) line.add(request);
            std::string got = line.write(first);
            while (got.size() < all.size()) {
                std::size_t end = 0;
                for (std::size_t i = 0; i < requests.size(); ++i) {
                    const std::size_t begin = end;
                    end += requests[i].size();
                    INFO(got.size() << " bytes written, request " << i);
                    REQUIRE(line.pipeline.sent(*line.slots[i]) == (end <= got.size()));
                    REQUIRE(line.pipeline.begun(*line.slots[i]) == (begin < got.size()));
                }
                got += line.write(step);
            }
            REQUIRE(got == all);
            REQUIRE_FALSE(line.pipeline.has_unsent());
        }
    }
}

TEST_CASE("what is removed unsent is not written, and splits the buffer", "[pipeline]") {
    TestLine line;
    line.add("one;");
    Slot* two = line.add("two;");
    line.add("three;");
    line.pipeline.remove(*two);
    CHECK(line.write() == "one;three;");
    CHECK(line.last_buffers == 2);
    Slot* four = line.add("four;");
    line.add("five;");
    line.pipeline.remove(*four);  // the first one unsent
    CHECK(line.write() == "five;");
    Slot* six = line.add("six;");
    line.pipeline.remove(*six);  // the only one
    CHECK_FALSE(line.pipeline.has_unsent());
    CHECK(line.write().empty());
}

TEST_CASE("a request that was half written when it is removed takes its half with it", "[pipeline]") {
    TestLine line;
    Slot* one = line.add("one;");
    Slot* two = line.add("two;");
    CHECK(line.write(2) == "on");
    CHECK(line.pipeline.begun(*one));
    CHECK_FALSE(line.pipeline.begun(*two));
    line.pipeline.remove(*one);  // the connection is lost, nobody wants it again
    CHECK_FALSE(line.pipeline.begun(*two));
    line.pipeline.restart();
    CHECK(line.write() == "two;");
}

TEST_CASE("more buffers than fit are written by the next call", "[pipeline]") {
    TestLine line;
    std::string all;
    for (int i = 0; i < 30; ++i) {
        const std::string request = std::to_string(i) + ";";
        Slot* slot = line.add(request);
        if (i % 2 == 1) {
            line.pipeline.remove(*slot);
        } else {
            all += request;
        }
    }
    std::string got = line.write(SIZE_MAX, 4);
    CHECK(line.last_buffers == 4);
    CHECK(got == "0;2;4;6;");
    while (line.pipeline.has_unsent()) got += line.write(SIZE_MAX, 4);
    CHECK(got == all);
}

TEST_CASE("a restart sends everything that is left again, in order", "[pipeline]") {
    TestLine line;
    Slot* one = line.add("one;");
    Slot* two = line.add("two;");
    Slot* three = line.add("three;");
    line.add("four;");
    CHECK(line.write(10) == "one;two;th");
    line.pipeline.remove(*two);
    line.pipeline.restart();
    CHECK_FALSE(line.pipeline.sent(*one));
    CHECK_FALSE(line.pipeline.begun(*three));
    CHECK(line.write() == "one;three;four;");
}

TEST_CASE("the line is bounded by the number of operations", "[pipeline]") {
    TestLine line(3);
    line.add("1");
    Slot* two = line.add("2");
    line.add("3");
    CHECK(line.add("4") == nullptr);
    line.pipeline.remove(*two);
    CHECK(line.add("5") != nullptr);
    CHECK(line.add("6") == nullptr);
    CHECK(line.pipeline.size() == 3);
}

TEST_CASE("the line is bounded by bytes, whatever the sizes", "[pipeline]") {
    for (const std::size_t bound : {std::size_t{1024}, std::size_t{64} << 10, std::size_t{100'000}, megabyte}) {
        for (const std::size_t size : {std::size_t{24}, std::size_t{1000}, std::size_t{40'000}, std::size_t{300'000}}) {
            TestLine line(1'000'000, bound);
            std::size_t taken = 0;
            const std::string request(size, 'x');
            while (line.add(request)) {
                taken += size;
                REQUIRE(taken <= bound);
                REQUIRE(line.pipeline.bytes() <= bound);
            }
            INFO("bound " << bound << ", size " << size << ", taken " << taken);
            CHECK((taken > 0) == (size <= bound));
            if (size <= 1000) {
                CHECK(taken + taken / 10 + 65536 + size > bound);  // blocks are not wasted
            }
            const std::size_t before = line.slots.size();
            while (!line.slots.empty()) {
                line.pipeline.remove(*line.slots.back());
                line.slots.pop_back();
            }
            while (line.add(request)) {
            }
            CHECK(line.slots.size() == before);  // all of the room came back
        }
    }
}

TEST_CASE("a block is pinned by the slowest request in it", "[pipeline]") {
    TestLine line(100'000, megabyte);
    Slot* slow = line.add("slow");
    const std::string request(1000, 'x');
    for (int i = 0; i < 5000; ++i) {
        Slot* slot = line.add(request);
        REQUIRE(slot != nullptr);
        line.pipeline.remove(*slot);
        line.slots.pop_back();
    }
    CHECK(std::string_view(slow->block->data() + slow->offset, slow->length) == "slow");
    CHECK(line.pipeline.bytes() <= 2 * SendBlock::standard_capacity);
}

TEST_CASE("a big request's memory does not stay when it is done", "[pipeline]") {
    TestLine line(10, 30 * megabyte);
    Slot* big = line.add(std::string(20 * megabyte, 'x'));
    REQUIRE(big != nullptr);
    line.pipeline.remove(*big);
    CHECK(line.pipeline.bytes() <= SendBlock::standard_capacity);
}
