// Catch's main, and how long all tests took.

#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

#include <chrono>
#include <cstdio>

struct SayDuration : Catch::TestEventListenerBase {
    using TestEventListenerBase::TestEventListenerBase;
    void testRunEnded(const Catch::TestRunStats& stats) override {
        const auto spent = std::chrono::steady_clock::now() - began;
        std::printf("%u tests, each with a cluster of three nodes: %lld ms\n",
                    static_cast<unsigned>(stats.totals.testCases.total()),
                    static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(spent).count()));
    }
    std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
};
CATCH_REGISTER_LISTENER(SayDuration)
