#pragma once

#include <chaise/iops.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

struct epoll_event;

namespace chaise {

class IoTable;

/// Interest in a descriptor, linked into the table's list for that descriptor from its first arming to its cleanup.
class EpollIOEvent final : public IOEvent {
public:
    explicit EpollIOEvent(const IOPS& owner) noexcept : owner_(&owner) {}
    ~EpollIOEvent() override;

private:
    friend class IoTable;
    const IOPS* owner_;
    IoTable* table_ = nullptr;
    EpollIOEvent* previous_ = nullptr;
    EpollIOEvent* next_ = nullptr;
    int linked_fd_ = -1;
    int interest_ = 0;  // what it is armed for; 0 once delivered
    std::uint32_t armed_turn_ = 0;
};

/// All descriptors that a loop watches. What the kernel watches for is corrected in `sync`, before the loop blocks,
/// so that an event that is delivered and armed again costs no system call. Several events may share a descriptor.
class IoTable {
public:
    explicit IoTable(int epoll_fd) noexcept : epoll_fd_(epoll_fd) {}
    IoTable(const IoTable&) = delete;
    IoTable& operator=(const IoTable&) = delete;
    ~IoTable();

    void arm(EpollIOEvent& event, int fd, int flags);
    void disarm(EpollIOEvent& event);
    /// Takes it out of the table, and its descriptor out of the kernel's set if no other event is linked to it.
    void forget(EpollIOEvent& event) noexcept;
    void forget_owner(const IOPS& owner) noexcept;

    [[nodiscard]] std::size_t armed() const noexcept { return armed_; }

    /// Before the loop blocks. True: there is something to deliver without waiting (`deliver_failed`).
    bool sync();

    /// Before the first `next` of a turn: what is armed from now on is not delivered in this turn.
    void begin_turn() noexcept { ++turn_; }
    /// Starts on one descriptor's readiness.
    void begin(const epoll_event& readiness);
    /// Starts on the next descriptor that the kernel refused to watch; false if there is none.
    bool begin_failed();
    /// The next event to be delivered, already disarmed, and its flags; nullptr when the descriptor is done.
    IOEvent* next(int& flags);

private:
    struct Entry {
        EpollIOEvent* first = nullptr;
        std::uint32_t generation = 0;  // of its registration: tells old deliveries from those of a reused number
        std::uint8_t kernel = 0;       // what the kernel watches for
        bool dirty = false;            // may differ from what the events are armed for
    };

    Entry& entry(int fd) { return entries_[static_cast<std::size_t>(fd)]; }
    void link(EpollIOEvent& event, int fd);
    void unlink(EpollIOEvent& event) noexcept;
    void mark_dirty(int fd, Entry& entry);
    bool control(int fd, Entry& entry, int wanted) noexcept;

    int epoll_fd_;
    std::uint32_t turn_ = 0;
    std::size_t armed_ = 0;
    EpollIOEvent* cursor_ = nullptr;  // next in line of the descriptor that is being delivered
    int ready_ = 0;                   // its readiness
    bool failed_ready_ = false;       // an error: everyone who is armed hears of it
    std::vector<Entry> entries_;      // by descriptor
    std::vector<int> dirty_;
    std::vector<int> failed_;
};

}  // namespace chaise
