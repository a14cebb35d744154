#pragma once

// One connection in memory: two ends, and in each direction a pipe that has a capacity and a latency, keeps its order,
// and can be cut.

#include "iops/sim/sim_core.hpp"

#include <chaise/transport.hpp>

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <system_error>
#include <vector>

namespace chaise::testing::sim {

// Bytes first in, first out; grows by doubling.
class ByteRing {
public:
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    void append(const void* data, std::size_t bytes);
    void take(void* to, std::size_t bytes) noexcept;  // from the front
    void truncate(std::size_t size) noexcept { size_ = size; }
    void clear() noexcept { head_ = size_ = 0; }
    void release() noexcept;

private:
    std::unique_ptr<unsigned char[]> data_;
    std::size_t capacity_ = 0;
    std::size_t head_ = 0;
    std::size_t size_ = 0;
};

class Link;

// A member function of an end, as something that happens.
template <class Owner, void (Owner::*Function)()>
class Step final : public Scheduled {
public:
    Step(Kind kind, Owner& owner, Host* host) noexcept : Scheduled(kind, host), owner_(owner) {}
    void fire() override { (owner_.*Function)(); }
    using Scheduled::set_host;

private:
    Owner& owner_;
};

class End {
public:
    End(Link& link, Host& host, Endpoint local);
    End(const End&) = delete;
    End& operator=(const End&) = delete;
    ~End();

    void read(MutableBuffer buffer);
    WriteResult write(std::span<const ConstBuffer> buffers);
    void wait_writable();
    void close();  // by its owner, or because the process is gone
    // The far end's side of it: what comes in after what is already under way.
    void receive_end(Duration delay);
    void receive_reset(Duration delay, bool lose_data);
    // The network lets through again what it held back.
    void unblock();

    Host& host;
    const std::uint32_t incarnation;
    Endpoint local;
    TransportHandler* handler = nullptr;
    bool closed = false;

private:
    struct Segment {
        enum class What : std::uint8_t { data, end, reset };
        std::int64_t due;
        std::size_t bytes;
        What what;
    };
    [[nodiscard]] End& peer() noexcept;
    [[nodiscard]] bool deaf() const noexcept;
    [[nodiscard]] std::size_t room() noexcept;
    void enqueue(Segment::What what, std::size_t bytes, Duration delay);
    void arrive();
    void deliver();
    void become_writable();
    void ready_to_read();
    void room_made();

    Link& link_;
    MutableBuffer buffer_{};
    ByteRing in_;
    std::vector<Segment> under_way_;  // from first_ on
    std::size_t first_ = 0;
    std::size_t arrived_ = 0;
    std::int64_t last_due_ = 0;
    std::error_code error_;
    bool reading_ = false;
    bool waiting_ = false;
    bool ended_ = false;
    bool stalled_ = false;
    Step<End, &End::arrive> arrival_;
    Step<End, &End::deliver> readable_;
    Step<End, &End::become_writable> writable_;
};

class Link {
public:
    Link(std::shared_ptr<Core> core, const SimRandom& random, Host& client, Endpoint client_endpoint, Host& server,
         Endpoint server_endpoint);
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link();

    [[nodiscard]] Duration latency();
    [[nodiscard]] bool cut() const noexcept;
    void reset();  // both ends hear of it, each after a latency; data under way may be lost
    void go_half_open();

    std::shared_ptr<Core> core;
    std::uint64_t number;  // in the order in which connections are made
    SimRandom random;
    std::size_t capacity;
    Duration base_latency;
    bool half_open = false;
    End client;
    End server;
};

// What the user holds of an end.
class SimTransport final : public Transport {
public:
    SimTransport(std::shared_ptr<Link> link, End& end) noexcept : link_(std::move(link)), end_(end) {}
    ~SimTransport() override;
    void set_handler(TransportHandler& handler) override { end_.handler = &handler; }
    void read(MutableBuffer buffer) override { end_.read(buffer); }
    WriteResult write(std::span<const ConstBuffer> buffers) override { return end_.write(buffers); }
    void wait_writable() override { end_.wait_writable(); }
    [[nodiscard]] Endpoint local_endpoint() const override { return end_.local; }
    [[nodiscard]] Endpoint remote_endpoint() const override;

private:
    std::shared_ptr<Link> link_;
    End& end_;
};

}  // namespace chaise::testing::sim
