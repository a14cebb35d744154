// ReceiveBuffer, BufferPool, and results that share blocks.

#include "session/receive_buffer.hpp"

#include <chaise/result.hpp>

#include <catch2/catch.hpp>

#include <cstring>
#include <random>
#include <set>
#include <thread>

using namespace chaise;
using namespace chaise::detail;

namespace {

// Frames of a toy kind: four bytes of length (their own included), then the same character over and over.
constexpr std::size_t toy_header = 4;

std::string toy_frame(std::size_t size, char fill) {
    std::string frame(size, fill);
    const auto n = static_cast<std::uint32_t>(size);
    std::memcpy(frame.data(), &n, sizeof n);
    return frame;
}

struct Reader {
    BufferPool pool;
    ReceiveBuffer receive{pool};
    std::size_t wanted = toy_header;
    std::string stream;
    std::size_t at = 0;  ///< what of the stream has been read
    [[nodiscard]] std::size_t left() const { return stream.size() - at; }

    /// One read of at most `most` bytes, as a session does it. False at the end.
    template <class F>
    bool step(std::size_t most, F&& on_frame) {
        if (left() == 0) return false;
        const MutableBuffer room = receive.prepare(wanted);
        REQUIRE(room.size > 0);
        const std::size_t n = std::min({room.size, most, left()});
        std::memcpy(room.data, stream.data() + at, n);
        at += n;
        receive.received(n);
        while (true) {
            const std::string_view have = receive.unparsed();
            std::uint32_t size = toy_header;
            if (have.size() >= toy_header) std::memcpy(&size, have.data(), sizeof size);
            wanted = size;
            if (have.size() < size || have.size() < toy_header) break;
            const std::string_view frame = have.substr(0, size);
            receive.consume(size);
            wanted = toy_header;
            on_frame(frame);
        }
        return true;
    }
};

ValueResult share(std::string_view value, Buffer* buffer) { return {value, 0, 0, 1, buffer}; }

}  // namespace

