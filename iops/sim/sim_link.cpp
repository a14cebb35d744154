#include "iops/sim/sim_link.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace chaise::testing::sim {

// ---- ByteRing -------------------------------------------------------------------------------------------------------

void ByteRing::append(const void* data, std::size_t bytes) {
    if (size_ + bytes > capacity_) {
        std::size_t capacity = std::max<std::size_t>(capacity_, 1024);
        while (capacity < size_ + bytes) capacity *= 2;
        auto larger = std::make_unique_for_overwrite<unsigned char[]>(capacity);
        const std::size_t kept = size_;
        take(larger.get(), kept);
        data_ = std::move(larger);
        capacity_ = capacity;
        head_ = 0;
        size_ = kept;
    }
    const std::size_t tail = (head_ + size_) & (capacity_ - 1);
    const std::size_t first = std::min(bytes, capacity_ - tail);
    const auto* from = static_cast<const unsigned char*>(data);
    std::memcpy(data_.get() + tail, from, first);
    std::memcpy(data_.get(), from + first, bytes - first);
    size_ += bytes;
}

void ByteRing::take(void* to, std::size_t bytes) noexcept {
    if (bytes == 0) return;
    const std::size_t first = std::min(bytes, capacity_ - head_);
    std::memcpy(to, data_.get() + head_, first);
    std::memcpy(static_cast<unsigned char*>(to) + first, data_.get(), bytes - first);
    head_ = (head_ + bytes) & (capacity_ - 1);
    size_ -= bytes;
}

void ByteRing::release() noexcept {
    data_.reset();
    capacity_ = head_ = size_ = 0;
}

// ---- End ------------------------------------------------------------------------------------------------------------

End::End(Link& link, Host& its_host, Endpoint its_local)
    : host(its_host),
      incarnation(its_host.incarnation),
      local(std::move(its_local)),
      link_(link),
      arrival_(Kind::arrival, *this, nullptr),
      readable_(Kind::readable, *this, &its_host),
      writable_(Kind::writable, *this, &its_host) {
    arrival_.trace_id = readable_.trace_id = writable_.trace_id = link.number;
}

End::~End() {
    link_.core->cancel(arrival_);
    link_.core->cancel(readable_);
    link_.core->cancel(writable_);
}

End& End::peer() noexcept { return this == &link_.client ? link_.server : link_.client; }

bool End::deaf() const noexcept { return link_.core->dead() || incarnation != host.incarnation; }

std::size_t End::room() noexcept {
    End& to = peer();
    if (to.closed) return link_.capacity;  // the far kernel answers with a reset, whatever is sent
    return link_.capacity - std::min(link_.capacity, to.in_.size());
}

void End::read(MutableBuffer buffer) {
    assert(!reading_ && buffer.size > 0);
    if (deaf()) return;
    buffer_ = buffer;
    reading_ = true;
    if (arrived_ > 0 || ended_ || error_) link_.core->schedule(readable_, Duration::zero());
}

WriteResult End::write(std::span<const ConstBuffer> buffers) {
    Core& core = *link_.core;
    if (deaf()) return {0, std::make_error_code(std::errc::not_connected)};
    if (error_) return {0, error_};
    std::size_t offered = 0;
    for (const ConstBuffer& buffer : buffers) offered += buffer.size;
    std::size_t taken = std::min(offered, room());
    if (taken > 0 && link_.random.chance(core.faults.partial_write)) {
        const std::size_t part = link_.random.below(taken + 1);
        if (part < taken) core.record_fault(SimFault::partial_write, link_.number);
        taken = part;
    }
    if (taken == 0) return {};
    End& to = peer();
    std::size_t left = taken;
    for (const ConstBuffer& buffer : buffers) {
        const std::size_t part = std::min(left, buffer.size);
        const auto* bytes = static_cast<const unsigned char*>(buffer.data);
        if (!to.closed && part > 0) to.in_.append(bytes, part);
        std::size_t i = 0;
        for (; i + 8 <= part; i += 8) {
            std::uint64_t word;
            std::memcpy(&word, bytes + i, 8);
            core.mix(word);
        }
        for (; i < part; ++i) core.mix(bytes[i]);
        left -= part;
        if (left == 0) break;
    }
    to.enqueue(Segment::What::data, taken, link_.latency());
    if (link_.random.chance(core.faults.half_open)) link_.go_half_open();
    if (link_.random.chance(core.faults.reset)) {
        core.record_fault(SimFault::reset, link_.number);
        link_.reset();
    }
    return {taken, {}};
}

void End::wait_writable() {
    if (deaf()) return;
    waiting_ = true;
    if (room() > 0 || error_) link_.core->schedule(writable_, link_.base_latency / 4);
}

void End::close() {
    if (std::exchange(closed, true)) return;
    Core& core = *link_.core;
    core.cancel(readable_);
    core.cancel(writable_);
    reading_ = waiting_ = false;
    handler = nullptr;
    if (!deaf() && !error_) {
        if (arrived_ > 0) {
            // As TCP does when a socket is closed with bytes unread.
            peer().receive_reset(link_.latency(), link_.random.chance(0.5));
        } else {
            Duration delay = link_.latency();
            if (link_.random.chance(core.faults.slow_close)) {
                core.record_fault(SimFault::slow_close, link_.number);
                delay += link_.random.exponential(std::chrono::milliseconds{20});
            }
            peer().receive_end(delay);
        }
    }
    arrived_ = 0;
    in_.release();
    room_made();
}

void End::receive_end(Duration delay) {
    if (!closed && !ended_ && !error_) enqueue(Segment::What::end, 0, delay);
}

