#pragma once

#include <chaise/iops.hpp>

#include <functional>
#include <memory>
#include <utility>

/// An event of an IOPS with a function as its handler; cleaned up at the end.
template <class E>
class EventProbe {
public:
    EventProbe(chaise::IOPS& iops, std::function<void()> function) : iops_(iops), function_(std::move(function)) {
        if constexpr (std::is_same_v<E, chaise::IOEvent>) {
            event_ = iops.io_event_factory();
        } else {
            event_ = iops.timer_event_factory();
        }
        event_->set_handler([](void* self, int) { static_cast<EventProbe*>(self)->function_(); }, this);
    }
    EventProbe(const EventProbe&) = delete;
    EventProbe& operator=(const EventProbe&) = delete;
    ~EventProbe() {
        if (event_->state() != chaise::Event::State::initialized) iops_.cleanup(*event_);
    }
    E& operator*() { return *event_; }
    E* operator->() { return event_.get(); }

private:
    chaise::IOPS& iops_;
    std::function<void()> function_;
    std::unique_ptr<E> event_;
};

using TestTimer = EventProbe<chaise::TimerEvent>;
using TestIoEvent = EventProbe<chaise::IOEvent>;
