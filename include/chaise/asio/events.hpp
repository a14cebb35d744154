#pragma once

/// \file
/// Inner part of the Asio adapter: interest in a descriptor that is not Asio's. Not an API.

#include <chaise/asio/core.hpp>
#include <chaise/iops.hpp>

#include <asio/posix/stream_descriptor.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>

#include <poll.h>
#include <unistd.h>

namespace chaise::detail {

class AsioIOEvent;

/// A descriptor that is borrowed: it is given to Asio while it is watched, and taken back without being closed.
/// Asio switches it to non-blocking mode.
///
/// `async_wait` may also end for reasons that are gone by the time its handler runs on the strand, and it does not
/// tell an error from readiness: hence a `poll` before each delivery.
class AsioDescriptorWatch final : public AsioAttachment {
public:
    AsioDescriptorWatch(AsioCore& core, AsioIOEvent& event) : AsioAttachment(core), event_(&event) {}

    void watch(int fd, int flags) {
        if (event_ == nullptr || !core().open()) return;
        if (fd != fd_ || !descriptor_) {
            give_back();
            take(fd);
        }
        interest_ = flags & rw_event;
        if (!descriptor_) return report_failure();
        start_waits();
    }
    void unwatch() noexcept {
        interest_ = 0;
        cancel_waits();
    }
    /// Gives the descriptor back; after that it may be closed.
    void give_back() noexcept {
        unwatch();
        if (descriptor_) {
            descriptor_->release();
            descriptor_.reset();
        }
        if (duplicate_ >= 0) ::close(duplicate_);
        duplicate_ = -1;
        fd_ = -1;
    }

private:
    void detach() noexcept override {
        event_ = nullptr;
        give_back();
    }

    enum Direction : std::size_t { read = 0, write = 1 };
    static constexpr std::array<int, 2> flag_of{read_event, write_event};

    void take(int fd) {
        fd_ = fd;
        std::error_code error;
        descriptor_.emplace(core().binding().executor());
        descriptor_->assign(fd, error);
        if (to_std_error(error) == std::errc::file_exists) {
            // The descriptor is in this context's epoll set already, through a second event or the user's own
            // Asio object: a duplicate may be in it as well.
            error.clear();
            duplicate_ = ::dup(fd);
            if (duplicate_ < 0) {
                error.assign(errno, std::generic_category());
            } else {
                descriptor_->assign(duplicate_, error);
            }
        }
        if (!error) return;
        descriptor_.reset();
        if (duplicate_ >= 0) ::close(duplicate_);
        duplicate_ = -1;
    }

    void start_waits() {
        for (const Direction direction : {read, write}) {
            if ((interest_ & flag_of[direction]) == 0 || pending_[direction]) continue;
            pending_[direction] = true;
            descriptor_->async_wait(direction == read ? asio::posix::stream_descriptor::wait_read
                                                      : asio::posix::stream_descriptor::wait_write,
                                    AsioCompletion(*this,
                                                   direction == read ? &AsioDescriptorWatch::on_wait<read>
                                                                     : &AsioDescriptorWatch::on_wait<write>,
                                                   epoch_));
        }
    }
    void cancel_waits() noexcept {
        ++epoch_;
        if (!pending_[read] && !pending_[write]) return;
        pending_ = {};
        std::error_code ignored;
        descriptor_->cancel(ignored);
    }

    template <Direction direction>
    static void on_wait(AsioShared& self, const std::error_code& error, std::uint64_t epoch) {
        auto& watch = static_cast<AsioDescriptorWatch&>(self);
        if (epoch != watch.epoch_) return;
        watch.pending_[direction] = false;
        const int ready = error ? rw_event : watch.readiness();
        if (ready == 0) return watch.start_waits();
        watch.deliver(ready);
    }

    [[nodiscard]] int readiness() const noexcept {
        pollfd query{};
        query.fd = fd_;
        query.events = static_cast<short>(((interest_ & read_event) != 0 ? POLLIN : 0) |
                                          ((interest_ & write_event) != 0 ? POLLOUT : 0));
        if (::poll(&query, 1, 0) <= 0) return 0;
        if ((query.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) return rw_event;
        return ((query.revents & POLLIN) != 0 ? read_event : 0) | ((query.revents & POLLOUT) != 0 ? write_event : 0);
    }

    void report_failure() {
        failed_epoch_ = ++epoch_;
        core().binding().post(AsioTurn(*this, [](AsioShared& self) {
            auto& watch = static_cast<AsioDescriptorWatch&>(self);
            if (watch.failed_epoch_ == watch.epoch_) watch.deliver(rw_event);
        }));
    }
    void deliver(int flags);

    AsioIOEvent* event_;
    std::optional<asio::posix::stream_descriptor> descriptor_;
    std::uint64_t epoch_ = 1;
    std::uint64_t failed_epoch_ = 0;
    std::array<bool, 2> pending_{};
    int fd_ = -1;
    int duplicate_ = -1;
    int interest_ = 0;
};

class AsioIOEvent final : public IOEvent {
public:
    explicit AsioIOEvent(AsioCore& core) : watch_(new AsioDescriptorWatch(core, *this)) {}
    ~AsioIOEvent() override { watch_->leave(); }

    [[nodiscard]] AsioDescriptorWatch& watch() const noexcept { return *watch_; }

private:
    AsioRef<AsioDescriptorWatch> watch_;
};

inline void AsioDescriptorWatch::deliver(int flags) {
    unwatch();  // one-shot, in both directions
    if (event_ != nullptr) event_->ready(flags);
}

}  // namespace chaise::detail
