#include "poll_loop.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace chaise::testing;

namespace {

ConformanceReport check(Fault fault, const std::string& only = {}) {
    ConformanceOptions options;
    options.only = only;
    if (fault != Fault::none) {
        options.transports = false;  // they are over the same events, and only slower to fail
        options.patience = std::chrono::milliseconds{150};
        options.quiet = std::chrono::milliseconds{8};
    }
    return check_iops([fault] { return std::make_unique<PollLoop>(fault); }, options);
}

void refused(Fault fault, const std::vector<const char*>& by, const std::string& only = {}) {
    const ConformanceReport report = check(fault, only);
    INFO(report.to_string());
    CHECK_FALSE(report.passed());
    for (const char* name : by) {
        INFO(name);
        CHECK(report.refused_by(name));
    }
}

}  // namespace

TEST_CASE("The conformance suite accepts another right adapter") {
    const ConformanceReport report = check(Fault::none);
    INFO(report.to_string());
    CHECK(report.passed());
}

TEST_CASE("The conformance suite refuses an adapter that is broken on purpose, by the check that names its fault") {
    SECTION("fires twice") {
        refused(Fault::fires_twice, {"io_fires_once", "timer_once", "timer_fires_once_when_rearmed"});
    }
    SECTION("keeps a one-shot armed") { refused(Fault::keeps_armed, {"io_one_shot", "timer_once"}); }
    SECTION("loses a re-arm") {
        // By itself: every check that counts turns by a timer would wait in vain.
        refused(Fault::loses_rearm, {"io_rearmed_in_handler", "timer_rearmed_in_handler"}, "rearmed_in_handler");
    }
    // Only the checks that keep the event's memory: the others would be right to crash.
    SECTION("delivers after CLEANUP") {
        refused(Fault::delivers_after_cleanup,
                {"io_cleaned_up", "io_cleaned_up_by_other", "timer_cleaned_up", "timer_cleaned_up_by_other"},
                "cleaned_up");
    }
    SECTION("delivers after UNWATCH") {
        refused(Fault::delivers_after_unwatch, {"io_unwatched_by_other"}, "unwatched");
        refused(Fault::delivers_after_unwatch, {"timer_cancelled_by_other"}, "timer_cancelled");
    }
    SECTION("swaps timers") {
        refused(Fault::swaps_timers, {"timer_order", "timer_order_of_arming", "timer_ten_thousand"});
    }
    SECTION("fires inline") { refused(Fault::fires_inline, {"io_not_inline", "timer_not_inline"}); }
    SECTION("fires early") { refused(Fault::fires_early, {"timer_not_early"}); }
    SECTION("mixes up descriptors") { refused(Fault::mixes_up_descriptors, {"io_descriptor_reused_in_batch"}); }
    SECTION("defers late") { refused(Fault::defers_late, {"defer_before_blocking"}); }
    SECTION("swallows exceptions") {
        refused(Fault::swallows_exceptions, {"exception_rethrown", "exception_thrown_by_handler", "io_exception"});
    }
}
