#include "iops/conformance/check.hpp"

#include <algorithm>
#include <exception>
#include <iterator>

namespace chaise::testing {

namespace conformance {

void Check::run_quietly() {
    TimerProbe end{*this};
    end.schedule(options_.quiet);
    driver_.run_until([&] { return end.count > 0; }, options_.quiet + options_.patience);
}

void Check::run_turns(int turns) {
    TimerProbe tick{*this};
    tick.on([&] {
        if (tick.count < turns) tick.schedule({});
    });
    tick.schedule({});
    driver_.run_until([&] { return tick.count >= turns; }, options_.patience);
}

namespace {

ConformanceCheck run(const NamedCheck& named, const ConformanceOptions& options,
                     const std::function<std::unique_ptr<ConformanceDriver>()>& make_driver) {
    ConformanceCheck result{named.name, {}};
    const std::unique_ptr<ConformanceDriver> driver = make_driver();
    Check check{*driver, options};
    try {
        named.run(check);
        check.run_turns(3);  // late deliveries find the events still there
    } catch (const std::exception& e) {
        check.expect(false, std::string{"an exception: "} + e.what());
    } catch (...) {
        check.expect(false, "an exception");
    }
    result.failures = check.failures();
    return result;
}

}  // namespace

}  // namespace conformance

bool ConformanceReport::passed() const noexcept {
    return !checks.empty() && std::all_of(checks.begin(), checks.end(), [](const auto& c) { return c.passed(); });
}

bool ConformanceReport::refused_by(std::string_view name) const noexcept {
    return std::any_of(checks.begin(), checks.end(), [&](const auto& c) { return c.name == name && !c.passed(); });
}

std::string ConformanceReport::to_string() const {
    std::string text;
    for (const ConformanceCheck& check : checks) {
        text += check.passed() ? "ok      " : "FAILED  ";
        text += check.name;
        text += '\n';
        for (const std::string& failure : check.failures) text += "          " + failure + '\n';
    }
    return text;
}

ConformanceReport check_iops(const std::function<std::unique_ptr<ConformanceDriver>()>& make_driver,
                             const ConformanceOptions& options) {
    ConformanceReport report;
    for (const auto& checks :
         {conformance::timer_checks(), conformance::io_checks(), conformance::transport_checks()}) {
        for (const conformance::NamedCheck& check : checks) {
            const bool asked_for = std::string_view{check.name}.find(options.only) != std::string_view::npos;
            if (asked_for && check.applies(options)) {
                report.checks.push_back(conformance::run(check, options, make_driver));
            }
        }
    }
    return report;
}

}  // namespace chaise::testing
