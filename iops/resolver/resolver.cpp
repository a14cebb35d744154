#include "iops/resolver/resolver.hpp"

#include "iops/posix/socket.hpp"

#include <ares.h>
#include <sys/time.h>

#include <algorithm>
#include <utility>

namespace chaise {

namespace {

class ResolverCategory final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "c-ares"; }
    [[nodiscard]] std::string message(int condition) const override { return ::ares_strerror(condition); }
};

std::error_code to_error(int status) { return {status, resolver_category()}; }

}  // namespace

const std::error_category& resolver_category() noexcept {
    static const ResolverCategory instance;
    return instance;
}

/// What c-ares holds on to until it answers, whether or not someone still waits.
struct Resolver::Query {
    Resolver* resolver;
    Request* request;
};

/// One of c-ares's sockets.
struct Resolver::Watch {
    Resolver* resolver;
    int fd;
    int wanted;
    std::unique_ptr<IOEvent> event;
};

/// What the caller holds. The answer is kept here and told in a dispatch of its own, so that the handler may do
/// anything, and is never called inside `resolve`.
class Resolver::Request : public Pending {
public:
    explicit Request(IOPS& iops) : iops_(iops), event_(iops.timer_event_factory()) {
        event_->set_handler([](void* self, int) { static_cast<Request*>(self)->tell(); }, this);
    }
    ~Request() override {
        if (event_->state() != Event::State::initialized) iops_.cleanup(*event_);
        if (query != nullptr) query->resolver->abandon(*query);
    }
    void fail(std::error_code error) {
        query = nullptr;
        error_ = error;
        iops_.defer(*event_);
    }

    Query* query = nullptr;  // while c-ares works on it

protected:
    [[nodiscard]] std::error_code error() const noexcept { return error_; }

private:
    virtual void tell() = 0;

    IOPS& iops_;
    std::unique_ptr<TimerEvent> event_;
    std::error_code error_;
};

class Resolver::AddressRequest final : public Request {
public:
    AddressRequest(IOPS& iops, ResolveHandler& handler) : Request(iops), handler_(handler) {}
    void finish(std::vector<std::string> addresses) {
        addresses_ = std::move(addresses);
        fail({});
    }

private:
    void tell() override { handler_.on_resolve(std::move(addresses_), error()); }

    ResolveHandler& handler_;
    std::vector<std::string> addresses_;
};

class Resolver::ServiceRequest final : public Request {
public:
    ServiceRequest(IOPS& iops, ServiceHandler& handler) : Request(iops), handler_(handler) {}
    void finish(std::vector<ServiceTarget> targets) {
        targets_ = std::move(targets);
        fail({});
    }

private:
    void tell() override { handler_.on_service(std::move(targets_), error()); }

    ServiceHandler& handler_;
    std::vector<ServiceTarget> targets_;
};

Resolver::Resolver(IOPS& iops, ResolverOptions options) : iops_(iops), options_(std::move(options)) {}

Resolver::~Resolver() {
    closing_ = true;
    if (channel_ != nullptr) ::ares_destroy(channel_);
}

std::error_code Resolver::open_channel() {
    if (channel_ != nullptr) return {};
    static const int library = ::ares_library_init(ARES_LIB_INIT_ALL);
    if (library != ARES_SUCCESS) return to_error(library);
    ares_options options{};
    char lookups[] = "fb";  // the hosts file, then name servers
    options.lookups = lookups;
    options.timeout = static_cast<int>(options_.timeout.count());
    options.tries = options_.tries;
    options.sock_state_cb = &Resolver::on_socket_state;
    options.sock_state_cb_data = this;
    const int mask = ARES_OPT_LOOKUPS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    int status = ::ares_init_options(&channel_, &options, mask);
    if (status != ARES_SUCCESS) {
        channel_ = nullptr;
        return to_error(status);
    }
    if (!options_.nameservers.empty()) {
        status = ::ares_set_servers_ports_csv(channel_, options_.nameservers.c_str());
        if (status != ARES_SUCCESS) {
            ::ares_destroy(std::exchange(channel_, nullptr));
            return to_error(status);
        }
    }
    return {};
}

bool Resolver::use_name_servers(std::string_view servers) {
    if (channel_ != nullptr) return false;
    options_.nameservers = servers;
    return true;
}

/// c-ares is about to get the request.
void Resolver::begin(Request& request) {
    request.query = new Query{this, &request};
    ++wanted_;
}

std::unique_ptr<Pending> Resolver::resolve(std::string_view host, ResolveHandler& handler) {
    auto request = std::make_unique<AddressRequest>(iops_, handler);
    if (posix::is_numeric(host)) {
        request->finish({std::string{host}});
        return request;
    }
    if (const std::error_code error = open_channel()) {
        request->fail(error);
        return request;
    }
    begin(*request);
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    const std::string name{host};
    ::ares_getaddrinfo(channel_, name.c_str(), nullptr, &hints, &Resolver::on_answer, request->query);
    settle();
    return request;
}

