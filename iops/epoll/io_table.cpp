#include "iops/epoll/io_table.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace chaise {

namespace {

std::uint32_t to_epoll(int flags) {
    std::uint32_t mask = 0;
    if ((flags & read_event) != 0) mask |= EPOLLIN | EPOLLRDHUP;
    if ((flags & write_event) != 0) mask |= EPOLLOUT;
    return mask;
}

}  // namespace

EpollIOEvent::~EpollIOEvent() {
    if (table_ != nullptr) table_->forget(*this);
}

IoTable::~IoTable() {
    for (Entry& entry : entries_) {
        for (EpollIOEvent* event = entry.first; event != nullptr;) {
            event->table_ = nullptr;
            event = std::exchange(event->next_, nullptr);
        }
    }
}

void IoTable::arm(EpollIOEvent& event, int fd, int flags) {
    if (fd < 0) throw std::invalid_argument("chaise: watching a negative descriptor");
    flags &= rw_event;
    if (event.table_ == nullptr || event.linked_fd_ != fd) {
        forget(event);
        link(event, fd);
    }
    if (event.interest_ == 0) {
        if (flags == 0) return;
        ++armed_;
        event.armed_turn_ = turn_;
    } else if (flags == 0) {
        return disarm(event);
    }
    event.interest_ = flags;
    Entry& e = entry(fd);
    if (e.kernel != flags) mark_dirty(fd, e);
}

void IoTable::disarm(EpollIOEvent& event) {
    if (event.interest_ == 0) return;
    event.interest_ = 0;
    --armed_;
    mark_dirty(event.linked_fd_, entry(event.linked_fd_));
}

void IoTable::forget(EpollIOEvent& event) noexcept {
    if (event.table_ == nullptr) return;
    disarm(event);
    unlink(event);
}

void IoTable::forget_owner(const IOPS& owner) noexcept {
    for (std::size_t fd = 0; fd < entries_.size(); ++fd) {
        for (EpollIOEvent* event = entries_[fd].first; event != nullptr;) {
            EpollIOEvent* following = event->next_;
            if (event->owner_ == &owner) forget(*event);
            event = following;
        }
    }
}

void IoTable::link(EpollIOEvent& event, int fd) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= entries_.size()) entries_.resize(std::max(index + 1, entries_.size() * 2));
    Entry& e = entries_[index];
    // At the front, where a delivery that is under way on this descriptor does not come by any more.
    event.previous_ = nullptr;
    event.next_ = e.first;
    if (e.first != nullptr) e.first->previous_ = &event;
    e.first = &event;
    event.table_ = this;
    event.linked_fd_ = fd;
}

void IoTable::unlink(EpollIOEvent& event) noexcept {
    if (cursor_ == &event) cursor_ = event.next_;
    Entry& e = entry(event.linked_fd_);
    if (event.next_ != nullptr) event.next_->previous_ = event.previous_;
    (event.previous_ != nullptr ? event.previous_->next_ : e.first) = event.next_;
    event.previous_ = event.next_ = nullptr;
    event.table_ = nullptr;
    if (e.first == nullptr) {
        // At once: the owner may close the descriptor next, and its number come back as another one.
        if (e.kernel != 0) control(event.linked_fd_, e, 0);
        ++e.generation;
    }
}

void IoTable::mark_dirty(int fd, Entry& e) {
    if (e.dirty) return;
    e.dirty = true;
    dirty_.push_back(fd);
}

bool IoTable::control(int fd, Entry& e, int wanted) noexcept {
    epoll_event request{};
    request.events = to_epoll(wanted);
    request.data.u64 = static_cast<std::uint64_t>(e.generation) << 32 | static_cast<std::uint32_t>(fd);
    int operation = EPOLL_CTL_MOD;
    if (wanted == 0) {
        operation = EPOLL_CTL_DEL;
    } else if (e.kernel == 0) {
        operation = EPOLL_CTL_ADD;
    }
    int result = ::epoll_ctl(epoll_fd_, operation, fd, &request);
    if (result != 0 && operation == EPOLL_CTL_ADD && errno == EEXIST) {
        result = ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &request);
    } else if (result != 0 && operation == EPOLL_CTL_MOD && errno == ENOENT) {
        result = ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &request);
    }
    // A failed removal means that the descriptor is not there any more: as good as removed.
    e.kernel = result == 0 ? static_cast<std::uint8_t>(wanted) : std::uint8_t{0};
    return result == 0 || operation == EPOLL_CTL_DEL;
}

bool IoTable::sync() {
    for (const int fd : dirty_) {
        Entry& e = entry(fd);
        e.dirty = false;
        int wanted = 0;
        for (const EpollIOEvent* event = e.first; event != nullptr; event = event->next_) wanted |= event->interest_;
        // Not left in the set with an empty mask: the kernel would go on reporting errors and hang-ups.
        if (wanted != e.kernel && !control(fd, e, wanted)) failed_.push_back(fd);
    }
    dirty_.clear();
    return !failed_.empty();
}

void IoTable::begin(const epoll_event& readiness) {
    const int fd = static_cast<int>(static_cast<std::uint32_t>(readiness.data.u64));
    Entry& e = entry(fd);
    cursor_ = nullptr;
    if (e.generation != static_cast<std::uint32_t>(readiness.data.u64 >> 32)) return;
    cursor_ = e.first;
    ready_ = 0;
    if ((readiness.events & (EPOLLIN | EPOLLRDHUP)) != 0) ready_ |= read_event;
    if ((readiness.events & EPOLLOUT) != 0) ready_ |= write_event;
    failed_ready_ = (readiness.events & (EPOLLERR | EPOLLHUP)) != 0;
}

bool IoTable::begin_failed() {
    if (failed_.empty()) return false;
    const int fd = failed_.back();
    failed_.pop_back();
    Entry& e = entry(fd);
    // Tried again when someone arms it again.
    mark_dirty(fd, e);
    cursor_ = e.first;
    failed_ready_ = true;
    return true;
}

IOEvent* IoTable::next(int& flags) {
    while (cursor_ != nullptr) {
        EpollIOEvent& event = *cursor_;
        cursor_ = event.next_;
        flags = failed_ready_ ? rw_event : event.interest_ & ready_;
        if (event.interest_ == 0 || flags == 0 || event.armed_turn_ == turn_) continue;
        disarm(event);
        return &event;
    }
    return nullptr;
}

}  // namespace chaise
