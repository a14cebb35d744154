#pragma once

// A loop without an operating system: time is a number, the network is what the test says. Every step is the test's.

#include <chaise/detail/exit_hook.hpp>
#include <chaise/http.hpp>
#include <chaise/iops.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace chaise::testing {

class ScriptLoop;

/// One connection, as the far end sees it.
struct Link {
    std::string received;               ///< everything the client wrote
    std::size_t parsed = 0;             ///< how much of it the server has read
    std::vector<std::size_t> writes;    ///< bytes of each write call that took something
    std::size_t window = SIZE_MAX;      ///< bytes that are still taken
    std::size_t read_chunk = SIZE_MAX;  ///< most that one read gets
    std::string to_client;
    bool end_of_stream = false;
    std::error_code read_error;   ///< told by the next read
    std::error_code write_error;  ///< told by the next write
    bool closed_by_client = false;
    unsigned reads_armed = 0;
    Endpoint endpoint;

    TransportHandler* handler = nullptr;
    MutableBuffer buffer;
    bool reading = false;
    bool waiting_writable = false;

    void send(std::string_view bytes) { to_client += bytes; }
    void close() { end_of_stream = true; }
    void reset() { read_error = write_error = std::make_error_code(std::errc::connection_reset); }
    [[nodiscard]] bool readable() const {
        return !closed_by_client && reading && (!to_client.empty() || end_of_stream || read_error);
    }
    [[nodiscard]] bool writable() const { return !closed_by_client && waiting_writable && (window > 0 || write_error); }
};

/// Which step of a script fails: they are counted from 1 in the order in which they happen.
struct StepFault {
    unsigned at = 0;  ///< 0: none
    unsigned steps = 0;
    bool hit() { return ++steps == at; }
};

class ScriptTransport final : public Transport {
public:
    ScriptTransport(std::shared_ptr<Link> link, std::shared_ptr<StepFault> fault)
        : link_(std::move(link)), fault_(std::move(fault)) {}
    ~ScriptTransport() override {
        link_->closed_by_client = true;
        link_->reading = link_->waiting_writable = false;
    }
    void set_handler(TransportHandler& handler) override { link_->handler = &handler; }
    void read(MutableBuffer buffer) override {
        if (link_->reading || buffer.size == 0 || !link_->handler) throw std::logic_error("ScriptTransport::read");
        link_->buffer = buffer;
        link_->reading = true;
        ++link_->reads_armed;
    }
    WriteResult write(std::span<const ConstBuffer> buffers) override {
        const bool fails = fault_->hit();
        if (fails) {
            link_->reset();
            link_->window = std::min(link_->window, std::size_t{10});  // a part of it may get through
        }
        WriteResult result;
        for (const ConstBuffer& buffer : buffers) {
            const std::size_t n = std::min(buffer.size, link_->window);
            link_->received.append(static_cast<const char*>(buffer.data), n);
            if (link_->window != SIZE_MAX) link_->window -= n;
            result.bytes += n;
            if (n < buffer.size) break;
        }
        if (result.bytes != 0) link_->writes.push_back(result.bytes);
        result.error = link_->write_error;
        return result;
    }
    void wait_writable() override { link_->waiting_writable = true; }
    [[nodiscard]] Endpoint local_endpoint() const override { return {"10.0.0.99", 1}; }
    [[nodiscard]] Endpoint remote_endpoint() const override { return link_->endpoint; }

private:
    std::shared_ptr<Link> link_;
    std::shared_ptr<StepFault> fault_;
};

class ScriptTimer final : public TimerEvent {
public:
    explicit ScriptTimer(std::shared_ptr<std::list<ScriptTimer*>> armed) : armed_(std::move(armed)) {}
    ~ScriptTimer() override { disarm(); }
    void arm(TimePoint at) {
        disarm();
        due = at;
        armed_->push_back(this);
    }
    void disarm() { armed_->remove(this); }
    TimePoint due{};

private:
    std::shared_ptr<std::list<ScriptTimer*>> armed_;
};