std::unique_ptr<Pending> Resolver::resolve_service(std::string_view name, ServiceHandler& handler) {
    auto request = std::make_unique<ServiceRequest>(iops_, handler);
    if (const std::error_code error = open_channel()) {
        request->fail(error);
        return request;
    }
    begin(*request);
    constexpr int internet_class = 1, srv_record = 33;  // RFC 1035, RFC 2782
    const std::string wanted{name};
    ::ares_query(channel_, wanted.c_str(), internet_class, srv_record, &Resolver::on_service_answer, request->query);
    settle();
    return request;
}

void Resolver::on_answer(void* context, int status, int, ares_addrinfo* answer) {
    const std::unique_ptr<Query> query{static_cast<Query*>(context)};
    std::vector<std::string> addresses;
    if (answer != nullptr) {
        for (const ares_addrinfo_node* node = answer->nodes; node != nullptr; node = node->ai_next) {
            std::string address = posix::numeric_address(*node->ai_addr);
            if (!address.empty() && std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
                addresses.push_back(std::move(address));
            }
        }
        ::ares_freeaddrinfo(answer);
    }
    if (query->request == nullptr) return;
    --query->resolver->wanted_;
    if (query->resolver->closing_) {
        query->request->query = nullptr;
        return;
    }
    if (status == ARES_SUCCESS && addresses.empty()) status = ARES_ENODATA;
    if (status == ARES_SUCCESS) {
        static_cast<AddressRequest*>(query->request)->finish(std::move(addresses));
    } else {
        query->request->fail(to_error(status));
    }
}

void Resolver::on_service_answer(void* context, int status, int, unsigned char* answer, int size) {
    const std::unique_ptr<Query> query{static_cast<Query*>(context)};
    if (query->request == nullptr) return;
    --query->resolver->wanted_;
    if (query->resolver->closing_) {
        query->request->query = nullptr;
        return;
    }
    std::vector<ServiceTarget> targets;
    ares_srv_reply* records = nullptr;
    if (status == ARES_SUCCESS) status = ::ares_parse_srv_reply(answer, size, &records);
    for (const ares_srv_reply* record = records; record != nullptr; record = record->next) {
        std::string host = record->host;
        if (host.ends_with('.')) host.pop_back();
        if (!host.empty() && record->port != 0) targets.push_back({std::move(host), record->port});
    }
    if (records != nullptr) ::ares_free_data(records);
    if (status == ARES_SUCCESS && targets.empty()) status = ARES_ENODATA;
    if (status == ARES_SUCCESS) {
        static_cast<ServiceRequest*>(query->request)->finish(std::move(targets));
    } else {
        query->request->fail(to_error(status));
    }
}

void Resolver::abandon(Query& query) {
    query.request = nullptr;
    // c-ares can only cancel everything: done when nobody waits for anything any more.
    if (--wanted_ == 0) ::ares_cancel(channel_);
    settle();
}

void Resolver::on_socket_state(void* self, int fd, int readable, int writable) {
    auto& resolver = *static_cast<Resolver*>(self);
    if (resolver.closing_) return;
    const int wanted = (readable != 0 ? read_event : 0) | (writable != 0 ? write_event : 0);
    const auto found = resolver.watches_.find(fd);
    if (wanted == 0) {
        // c-ares closes the socket next.
        if (found == resolver.watches_.end()) return;
        resolver.iops_.cleanup(*found->second->event);
        resolver.watches_.erase(found);
        return;
    }
    if (found != resolver.watches_.end()) {
        found->second->wanted = wanted;
    } else {
        auto watch = std::make_unique<Watch>(Watch{&resolver, fd, wanted, resolver.iops_.io_event_factory()});
        watch->event->set_handler(&Resolver::on_ready, watch.get());
        resolver.watches_.emplace(fd, std::move(watch));
    }
    Watch& watch = *resolver.watches_.at(fd);
    resolver.iops_.watch(*watch.event, fd, wanted);
}

void Resolver::settle() {
    for (const auto& [fd, watch] : watches_) {
        if (!watch->event->active()) iops_.watch(*watch->event, fd, watch->wanted);
    }
    timeval limit{};
    if (channel_ == nullptr || wanted_ == 0 || ::ares_timeout(channel_, nullptr, &limit) == nullptr) {
        if (timer_) iops_.cleanup(*timer_);
        timer_.reset();
        return;
    }
    if (!timer_) {
        timer_ = iops_.timer_event_factory();
        timer_->set_handler(&Resolver::on_timer, this);
    }
    // A microsecond more: a timer that is a moment early would find nothing to do, again and again.
    iops_.schedule(*timer_, std::chrono::seconds{limit.tv_sec} + std::chrono::microseconds{limit.tv_usec + 1});
}

void Resolver::process(int readable, int writable) {
    ::ares_process_fd(channel_, readable, writable);
    settle();
}

void Resolver::on_ready(void* context, int flags) {
    // c-ares may close this socket, and the watch with it.
    const Watch& watch = *static_cast<Watch*>(context);
    Resolver& resolver = *watch.resolver;
    resolver.process((flags & read_event) != 0 ? watch.fd : ARES_SOCKET_BAD,
                     (flags & write_event) != 0 ? watch.fd : ARES_SOCKET_BAD);
}

void Resolver::on_timer(void* self, int) { static_cast<Resolver*>(self)->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

}  // namespace chaise
