#include "cluster/memcached/server.hpp"

#include <algorithm>
#include <utility>

#include "protocol/byte_order.hpp"
#include "protocol/response_encoder.hpp"

namespace chaise::testing {

class MemcachedServer::Session final : private TransportHandler {
public:
    Session(MemcachedServer& server, std::unique_ptr<Transport> transport)
        : server_(server), transport_(std::move(transport)), connection_(*server.engine_) {
        transport_->set_handler(*this);
        read();
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() {
        if (timer_) server_.iops_->cleanup(*timer_);
    }

private:
    enum class Next : std::uint8_t { go_on, pause, close };

    void on_read(std::size_t bytes, std::error_code error) override {
        reading_ = false;
        if (error || bytes == 0) return server_.remove(*this);
        if (!silent_) connection_.feed({buffer_.data(), bytes});
        pump();
    }
    void on_writable() override {
        waiting_ = false;
        pump();
    }

    void read() {
        if (std::exchange(reading_, true)) return;
        transport_->read({buffer_.data(), buffer_.size()});
    }
    [[nodiscard]] std::size_t pending() const noexcept { return out_.size() - sent_; }

    // Executes, answers, and decides what to wait for. May destroy this.
    void pump() {
        const std::size_t output_max = server_.options_.output_max;
        Next next = Next::go_on;
        // One write for whatever was answered in a go; when that is too much, what is full is sent before more is
        // executed.
        do {
            while (!silent_ && !delayed_ && next == Next::go_on && pending() <= output_max) next = execute_one();
            if (next == Next::close) return server_.remove(*this);
            server_.output_peak_ = std::max(server_.output_peak_, pending());
            if (!flush()) return server_.remove(*this);
        } while (!silent_ && !delayed_ && next == Next::go_on && pending() <= output_max);
        if (connection_.closing()) {
            if (pending() == 0) server_.remove(*this);
            return;
        }
        if (!delayed_ && pending() <= output_max) read();
    }

    Next execute_one() {
        const MemcachedRequest* request = connection_.peek();
        if (request != nullptr && !std::exchange(released_, false)) {
            if (const MemcachedRule* rule = server_.match(request->opcode)) return misbehave(*rule, *request);
        }
        return connection_.step(server_.seconds(), out_) ? Next::go_on : Next::pause;
    }

    Next misbehave(const MemcachedRule& rule, const MemcachedRequest& request) {
        std::string answer;
        switch (rule.fault) {
            case MemcachedFault::delay:
                delayed_ = true;
                if (!timer_) {
                    timer_ = server_.iops_->timer_event_factory();
                    timer_->set_handler([](void* self, int) { static_cast<Session*>(self)->go_on(); }, this);
                }
                server_.iops_->schedule(*timer_, std::chrono::ceil<std::chrono::microseconds>(rule.delay));
                return Next::pause;
            case MemcachedFault::status:
                protocol::append_to(out_, protocol::Response{.opcode = request.opcode,
                                                             .status = rule.status,
                                                             .opaque = request.opaque,
                                                             .value = memcached_error_text(rule.status)});
                connection_.skip();
                return Next::go_on;
            case MemcachedFault::lose_request:
                connection_.skip();
                return Next::go_on;
            case MemcachedFault::lose_answer:
                connection_.step(server_.seconds(), answer);
                return Next::go_on;
            case MemcachedFault::silence:
                silent_ = true;
                return Next::pause;
            case MemcachedFault::close_before:
                return Next::close;
            case MemcachedFault::close_after:
                connection_.step(server_.seconds(), answer);
                return Next::close;
            case MemcachedFault::truncate:
                connection_.step(server_.seconds(), answer);
                out_.append(answer, 0, rule.bytes);
                connection_.close();
                return Next::pause;
            case MemcachedFault::garbage:
                out_.append(rule.bytes, 'G');
                connection_.step(server_.seconds(), out_);
                return Next::go_on;
            case MemcachedFault::stray:
                protocol::append_to(
                    out_, protocol::Response{.opcode = request.opcode, .opaque = request.opaque ^ 0x5a5a5a5a});
                connection_.step(server_.seconds(), out_);
                return Next::go_on;
            case MemcachedFault::duplicate:
                connection_.step(server_.seconds(), answer);
                out_.append(answer).append(answer);
                return Next::go_on;
            case MemcachedFault::oversized: {
                protocol::append_to(out_, protocol::Response{.opcode = request.opcode, .opaque = request.opaque});
                protocol::store_be32(out_.data() + out_.size() - protocol::header_size + 8, 0x80000000u);
                connection_.skip();
                silent_ = true;
                return Next::pause;
            }
        }
        return Next::go_on;
    }

    void go_on() {
        delayed_ = false;
        released_ = true;
        pump();
    }

    // False: the connection is gone.
    bool flush() {
        while (pending() > 0 && !waiting_) {
            const ConstBuffer rest{out_.data() + sent_, pending()};
            const WriteResult result = transport_->write({&rest, 1});
            if (result.error) return false;
            sent_ += result.bytes;
            if (result.bytes < rest.size) {
                waiting_ = true;
                transport_->wait_writable();
            }
        }
        if (pending() == 0) {
            out_.clear();
            sent_ = 0;
        } else if (sent_ > out_.size() / 2) {
            out_.erase(0, sent_);
            sent_ = 0;
        }
        return true;
    }

    MemcachedServer& server_;
    std::unique_ptr<Transport> transport_;
    MemcachedConnection connection_;
    std::unique_ptr<TimerEvent> timer_;
    std::array<char, 16 * 1024> buffer_;
    std::string out_;
    std::size_t sent_ = 0;
    bool reading_ = false;
    bool waiting_ = false;
    bool delayed_ = false;
    bool released_ = false;  // the delayed request is not held up again
    bool silent_ = false;
};

MemcachedServer::MemcachedServer(std::unique_ptr<IOPS> iops, std::shared_ptr<MemcachedEngine> engine,
                                 MemcachedServerOptions options)
    : iops_(std::move(iops)),
      engine_(std::move(engine)),
      options_(std::move(options)),
      started_(iops_->now()),
      started_wall_(iops_->wall_time()),
      listener_(iops_->transport_factory().listen(options_.listen, *this)) {
    engine_->set_random([this] { return iops_->random(); });
}

MemcachedServer::~MemcachedServer() { engine_->set_random(nullptr); }

void MemcachedServer::close_connections() { sessions_.clear(); }

void MemcachedServer::on_accept(std::unique_ptr<Transport> transport) {
    sessions_.push_back(std::make_unique<Session>(*this, std::move(transport)));
}

const MemcachedRule* MemcachedServer::match(protocol::Opcode opcode) {
    for (Rule& rule : rules_) {
        if (rule.rule.opcode && *rule.rule.opcode != opcode) continue;
        if (rule.rule.times != 0 && rule.applied == rule.rule.times) continue;
        if (rule.seen++ < rule.rule.skip) continue;
        if (rule.rule.probability < 1 &&
            static_cast<double>(iops_->random() >> 11) * 0x1p-53 >= rule.rule.probability) {
            continue;
        }
        ++rule.applied;
        ++injected_[static_cast<std::size_t>(rule.rule.fault)];
        return &rule.rule;
    }
    return nullptr;
}

void MemcachedServer::remove(Session& session) noexcept {
    std::erase_if(sessions_, [&](const auto& known) { return known.get() == &session; });
}

// As memcached keeps time: the calendar is read once, then a monotonic clock is counted.
UnixSeconds MemcachedServer::seconds() {
    const auto wall = started_wall_ + std::chrono::duration_cast<WallTime::duration>(iops_->now() - started_);
    return std::chrono::floor<std::chrono::seconds>(wall.time_since_epoch()).count();
}

}  // namespace chaise::testing