/// The network of a ScriptLoop, and what it shall do.
struct ScriptNet {
    struct Step final : Pending {
        ResolveHandler* resolve = nullptr;
        ConnectHandler* connect = nullptr;
        ServiceHandler* service = nullptr;
        Endpoint endpoint;
        std::string host;
        std::shared_ptr<std::list<Step*>> pending;
        ~Step() override { pending->remove(this); }
    };
    std::shared_ptr<std::list<Step*>> pending = std::make_shared<std::list<Step*>>();
    std::shared_ptr<StepFault> fault = std::make_shared<StepFault>();
    std::map<std::string, std::vector<std::string>> addresses;  ///< default: the host itself
    std::error_code resolve_error;
    std::optional<std::map<std::string, std::vector<ServiceTarget>>> services;  ///< SRV records; none: no such lookup
    bool hang_service = false;
    std::vector<std::string> services_asked;
    std::map<std::string, std::error_code> connect_errors;  ///< by address; "*" for all
    std::set<std::string> unresolvable;
    std::set<std::string> hanging;  ///< hosts of which nothing is heard, not even a refusal
    bool hang_resolve = false;
    bool hang_connect = false;
    std::vector<std::shared_ptr<Link>> links;  ///< every connection there was
    std::vector<std::string> resolved;         ///< every name that was asked for
    std::vector<Endpoint> attempts;            ///< every connection that was tried
    std::function<void(Link&)> on_accept;
    std::function<void(Link&)> server;                  ///< reads what has arrived, answers
    std::function<std::unique_ptr<HttpClient>()> http;  ///< none: there is no HTTP

    [[nodiscard]] Link& link() { return *links.back(); }
};

class ScriptIops;

class ScriptLoop {
public:
    ScriptLoop() = default;
    ScriptLoop(const ScriptLoop&) = delete;
    ScriptLoop& operator=(const ScriptLoop&) = delete;
    ~ScriptLoop();

    ScriptNet net;

