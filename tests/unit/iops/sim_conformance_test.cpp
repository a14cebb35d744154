// The common suite of all loops on the simulated one: without descriptors, calm and with what a network may do to
// anybody.

#include <chaise/testing/iops_conformance.hpp>
#include <chaise/testing/simulation.hpp>

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;

namespace {

class SimDriver final : public ConformanceDriver {
public:
    explicit SimDriver(const SimOptions& options = {}) : world_(42, options) {}
    std::unique_ptr<IOPS> make_iops() override { return world_.make_iops("host"); }
    bool run_until(const std::function<bool()>& done, std::chrono::milliseconds max_time) override {
        return world_.run_until(done, max_time);
    }

private:
    SimWorld world_;
};

ConformanceOptions without_descriptors() {
    ConformanceOptions options;
    options.descriptors = false;
    options.shared_descriptors = false;
    options.virtual_time = true;
    return options;
}

}  // namespace

TEST_CASE("SimWorld conforms", "[sim]") {
    const ConformanceReport report = check_iops([] { return std::make_unique<SimDriver>(); }, without_descriptors());
    INFO(report.to_string());
    CHECK(report.passed());
    CHECK(report.checks.size() >= 25);
}

TEST_CASE("SimWorld conforms with long delays, and with handlers that take time", "[sim]") {
    SimOptions options;
    options.faults.delay = 0.02;
    options.clock_reading = std::chrono::microseconds{1};
    ConformanceOptions checks = without_descriptors();
    checks.transfer = 1024 * 1024;
    checks.patience = std::chrono::minutes{10};
    const ConformanceReport report = check_iops([&] { return std::make_unique<SimDriver>(options); }, checks);
    INFO(report.to_string());
    CHECK(report.passed());
}
