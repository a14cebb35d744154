#include "epoll_driver.hpp"

#include <catch2/catch.hpp>

using namespace chaise::testing;

TEST_CASE("EpollLoop passes the conformance suite") {
    ConformanceOptions options;
    options.io_before_timers = true;
    options.blocking = true;
    const ConformanceReport report = check_iops([] { return std::make_unique<EpollDriver>(); }, options);
    INFO(report.to_string());
    CHECK(report.passed());
    CHECK(report.checks.size() > 50);
}