    [[nodiscard]] std::unique_ptr<IOPS> make_iops();
    [[nodiscard]] TimePoint now() const { return now_; }
    WallTime wall{std::chrono::seconds{1'700'000'000}};

    /// One turn: I/O, timers that are due, what was posted, what was deferred. Tells whether anything was done.
    bool turn() {
        if (in_turn_) throw std::logic_error("ScriptLoop::turn inside a turn");
        in_turn_ = true;
        ++turns;
        bool did = deliver_io();
        did = deliver_timers() || did;
        did = deliver_posted() || did;
        did = deliver_deferred() || did;
        in_turn_ = false;
        rethrow();
        return did;
    }
    /// Turns until nothing is left to do at this time.
    void run() {
        rethrow();
        for (unsigned n = 0; turn(); ++n) {
            if (n > 100'000) throw std::logic_error("ScriptLoop: turns without end");
        }
    }
    /// Time passes; what becomes due happens at its time.
    void advance(Duration by) {
        const TimePoint end = now_ + by;
        run();
        while (true) {
            const auto first =
                std::min_element(armed_->begin(), armed_->end(), [](auto* a, auto* b) { return a->due < b->due; });
            if (first == armed_->end() || (*first)->due > end) break;
            now_ = std::max(now_, (*first)->due);
            run();
        }
        now_ = end;
        run();
    }
    /// Time passes unnoticed.
    void jump(Duration by) { now_ += by; }

    // What chaise::spawn wants.
    template <class F>
    void post(F&& function) {
        posted_.push_back(std::make_unique<Function<std::decay_t<F>>>(std::forward<F>(function)));
    }
    void on_exception(std::exception_ptr exception) noexcept { exceptions_.push_back(std::move(exception)); }
    void work_started() noexcept { ++work; }
    void work_finished() noexcept { --work; }
    void at_exit(ExitHook& hook) noexcept { hooks_.add(hook); }

    int work = 0;
    unsigned turns = 0;
    [[nodiscard]] std::size_t armed_timers() const { return armed_->size(); }
    [[nodiscard]] bool in_turn() const { return in_turn_; }

private:
    friend class ScriptIops;
    struct Callable {
        virtual ~Callable() = default;
        virtual void call() = 0;
    };
    template <class F>
    struct Function final : Callable {
        explicit Function(F f) : function(std::move(f)) {}
        void call() override { function(); }
        F function;
    };

    template <class F>
    void guarded(F&& function) {
        try {
            function();
        } catch (...) {
            exceptions_.push_back(std::current_exception());
        }
    }
    void rethrow() {
        if (exceptions_.empty()) return;
        std::exception_ptr exception = std::move(exceptions_.front());
        exceptions_.pop_front();
        std::rethrow_exception(exception);
    }

    bool deliver_io() {
        bool did = false;
        auto steps = std::vector<ScriptNet::Step*>(net.pending->begin(), net.pending->end());
        for (ScriptNet::Step* step : steps) {
            if (std::find(net.pending->begin(), net.pending->end(), step) == net.pending->end()) continue;
            if (step->service ? net.hang_service : step->resolve ? net.hang_resolve : net.hang_connect) continue;
            if (step->connect && net.hanging.contains(step->endpoint.address)) continue;
            did = true;
            net.pending->remove(step);
            guarded([&] { step->service ? look_up(*step) : step->resolve ? resolve(*step) : connect(*step); });
        }
        for (std::size_t i = 0; i < net.links.size(); ++i) {
            const std::shared_ptr<Link> link = net.links[i];
            if (net.server && !link->closed_by_client) net.server(*link);
            if (link->writable()) {
                did = true;
                link->waiting_writable = false;
                guarded([&] { link->handler->on_writable(); });
            }
            if (link->readable()) {
                did = true;
                guarded([&] { read(*link); });
            }
            if (link->closed_by_client) link->handler = nullptr;
        }
        return did;
    }
    void look_up(ScriptNet::Step& step) {
        const auto known = net.services->find(step.host);
        if (known != net.services->end()) return step.service->on_service(known->second, {});
        step.service->on_service({}, std::make_error_code(std::errc::host_unreachable));
    }
    void resolve(ScriptNet::Step& step) {
        net.resolved.push_back(step.host);
        std::error_code error = net.resolve_error;
        if (net.unresolvable.contains(step.host)) error = std::make_error_code(std::errc::host_unreachable);
        if (net.fault->hit()) error = std::make_error_code(std::errc::host_unreachable);
        const auto known = net.addresses.find(step.host);
        auto addresses = known == net.addresses.end() ? std::vector<std::string>{step.host} : known->second;
        step.resolve->on_resolve(error ? std::vector<std::string>{} : addresses, error);
    }
    void connect(ScriptNet::Step& step) {
        net.attempts.push_back(step.endpoint);
        std::error_code error;
        if (const auto all = net.connect_errors.find("*"); all != net.connect_errors.end()) error = all->second;
        if (const auto one = net.connect_errors.find(step.endpoint.address); one != net.connect_errors.end()) {
            error = one->second;
        }
        if (net.fault->hit()) error = std::make_error_code(std::errc::connection_refused);
        if (error) return step.connect->on_connect(nullptr, error);
        auto link = std::make_shared<Link>();
        link->endpoint = step.endpoint;
        net.links.push_back(link);
        if (net.on_accept) net.on_accept(*link);
        step.connect->on_connect(std::make_unique<ScriptTransport>(link, net.fault), {});
    }
    void read(Link& link) {
        if (net.fault->hit()) {
            link.to_client.clear();
            link.reset();
        }
        link.reading = false;
        const std::size_t n = std::min({link.buffer.size, link.to_client.size(), link.read_chunk});
        if (n != 0) {
            link.to_client.copy(static_cast<char*>(link.buffer.data), n);
            link.to_client.erase(0, n);
            return link.handler->on_read(n, {});
        }
        link.handler->on_read(0, link.read_error);
    }
    bool deliver_timers() {
        bool did = false;
        auto due = std::vector<ScriptTimer*>(armed_->begin(), armed_->end());
        std::erase_if(due, [&](ScriptTimer* timer) { return timer->due > now_; });
        std::stable_sort(due.begin(), due.end(), [](auto* a, auto* b) { return a->due < b->due; });
        for (ScriptTimer* timer : due) {
            if (std::find(armed_->begin(), armed_->end(), timer) == armed_->end() || timer->due > now_) continue;
            did = true;
            timer->disarm();
            guarded([&] { timer->ready(0); });
        }
        return did;
    }
    bool deliver_posted() {
        auto posted = std::exchange(posted_, {});
        const bool did = !posted.empty();
        for (auto& callable : posted) guarded([&] { callable->call(); });
        return did;
    }
    bool deliver_deferred() {
        const auto deferred = std::vector<ScriptTimer*>(deferred_->begin(), deferred_->end());
        for (ScriptTimer* timer : deferred) {
            if (std::find(deferred_->begin(), deferred_->end(), timer) == deferred_->end()) continue;
            deferred_->remove(timer);
            guarded([&] { timer->ready(0); });
        }
        return !deferred.empty();
    }

    TimePoint now_{std::chrono::hours(1)};
    bool in_turn_ = false;
    std::shared_ptr<std::list<ScriptTimer*>> armed_ = std::make_shared<std::list<ScriptTimer*>>();
    std::shared_ptr<std::list<ScriptTimer*>> deferred_ = std::make_shared<std::list<ScriptTimer*>>();
    std::deque<std::unique_ptr<Callable>> posted_;
    std::deque<std::exception_ptr> exceptions_;
    std::list<ScriptIops*> iops_;
    ExitHooks hooks_;
    std::uint64_t random_ = 12345;
};

class ScriptIops final : public IOPS, public TransportFactory {
public:
    explicit ScriptIops(ScriptLoop& loop) : loop_(&loop), armed_(loop.armed_), deferred_(loop.deferred_) {
        loop.iops_.push_back(this);
    }
    ~ScriptIops() override {
        if (loop_) loop_->iops_.remove(this);
    }
    void update_event(IOEvent&, EventAction, int) override { throw std::logic_error("ScriptIops has no descriptors"); }
    void update_timer(TimerEvent& event, EventAction action, std::chrono::microseconds delay) override {
        auto& timer = static_cast<ScriptTimer&>(event);
        timer.disarm();
        if (action != EventAction::watch) deferred_->remove(&timer);
        if (action == EventAction::watch && loop_) timer.arm(loop_->now_ + delay);
    }
    void update_deferred(TimerEvent& event) override {
        if (loop_) deferred_->push_back(&static_cast<ScriptTimer&>(event));
    }
    [[nodiscard]] std::unique_ptr<TimerEvent> timer_event_factory() override {
        return std::make_unique<ScriptTimer>(armed_);
    }
    [[nodiscard]] TimePoint now() override { return loop_ ? last_ = loop_->now_ : last_; }
    [[nodiscard]] WallTime wall_time() override { return loop_ ? loop_->wall : WallTime{}; }
    [[nodiscard]] std::uint64_t random() override {
        if (!loop_) return 4;
        loop_->random_ = loop_->random_ * 6364136223846793005u + 1442695040888963407u;
        return loop_->random_ >> 11;
    }
    [[nodiscard]] TransportFactory& transport_factory() override { return *this; }
    [[nodiscard]] std::unique_ptr<HttpClient> make_http_client() override {
        return loop_ && loop_->net.http ? loop_->net.http() : nullptr;
    }
    void on_exception(std::exception_ptr exception) noexcept override {
        if (loop_) loop_->on_exception(std::move(exception));
    }
    void loop_gone() noexcept {
        loop_ = nullptr;
        notify_loop_destroyed();
    }

    [[nodiscard]] std::unique_ptr<Pending> connect(const Endpoint& endpoint, ConnectHandler& handler) override {
        auto step = this->step();
        step->connect = &handler;
        step->endpoint = endpoint;
        return step;
    }
    [[nodiscard]] std::unique_ptr<Listener> listen(const Endpoint&, AcceptHandler&) override {
        throw std::logic_error("ScriptIops does not listen");
    }
    [[nodiscard]] std::unique_ptr<Pending> resolve(std::string_view host, ResolveHandler& handler) override {
        auto step = this->step();
        step->resolve = &handler;
        step->host = host;
        return step;
    }
    [[nodiscard]] std::unique_ptr<Pending> resolve_service(std::string_view name, ServiceHandler& handler) override {
        if (!loop_->net.services) return nullptr;
        loop_->net.services_asked.emplace_back(name);
        auto step = this->step();
        step->service = &handler;
        step->host = name;
        return step;
    }

private:
    std::unique_ptr<ScriptNet::Step> step() {
        auto step = std::make_unique<ScriptNet::Step>();
        step->pending = loop_->net.pending;
        step->pending->push_back(step.get());
        return step;
    }
    ScriptLoop* loop_;
    std::shared_ptr<std::list<ScriptTimer*>> armed_;
    std::shared_ptr<std::list<ScriptTimer*>> deferred_;
    TimePoint last_{};
};

inline std::unique_ptr<IOPS> ScriptLoop::make_iops() { return std::make_unique<ScriptIops>(*this); }

inline ScriptLoop::~ScriptLoop() {
    hooks_.run_all();
    while (!iops_.empty()) {
        ScriptIops* iops = iops_.back();
        iops_.pop_back();
        iops->loop_gone();
    }
    posted_.clear();
}

}  // namespace chaise::testing
