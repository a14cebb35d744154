#pragma once

#include <chaise/epoll.hpp>
#include <chaise/testing/iops_conformance.hpp>

/// EpollLoop under the conformance suite.
class EpollDriver final : public chaise::testing::ConformanceDriver {
public:
    std::unique_ptr<chaise::IOPS> make_iops() override { return loop_.make_iops(); }
    bool run_until(const std::function<bool()>& done, std::chrono::milliseconds max_time) override {
        const chaise::TimePoint end = loop_.now() + max_time;
        while (!done()) {
            const auto left = std::chrono::duration_cast<std::chrono::microseconds>(end - loop_.now());
            if (left.count() <= 0) return false;
            loop_.run_one_turn(left);
        }
        return true;
    }

private:
    chaise::EpollLoop loop_;
};
