// Counts system calls: the program's own wrappers of what event loops and sockets call, in front of the C library's.
// Called by chaise (a static or a shared library) and by Asio (headers) alike.

#include "bench/counters.hpp"

#include <dlfcn.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdlib>

namespace {

/// The C library's function of that name.
template <class Function>
Function* next(const char* name) noexcept {
    void* const found = dlsym(RTLD_NEXT, name);
    if (found == nullptr) std::abort();
    return reinterpret_cast<Function*>(found);
}

}  // namespace

// NAME(parameters) as the C library declares it; `arguments` passes them on.
#define COUNTED(result, name, parameters, arguments, specifier) \
    result name parameters specifier {                          \
        using Function = result parameters;                     \
        static Function* const real = next<Function>(#name);    \
        ++chaise::bench::counters.system_calls;                 \
        return real arguments;                                  \
    }

extern "C" {

COUNTED(int, epoll_wait, (int epfd, epoll_event* events, int count, int timeout), (epfd, events, count, timeout), )
COUNTED(int, epoll_pwait, (int epfd, epoll_event* events, int count, int timeout, const sigset_t* mask),
        (epfd, events, count, timeout, mask), )
COUNTED(int, epoll_pwait2, (int epfd, epoll_event* events, int count, const timespec* timeout, const sigset_t* mask),
        (epfd, events, count, timeout, mask), )
COUNTED(int, epoll_ctl, (int epfd, int action, int fd, epoll_event* event), (epfd, action, fd, event), noexcept)
COUNTED(int, poll, (pollfd * fds, nfds_t count, int timeout), (fds, count, timeout), )
COUNTED(int, ppoll, (pollfd * fds, nfds_t count, const timespec* timeout, const sigset_t* mask),
        (fds, count, timeout, mask), )
COUNTED(int, select, (int count, fd_set* reads, fd_set* writes, fd_set* errors, timeval* timeout),
        (count, reads, writes, errors, timeout), )

COUNTED(ssize_t, send, (int fd, const void* data, size_t size, int flags), (fd, data, size, flags), )
COUNTED(ssize_t, sendto, (int fd, const void* data, size_t size, int flags, const sockaddr* to, socklen_t length),
        (fd, data, size, flags, to, length), )
COUNTED(ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags), )
COUNTED(ssize_t, recv, (int fd, void* data, size_t size, int flags), (fd, data, size, flags), )
COUNTED(ssize_t, recvfrom, (int fd, void* data, size_t size, int flags, sockaddr* from, socklen_t* length),
        (fd, data, size, flags, from, length), )
COUNTED(ssize_t, recvmsg, (int fd, msghdr* message, int flags), (fd, message, flags), )
COUNTED(ssize_t, read, (int fd, void* data, size_t size), (fd, data, size), )
COUNTED(ssize_t, write, (int fd, const void* data, size_t size), (fd, data, size), )
COUNTED(ssize_t, readv, (int fd, const iovec* buffers, int count), (fd, buffers, count), )
COUNTED(ssize_t, writev, (int fd, const iovec* buffers, int count), (fd, buffers, count), )

COUNTED(int, eventfd, (unsigned int value, int flags), (value, flags), noexcept)
COUNTED(int, eventfd_read, (int fd, eventfd_t* value), (fd, value), )
COUNTED(int, eventfd_write, (int fd, eventfd_t value), (fd, value), )
COUNTED(int, timerfd_settime, (int fd, int flags, const itimerspec* value, itimerspec* old), (fd, flags, value, old),
        noexcept)
COUNTED(int, socket, (int domain, int type, int protocol), (domain, type, protocol), noexcept)
COUNTED(int, close, (int fd), (fd), )

}  // extern "C"