TEST_CASE("frames of all sizes by reads of all sizes, kept by results or not", "[receive]") {
    std::mt19937 random(7);
    for (const std::size_t most : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, SIZE_MAX}) {
        for (const unsigned keep_one_in : {0u, 1u, 3u}) {
            Reader reader;
            std::vector<std::pair<std::size_t, char>> sent;
            const std::size_t total = most == 1 ? 200'000 : 1'500'000;
            for (std::size_t bytes = 0; bytes < total;) {
                const std::array sizes = {std::size_t{4},      std::size_t{40},     std::size_t{700},
                                          std::size_t{65'536}, std::size_t{65'537}, std::size_t{150'000},
                                          std::size_t{61'500}};
                const std::size_t size = random() % 4 != 0 ? 4 + random() % 600 : sizes[random() % sizes.size()];
                const char fill = static_cast<char>('a' + random() % 26);
                sent.emplace_back(size, fill);
                reader.stream += toy_frame(size, fill);
                bytes += size;
            }
            std::vector<std::pair<ValueResult, std::size_t>> kept;
            std::size_t n = 0;
            while (reader.step(most, [&](std::string_view frame) {
                REQUIRE(frame.size() == sent[n].first);
                const bool same = frame.substr(4).find_first_not_of(sent[n].second) == std::string_view::npos;
                REQUIRE(same);
                if (keep_one_in != 0 && n % keep_one_in == 0) {
                    kept.emplace_back(share(frame.substr(4), reader.receive.buffer()), n);
                }
                if (kept.size() > 100) kept.erase(kept.begin(), kept.begin() + 50);
                ++n;
            })) {
            }
            CHECK(n == sent.size());
            for (const auto& [result, index] : kept) {
                REQUIRE(result.value() == std::string(sent[index].first - 4, sent[index].second));
            }
        }
    }
}

TEST_CASE("a block is not reused while a result shares it, and is when none does", "[receive]") {
    BufferPool pool;
    std::optional<ValueResult> result;
    const Buffer* block = nullptr;
    {
        ReceiveBuffer receive(pool);
        const MutableBuffer room = receive.prepare(24);
        std::memset(room.data, 'x', 1000);
        receive.received(1000);
        block = receive.buffer();
        result.emplace(share(receive.unparsed(), receive.buffer()));
        receive.consume(1000);
        receive.reset();
    }
    CHECK(result->pinned_bytes() == BufferPool::standard_capacity);
    std::vector<KeptBuffer> others;
    for (int i = 0; i < 10; ++i) {
        others.push_back(pool.get());
        CHECK(others.back().get() != block);
    }
    CHECK(result->value() == std::string(1000, 'x'));
    result.reset();
    CHECK(pool.get().get() == block);
}

TEST_CASE("steady traffic goes round in a few blocks", "[receive]") {
    Reader reader;
    std::set<const Buffer*> blocks;
    for (int i = 0; i < 2000; ++i) {
        reader.stream = toy_frame(5000, 'v');
        reader.at = 0;
        std::optional<ValueResult> result;
        while (reader.step(SIZE_MAX, [&](std::string_view frame) {
            result.emplace(share(frame, reader.receive.buffer()));
            blocks.insert(reader.receive.buffer());
        })) {
        }
    }
    CHECK(blocks.size() == 1);
}

TEST_CASE("blocks that are lent for long do not pile up in the pool", "[receive]") {
    BufferPool pool;
    std::vector<BufferRef> owners;
    for (std::size_t i = 0; i < 3 * BufferPool::max_lent; ++i) {
        KeptBuffer block = pool.get();
        block->lend();
        owners.emplace_back(block.get());
        pool.put(std::move(block));
    }
    std::size_t alone = 0;
    for (const BufferRef& owner : owners) alone += owner->unique() ? 1u : 0u;
    CHECK(alone == 2 * BufferPool::max_lent);  // the pool let go of them
}

TEST_CASE("the end of a big frame does not copy its beginning again", "[receive]") {
    Reader reader;
    const std::size_t size = 1'000'000;
    reader.stream = toy_frame(size, 'b');
    std::set<const void*> places;
    while (reader.left() != 0) {
        const std::size_t most = reader.left() > size - 8 ? 8 : reader.left() > 5000 ? 50'000 : 100;
        if (reader.receive.unparsed().size() > 100) places.insert(reader.receive.unparsed().data());
        reader.step(most, [&](std::string_view frame) { CHECK(frame.size() == size); });
    }
    CHECK(places.size() == 1);
}

TEST_CASE("a shared result may die on another thread", "[receive]") {
    BufferPool pool;
    for (int round = 0; round < 50; ++round) {
        ReceiveBuffer receive(pool);
        std::vector<ValueResult> results;
        const MutableBuffer room = receive.prepare(24);
        std::memset(room.data, 'a' + round % 26, 2000u);
        receive.received(2000);
        for (int i = 0; i < 10; ++i) results.push_back(share(receive.unparsed().substr(0, 200), receive.buffer()));
        receive.consume(2000);
        receive.reset();
        std::thread other([results = std::move(results), round] {
            for (const ValueResult& result : results) {
                if (result.value() != std::string(200, static_cast<char>('a' + round % 26))) std::abort();
            }
        });
        KeptBuffer next = pool.get();  // while the other thread lets go of the block
        std::memset(next->data(), '!', 2000);
        other.join();
    }
}

TEST_CASE("values of up to 64 bytes are copied, longer ones shared; 64 bytes behind either may be read", "[result]") {
    KeptBuffer buffer(Buffer::make(1000));
    for (const std::size_t size : {0u, 1u, 63u, 64u, 65u, 1000u}) {
        std::memset(buffer->data(), 'v', size);
        const std::string expected(size, 'v');
        ValueResult result(std::string_view(buffer->data(), size), 7, 1, 42, buffer.get());
        CHECK(result.pinned_bytes() == (size > 64 ? 1000u : 0u));
        CHECK(result.value() == expected);
        CHECK(result.owned() == expected);
        CHECK((result.flags() == 7 && result.datatype() == 1 && result.cas() == 42 && result.success()));

        ValueResult copy(result);
        ValueResult moved(std::move(copy));
        CHECK(moved.value() == expected);
        CHECK(copy.value().size() <= size);  // moved from, but it may be looked at
        CHECK(copy.owned().size() <= size);
        ValueResult copy_of_moved(copy);
        CHECK(copy_of_moved.owned().size() <= size);
        ValueResult assigned;
        assigned = moved;
        assigned = *&assigned;
        CHECK(assigned.value() == expected);
        assigned = std::move(moved);
        CHECK(assigned.value() == expected);
        CHECK(moved.owned().size() <= size);
        std::array<char, 64> behind{};
        std::memcpy(behind.data(), assigned.value().data() + size, 64);  // under ASan
    }
    CHECK(buffer->unique());
}

TEST_CASE("a block counts whom it is lent to, by the hundred or not, and goes with the last of them", "[receive]") {
    for (const int results : {1, 255, 256, 257, 1000}) {
        std::vector<BufferRef> lent;
        KeptBuffer block(Buffer::make(100));
        CHECK(block->unique());
        for (int i = 0; i < results; ++i) {
            block->lend();
            lent.emplace_back(block.get());
            REQUIRE_FALSE(block->unique());
        }
        BufferRef copy = lent.front();
        lent.clear();
        CHECK_FALSE(block->unique());
        copy = BufferRef();
        CHECK(block->unique());
        block->lend();
        const BufferRef last(block.get());
        block.reset();  // the keeper first: what it has in hand goes with it
        CHECK(last->unique());
        std::memset(last->data(), 'x', 100);  // under ASan
    }
}

TEST_CASE("what dies where the keeper is at work is counted as what dies elsewhere", "[receive]") {
    for (const int results : {1, 256, 600}) {
        KeptBuffer block(Buffer::make(100));
        const auto lend = [&](std::vector<BufferRef>& to) {
            for (int i = 0; i < results; ++i) {
                block->lend();
                to.emplace_back(block.get());
            }
        };
        std::vector<BufferRef> here;
        std::vector<BufferRef> there;
        {
            const Buffer::AtWork at_work(block.get());
            lend(here);
            lend(there);
            std::thread other([mine = std::move(there)]() mutable { mine.clear(); });
            BufferRef copy = here.front();
            here.resize(1);
            other.join();
            CHECK_FALSE(block->unique());
            here.clear();
            CHECK_FALSE(block->unique());
            {
                const Buffer::AtWork inside(nullptr);  // a loop inside the loop, for another connection
                copy = BufferRef();
            }
            CHECK(block->unique());
            lend(here);
            here.resize(1);  // what ends last was lent while the keeper was at work, and the keeper goes in between
            block.reset();
            CHECK(here.front()->unique());
            std::memset(here.front()->data(), 'x', 100);  // under ASan
            here.clear();
        }
    }
}
