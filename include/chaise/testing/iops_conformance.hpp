#pragma once

/// \file
/// The suite that tells whether an IOPS adapter is right. It needs no test framework: it returns a report.
///
/// ```
/// struct MyDriver : chaise::testing::ConformanceDriver {
///     MyLoop loop;
///     std::unique_ptr<chaise::IOPS> make_iops() override { return std::make_unique<MyIops>(loop); }
///     bool run_until(const std::function<bool()>& done, std::chrono::milliseconds max_time) override { … }
/// };
/// auto report = chaise::testing::check_iops([] { return std::make_unique<MyDriver>(); });
/// std::cout << report.to_string();
/// return report.passed() ? 0 : 1;
/// ```
///
/// Part of the library `chaise::testing`.

#include <chaise/iops.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::testing {

/// A loop of the adapter under test. A new one is made for each check.
class ConformanceDriver {
public:
    ConformanceDriver() = default;
    ConformanceDriver(const ConformanceDriver&) = delete;
    ConformanceDriver& operator=(const ConformanceDriver&) = delete;
    virtual ~ConformanceDriver() = default;

    /// Asked for more than once by some checks: all of them are on the same loop.
    [[nodiscard]] virtual std::unique_ptr<IOPS> make_iops() = 0;
    /// Runs the loop until `done()` holds, which is asked before the first and at least after every turn, or until
    /// `max_time` of the loop's own time has passed. Returns what `done()` said last. Lets pass what the loop's own
    /// run throws, and may be called again then. A loop on which nothing is armed may give up at once.
    virtual bool run_until(const std::function<bool()>& done, std::chrono::milliseconds max_time) = 0;
};

/// What the adapter claims to do.
struct ConformanceOptions {
    bool descriptors = true;            ///< watches POSIX descriptors (a simulated world has none)
    bool shared_descriptors = true;     ///< two events may watch one descriptor
    bool transports = true;             ///< has a transport factory
    bool io_before_timers = false;      ///< I/O that is ready is delivered before timers that are due in the same turn
    bool virtual_time = false;          ///< time stands still while the loop has something to do
    bool blocking = false;              ///< `start_watching` runs the loop
    std::string address = "127.0.0.1";  ///< where the transport checks listen
    std::size_t transfer = 10u * 1024u * 1024u;  ///< bytes of the round trip check
    std::chrono::milliseconds patience{5000};    ///< for what has to happen
    std::chrono::milliseconds quiet{15};         ///< for what must not happen
    std::string only;                            ///< run only the checks whose name contains this
};

struct ConformanceCheck {
    std::string name;
    std::vector<std::string> failures;  ///< what was expected and did not hold; empty: passed
    [[nodiscard]] bool passed() const noexcept { return failures.empty(); }
};

struct ConformanceReport {
    std::vector<ConformanceCheck> checks;

    /// False also if no check was run.
    [[nodiscard]] bool passed() const noexcept;
    /// Whether the check of that name was run and failed.
    [[nodiscard]] bool refused_by(std::string_view name) const noexcept;
    /// One line for each check, and one for each failure.
    [[nodiscard]] std::string to_string() const;
};

/// Runs the suite. Takes about two seconds on a loop that runs on real time.
[[nodiscard]] ConformanceReport check_iops(const std::function<std::unique_ptr<ConformanceDriver>()>& make_driver,
                                           const ConformanceOptions& options = {});

}  // namespace chaise::testing
