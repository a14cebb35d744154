#include "cluster/net/conversation_server.hpp"

#include <chaise/testing/sim_random.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <exception>
#include <string>
#include <utility>

namespace chaise::testing {

namespace {

constexpr std::size_t read_size = std::size_t{16} * 1024;
/// An emptied buffer that is larger is given back.
constexpr std::size_t buffer_keep = std::size_t{256} * 1024;
/// Long answers go on when no more than this waits, and not for longer than that many pieces at a time: others wait.
constexpr std::size_t room_mark = std::size_t{32} * 1024;
constexpr int pieces_at_a_time = 8;

/// Bytes that have arrived and were not used yet, in one piece, with room to read into behind them. Nothing moves
/// while a read is under way: only room() does that, before it.
class InputBuffer {
public:
    [[nodiscard]] std::string_view bytes() const noexcept { return {storage_.data() + begin_, end_ - begin_}; }
    [[nodiscard]] MutableBuffer room() {
        if (begin_ == end_) {
            begin_ = end_ = 0;
            if (storage_.size() > buffer_keep) std::vector<char>().swap(storage_);
        } else if (storage_.size() - end_ < read_size && begin_ > 0) {
            std::memmove(storage_.data(), storage_.data() + begin_, end_ - begin_);
            end_ -= std::exchange(begin_, 0);
        }
        if (storage_.size() - end_ < read_size) storage_.resize(std::max(2 * storage_.size(), read_size));
        return {storage_.data() + end_, storage_.size() - end_};
    }
    void filled(std::size_t bytes) noexcept { end_ += bytes; }
    void use(std::size_t bytes) noexcept { begin_ += bytes; }

private:
    std::vector<char> storage_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace

class ConversationServer::Connection final : private TransportHandler, private Outlet {
public:
    Connection(ConversationServer& server, std::unique_ptr<Transport> transport)
        : server_(server), transport_(std::move(transport)), host_(transport_->local_endpoint().address) {
        transport_->set_handler(*this);
        flush_event_ = server_.iops_.timer_event_factory();
        hold_event_ = server_.iops_.timer_event_factory();
        hold_event_->set_handler([](void* self, int) { static_cast<Connection*>(self)->pump(); }, this);
        flush_event_->set_handler([](void* self, int) { static_cast<Connection*>(self)->pump(); }, this);
        conversation_ = server_.factory_(*this);
        if (!server_.paused_) read();
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        conversation_.reset();  // may still send: into nowhere
        for (const auto& event : {flush_event_.get(), hold_event_.get()})
            if (event->state() != Event::State::initialized) server_.iops_.cleanup(*event);
    }

    [[nodiscard]] bool dead() const noexcept { return transport_ == nullptr; }
    void die() noexcept { transport_.reset(); }
    /// Goes on after a pause.
    void go_on() { soon(); }

private:
    // ---- Outlet ----------------------------------------------------------------------------------------------

    void send(std::string_view bytes) override {
        if (dead() || closing_) return;
        out_.append(bytes);
        soon();
    }
    void close() override {
        if (dead() || std::exchange(closing_, true)) return;
        soon();
    }
    [[nodiscard]] std::size_t waiting() const noexcept override { return out_.size() - sent_; }
    void resume() override {
        if (!dead()) soon();
    }
    [[nodiscard]] const std::string& local_host() const noexcept override { return host_; }

    // ---- TransportHandler ------------------------------------------------------------------------------------

    void on_read(std::size_t bytes, std::error_code error) override {
        reading_ = false;
        if (error || bytes == 0) return server_.bury(*this);
        in_.filled(bytes);
        pump();
    }
    void on_writable() override {
        blocked_ = false;
        pump();
    }

    /// Inside the pump everything is sent at its end anyway.
    void soon() {
        if (!pumping_ && !flush_event_->active()) server_.iops_.defer(*flush_event_);
    }
    void read() {
        if (reading_) return;
        transport_->read(in_.room());
        reading_ = true;
    }

    void pump() {
        if (dead() || server_.paused_) return;
        pumping_ = true;
        bool alive = false;
        int pieces = 0;
        try {
            do {
                alive = execute() && flush();
            } while (alive && !dead() && !closing_ && waiting() <= room_mark && ++pieces <= pieces_at_a_time &&
                     conversation_->on_room());
        } catch (...) {  // whatever it is, it is this client's
            ++server_.failed_;
            alive = false;
        }
        pumping_ = false;
        if (!alive || (closing_ && waiting() == 0)) return server_.bury(*this);
        if (dead() || closing_ || waiting() > server_.limits_.output_max) return;
        if (in_.bytes().size() > server_.limits_.input_max) return server_.bury(*this);
        if (pieces > pieces_at_a_time) soon();
        try {
            read();
        } catch (const std::bad_alloc&) {
            ++server_.failed_;
            server_.bury(*this);
        }
    }

    // One write for whatever is answered in a turn; when that is too much, what is full is sent before more is
    // executed. False: the connection is gone.
    bool execute() {
        const std::size_t output_max = server_.limits_.output_max;
        while (!dead() && !closing_ && !in_.bytes().empty()) {
            if (waiting() > output_max) {
                if (!flush()) return false;
                if (waiting() > output_max) break;
            }
            const std::size_t used = conversation_->on_bytes(in_.bytes());
            if (used == 0) break;
            in_.use(std::min(used, in_.bytes().size()));
        }
        return !dead();
    }

