// Counts allocations and system calls in-process: operator new is replaced, libc's wrappers of the system calls that
// an event loop can make are interposed.
#include "counters.hpp"

#include <cstdarg>
#include <cstddef>
#include <cstdlib>
#include <new>

#include <dlfcn.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

namespace chaise::testing {

Counters& counters() noexcept {
    thread_local Counters instance;
    return instance;
}

namespace {

template <class Function>
Function* next(Function*, const char* name) {
    ++counters().system_calls;
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

void* allocate(std::size_t size, std::size_t alignment) {
    ++counters().allocations;
    void* memory = nullptr;
    if (alignment <= alignof(std::max_align_t)) {
        memory = std::malloc(size == 0 ? 1 : size);
    } else {
        memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    }
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

}  // namespace
}  // namespace chaise::testing

void* operator new(std::size_t size) { return chaise::testing::allocate(size, 1); }
void* operator new[](std::size_t size) { return chaise::testing::allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return chaise::testing::allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++chaise::testing::counters().allocations;
    return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

extern "C" {

using chaise::testing::next;

ssize_t send(int fd, const void* data, std::size_t size, int flags) {
    return next(&::send, "send")(fd, data, size, flags);
}
ssize_t sendmsg(int fd, const msghdr* message, int flags) { return next(&::sendmsg, "sendmsg")(fd, message, flags); }
ssize_t recv(int fd, void* data, std::size_t size, int flags) { return next(&::recv, "recv")(fd, data, size, flags); }
ssize_t recvmsg(int fd, msghdr* message, int flags) { return next(&::recvmsg, "recvmsg")(fd, message, flags); }
ssize_t read(int fd, void* data, std::size_t size) { return next(&::read, "read")(fd, data, size); }
ssize_t readv(int fd, const iovec* vectors, int count) { return next(&::readv, "readv")(fd, vectors, count); }
ssize_t write(int fd, const void* data, std::size_t size) { return next(&::write, "write")(fd, data, size); }
ssize_t writev(int fd, const iovec* vectors, int count) { return next(&::writev, "writev")(fd, vectors, count); }
int poll(pollfd* descriptors, nfds_t count, int timeout) { return next(&::poll, "poll")(descriptors, count, timeout); }
int epoll_wait(int epoll, epoll_event* events, int count, int timeout) {
    return next(&::epoll_wait, "epoll_wait")(epoll, events, count, timeout);
}
int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
    return next(&::epoll_ctl, "epoll_ctl")(epoll, operation, fd, event);
}
int timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* old) noexcept {
    return next(&::timerfd_settime, "timerfd_settime")(fd, flags, value, old);
}
int ioctl(int fd, unsigned long request, ...) noexcept {
    va_list arguments;
    va_start(arguments, request);
    void* argument = va_arg(arguments, void*);
    va_end(arguments);
    ++chaise::testing::counters().system_calls;
    using Ioctl = int(int, unsigned long, void*);
    return reinterpret_cast<Ioctl*>(::dlsym(RTLD_NEXT, "ioctl"))(fd, request, argument);
}
}