void End::receive_reset(Duration delay, bool lose_data) {
    if (closed || error_ || deaf()) return;
    if (lose_data) {
        link_.core->cancel(arrival_);
        under_way_.clear();
        first_ = 0;
        last_due_ = 0;
        in_.truncate(arrived_);
    }
    enqueue(Segment::What::reset, 0, delay);
}

void End::unblock() {
    if (std::exchange(stalled_, false) && first_ < under_way_.size()) {
        link_.core->schedule(arrival_, link_.latency() * 4);  // by retransmission
    }
    if (waiting_ && !writable_.scheduled() && room() > 0) link_.core->schedule(writable_, link_.latency());
}

void End::enqueue(Segment::What what, std::size_t bytes, Duration delay) {
    Core& core = *link_.core;
    if (first_ == under_way_.size()) {
        under_way_.clear();
        first_ = 0;
    }
    last_due_ = std::max(last_due_, core.now() + delay.count());
    under_way_.push_back(Segment{last_due_, bytes, what});
    if (!stalled_ && !arrival_.scheduled()) core.schedule(arrival_, Duration{last_due_ - core.now()});
}

// From the network; the last thing it does may be a call of the handler, which may destroy this end.
void End::arrive() {
    Core& core = *link_.core;
    if (link_.cut()) {
        stalled_ = true;
        return;
    }
    const bool gone = closed || deaf();
    while (first_ < under_way_.size() && under_way_[first_].due <= core.now() && !error_) {
        const Segment segment = under_way_[first_++];
        if (segment.what == Segment::What::end) {
            ended_ = true;
        } else if (segment.what == Segment::What::reset) {
            error_ = std::make_error_code(std::errc::connection_reset);
            if (link_.random.chance(0.5)) arrived_ = 0;  // what had arrived is not always read any more
            in_.truncate(arrived_);
            if (waiting_) core.schedule(writable_, Duration::zero());
        } else if (gone) {
            peer().receive_reset(link_.latency(), link_.random.chance(0.5));
        } else {
            arrived_ += segment.bytes;
        }
    }
    if (error_) {
        under_way_.clear();
        first_ = 0;
    } else if (first_ < under_way_.size()) {
        core.schedule(arrival_, Duration{under_way_[first_].due - core.now()});
    }
    if (gone || !reading_ || (arrived_ == 0 && !ended_ && !error_)) return;
    if (host.paused) {
        core.schedule(readable_, Duration::zero());
    } else {
        core.cancel(readable_);
        deliver();
    }
}

void End::deliver() {
    if (!reading_) return;
    Core& core = *link_.core;
    reading_ = false;
    std::size_t bytes = std::min(arrived_, buffer_.size);
    if (bytes > 1 && link_.random.chance(core.faults.partial_read)) {
        const std::size_t part = link_.random.between(1, bytes);
        if (part < bytes) core.record_fault(SimFault::partial_read, link_.number);
        bytes = part;
    }
    in_.take(buffer_.data, bytes);
    arrived_ -= bytes;
    core.counts.bytes += bytes;
    core.record(Kind::readable, link_.number, bytes);
    if (bytes > 0) {
        room_made();
        handler->on_read(bytes, {});
    } else {
        handler->on_read(0, error_);
    }
}

void End::room_made() {
    End& writer = peer();
    if (writer.waiting_ && !writer.writable_.scheduled() && !link_.cut()) {
        link_.core->schedule(writer.writable_, link_.latency());
    }
}

void End::become_writable() {
    if (std::exchange(waiting_, false)) handler->on_writable();
}

// ---- Link -----------------------------------------------------------------------------------------------------------

Link::Link(std::shared_ptr<Core> its_core, const SimRandom& its_random, Host& client_host, Endpoint client_endpoint,
           Host& server_host, Endpoint server_endpoint)
    : core(std::move(its_core)),
      number(++core->counts.connections),
      random(its_random),
      capacity(core->options.pipe_capacity),
      base_latency(core->options.latency_min +
                   Duration{static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(
                       std::max<std::int64_t>((core->options.latency_mean - core->options.latency_min).count(), 1))))}),
      client(*this, client_host, std::move(client_endpoint)),
      server(*this, server_host, std::move(server_endpoint)) {
    if (random.chance(core->faults.small_pipe)) {
        capacity = std::min<std::size_t>(capacity, random.between(64, 2048));
        core->record_fault(SimFault::small_pipe, number);
    }
    core->links.push_back(this);
}

Link::~Link() { std::erase(core->links, this); }

Duration Link::latency() {
    Duration latency = base_latency;
    const Duration rest = core->options.latency_mean - base_latency;
    if (rest > Duration::zero()) latency += random.exponential(rest);
    if (random.chance(core->faults.delay)) {
        core->record_fault(SimFault::delay, number);
        latency *= static_cast<std::int64_t>(random.between(10, 200));
    }
    return latency;
}

bool Link::cut() const noexcept { return half_open || core->cut_off(client.host, server.host); }

void Link::reset() {
    client.receive_reset(latency(), random.chance(0.5));
    server.receive_reset(latency(), random.chance(0.5));
}

void Link::go_half_open() {
    if (std::exchange(half_open, true)) return;
    core->record_fault(SimFault::half_open, number);
}

// ---- SimTransport ---------------------------------------------------------------------------------------------------

SimTransport::~SimTransport() { end_.close(); }

Endpoint SimTransport::remote_endpoint() const {
    return &end_ == &link_->client ? link_->server.local : link_->client.local;
}

}  // namespace chaise::testing::sim
