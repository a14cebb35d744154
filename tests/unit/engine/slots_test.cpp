// SlotPool and DeadlineQueue.

#include "operation/deadline_queue.hpp"
#include "operation/slot_pool.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <set>

using namespace chaise;
using namespace chaise::detail;
using namespace std::chrono_literals;

TEST_CASE("a slot keeps its address, and its opaque is its own", "[slots]") {
    SlotPool pool;
    std::vector<Slot*> slots;
    std::set<std::uint32_t> opaques;
    for (int i = 0; i < 1000; ++i) {
        slots.push_back(&pool.acquire());
        slots.back()->owners = owned_by_user;
        CHECK(opaques.insert(slots.back()->opaque).second);
    }
    CHECK(pool.in_use() == 1000);
    CHECK(pool.capacity() == 1024);
    for (Slot* slot : slots) CHECK(pool.find(slot->opaque) == slot);
    std::size_t visited = 0;
    pool.for_each_in_use([&](Slot&) { ++visited; });
    CHECK(visited == 1000);
    for (Slot* slot : slots) {
        slot->owners = 0;
        pool.release(*slot);
    }
    CHECK(pool.in_use() == 0);
    for (const std::uint32_t opaque : opaques) CHECK(pool.find(opaque) == nullptr);  // a generation later
}

TEST_CASE("an opaque of an earlier generation finds nobody", "[slots]") {
    SlotPool pool;
    Slot* slot = &pool.acquire();
    const std::uint32_t first = slot->opaque;
    std::set<std::uint32_t> earlier;
    for (int i = 0; i < 4096; ++i) {
        CHECK(earlier.insert(slot->opaque).second);
        pool.release(*slot);
        Slot& again = pool.acquire();
        REQUIRE(&again == slot);  // the last one freed is the next one used
        slot->owners = owned_by_user;
        if (i < 4095) {
            REQUIRE(pool.find(first) == nullptr);
        }
        REQUIRE(pool.find(slot->opaque) == slot);
    }
    CHECK(slot->opaque == first);  // 12 bits of generation
}

TEST_CASE("opaques that nobody ever had find nobody", "[slots]") {
    SlotPool pool;
    CHECK(pool.find(0) == nullptr);
    CHECK(pool.find(0xffffffff) == nullptr);
    Slot& slot = pool.acquire();
    slot.owners = owned_by_user;
    CHECK(pool.find(slot.opaque) == &slot);
    CHECK(pool.find(slot.opaque ^ (1u << SlotPool::index_bits)) == nullptr);
    CHECK(pool.find(300) == nullptr);
}

namespace {

struct Model {
    DeadlineQueue queue;
    std::set<std::pair<TimePoint, Slot*>> in;
    TimePoint now{1s};
    void add(Slot& slot, Duration timeout) {
        queue.add(slot, now, timeout);
        REQUIRE(slot.deadline == now + timeout);
        in.emplace(slot.deadline, &slot);
    }
    void remove(Slot& slot) {
        in.erase({slot.deadline, &slot});
        queue.remove(slot);
        REQUIRE(slot.deadline_lane == 0);
    }
    void check() const {
        Slot* first = queue.first();
        if (in.empty()) {
            REQUIRE(first == nullptr);
        } else {
            REQUIRE(first != nullptr);
            REQUIRE(first->deadline == in.begin()->first);
        }
    }
};

}  // namespace

TEST_CASE("deadlines come in order, by any number of timeouts, with random removals", "[deadlines]") {
    for (const std::size_t timeouts : {1u, 2u, 8u, 9u, 40u}) {
        std::mt19937 random(static_cast<unsigned>(timeouts));
        Model model;
        auto slots = std::make_unique<std::array<Slot, 200>>();
        std::vector<Slot*> out;
        for (Slot& slot : *slots) out.push_back(&slot);
        std::vector<Slot*> in;
        for (int step = 0; step < 5000; ++step) {
            if (random() % 2 == 0) model.now += Duration(random() % 1000);
            if (!out.empty() && (in.empty() || random() % 5 < (step % 1000 < 500 ? 4u : 1u))) {
                std::swap(out[random() % out.size()], out.back());
                model.add(*out.back(), Duration((random() % timeouts + 1) * 777));
                in.push_back(out.back());
                out.pop_back();
            } else if (random() % 3 == 0) {  // as the timer does
                Slot* first = model.queue.first();
                model.remove(*first);
                std::erase(in, first);
                out.push_back(first);
            } else {
                std::swap(in[random() % in.size()], in.back());
                model.remove(*in.back());
                out.push_back(in.back());
                in.pop_back();
            }
            model.check();
        }
        while (!in.empty()) {
            model.remove(*in.back());
            in.pop_back();
            model.check();
        }
    }
}

TEST_CASE("operations with one timeout expire in the order of their start", "[deadlines]") {
    DeadlineQueue queue;
    std::array<Slot, 20> slots;
    for (Slot& slot : slots) queue.add(slot, TimePoint{5s}, 3s);  // all at one time
    for (Slot& slot : slots) {
        CHECK(queue.first() == &slot);
        queue.remove(slot);
    }
    CHECK(queue.first() == nullptr);
    Slot never;
    queue.remove(never);  // harmless
}
