#pragma once

#include <chaise/iops.hpp>

#include "iops/resolver/resolver_options.hpp"

#include <memory>
#include <string_view>
#include <system_error>
#include <unordered_map>

struct ares_addrinfo;
struct ares_channeldata;

namespace chaise {

/// Errors of c-ares as error codes.
[[nodiscard]] const std::error_category& resolver_category() noexcept;

/// Names to addresses by c-ares, driven by the events of one IOPS. The channel is made for the first name that is
/// not numeric. While nobody waits for an answer no event exists, so that this may be destroyed after its IOPS's
/// derived part: its destructor calls nothing.
class Resolver {
public:
    Resolver(IOPS& iops, ResolverOptions options);
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;
    ~Resolver();

    [[nodiscard]] std::unique_ptr<Pending> resolve(std::string_view host, ResolveHandler& handler);
    [[nodiscard]] std::unique_ptr<Pending> resolve_service(std::string_view name, ServiceHandler& handler);
    /// False: too late, names have been resolved already.
    [[nodiscard]] bool use_name_servers(std::string_view servers);

private:
    class Request;
    class AddressRequest;
    class ServiceRequest;
    struct Query;
    struct Watch;

    std::error_code open_channel();
    /// After every call into c-ares: asks again for what it wants.
    void settle();
    void process(int readable, int writable);
    void abandon(Query& query);
    static void on_socket_state(void* self, int fd, int readable, int writable);
    static void on_answer(void* query, int status, int timeouts, ares_addrinfo* answer);
    static void on_service_answer(void* query, int status, int timeouts, unsigned char* answer, int size);
    void begin(Request& request);
    static void on_ready(void* watch, int flags);
    static void on_timer(void* self, int flags);

    IOPS& iops_;
    ResolverOptions options_;
    ares_channeldata* channel_ = nullptr;
    bool closing_ = false;
    std::size_t wanted_ = 0;  // queries that someone waits for
    std::unordered_map<int, std::unique_ptr<Watch>> watches_;
    std::unique_ptr<TimerEvent> timer_;
};

}  // namespace chaise