    /// What becomes of the piece that has just been said.
    void decide() {
        const std::size_t size = out_.size() - decided_;
        if (size == 0) return;
        const LinkFaults& faults = server_.faults_;
        if (chance(faults.drop)) {
            out_.resize(decided_);
            return;
        }
        if (chance(faults.corrupt)) out_[decided_] = static_cast<char>(out_[decided_] ^ 0x55);
        if (chance(faults.truncate)) {
            out_.resize(decided_ + size / 2);
            closing_ = true;
        }
        decided_ = out_.size();
        if (held_.empty() && faults.delay == Duration::zero() && faults.jitter == Duration::zero()) {
            released_ = decided_;
            return;
        }
        const TimePoint now = server_.iops_.now();
        Duration delay = faults.delay;
        if (faults.jitter > Duration::zero()) {
            const Duration more = SimRandom(server_.iops_.random()).exponential(faults.jitter);
            delay = more < Duration::max() - delay ? delay + more : Duration::max();
        }
        TimePoint due = delay < TimePoint::max() - now ? now + delay : TimePoint::max();
        if (!held_.empty()) due = std::max(due, held_.back().due);
        if (due > now) {
            held_.push_back({due, decided_});
        } else {
            released_ = decided_;
        }
    }
    bool chance(double p) { return p > 0 && static_cast<double>(server_.iops_.random() >> 11) * 0x1p-53 < p; }

    /// What has been held back for long enough.
    void release() {
        if (held_.empty()) return;
        const TimePoint now = server_.iops_.now();
        while (!held_.empty() && held_.front().due <= now) {
            released_ = held_.front().end;
            held_.pop_front();
        }
        if (!held_.empty() && held_.front().due != TimePoint::max() && !hold_event_->active()) {
            server_.iops_.schedule(*hold_event_, std::chrono::ceil<std::chrono::microseconds>(held_.front().due - now));
        }
    }

    bool flush() {
        decide();
        release();
        server_.output_peak_ = std::max(server_.output_peak_, waiting());
        while (released_ > sent_ && !blocked_) {
            const ConstBuffer rest{out_.data() + sent_, released_ - sent_};
            const WriteResult result = transport_->write({&rest, 1});
            if (result.error) return false;
            sent_ += result.bytes;
            if (result.bytes < rest.size) {
                blocked_ = true;
                transport_->wait_writable();
            }
        }
        if (waiting() == 0) {
            out_.clear();
            sent_ = released_ = decided_ = 0;
            if (out_.capacity() > buffer_keep) std::string().swap(out_);
        } else if (sent_ > out_.size() / 2) {
            out_.erase(0, sent_);
            released_ -= sent_;
            decided_ -= sent_;
            for (Held& held : held_) held.end -= sent_;
            sent_ = 0;
        }
        return true;
    }

    ConversationServer& server_;
    std::unique_ptr<Transport> transport_;  // null: dead, waiting to be destroyed
    std::string host_;
    std::unique_ptr<TimerEvent> flush_event_;
    std::unique_ptr<Conversation> conversation_;
    InputBuffer in_;
    std::string out_;
    struct Held {
        TimePoint due;
        std::size_t end;
    };
    std::size_t sent_ = 0;
    std::size_t released_ = 0;  // up to here it may be sent
    std::size_t decided_ = 0;   // up to here faults have had their chance
    std::deque<Held> held_;     // pieces behind released_, with their times
    std::unique_ptr<TimerEvent> hold_event_;
    bool reading_ = false;
    bool blocked_ = false;  // waits until the transport takes more
    bool pumping_ = false;
    bool closing_ = false;
};

ConversationServer::ConversationServer(IOPS& iops, const Endpoint& listen, ConversationFactory factory,
                                       const ConversationLimits& limits)
    : iops_(iops), factory_(std::move(factory)), limits_(limits), funeral_(iops.timer_event_factory()) {
    funeral_->set_handler([](void* self, int) { static_cast<ConversationServer*>(self)->remove_dead(); }, this);
    listener_ = iops_.transport_factory().listen(listen, *this);
}

ConversationServer::~ConversationServer() {
    listener_.reset();
    all_.clear();
    if (funeral_->state() != Event::State::initialized) iops_.cleanup(*funeral_);
}

void ConversationServer::on_accept(std::unique_ptr<Transport> transport) {
    ++accepted_;
    if (connections_ >= limits_.connections_max) return;
    try {
        all_.push_back(std::make_unique<Connection>(*this, std::move(transport)));
        ++connections_;
    } catch (...) {
        ++failed_;
    }
}

void ConversationServer::close_connections() {
    for (const auto& connection : all_) bury(*connection);
}

void ConversationServer::set_paused(bool on) {
    paused_ = on;
    if (paused_) return;
    for (const auto& connection : all_) connection->go_on();
}

// The conversation may be on the stack: it goes on a later turn.
void ConversationServer::bury(Connection& connection) {
    if (!connection.dead()) {
        connection.die();
        --connections_;
    }
    if (!funeral_->active()) iops_.defer(*funeral_);
}

void ConversationServer::remove_dead() {
    std::erase_if(all_, [](const auto& connection) { return connection->dead(); });
}

}  // namespace chaise::testing
