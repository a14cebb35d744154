// The floor: the least a program can do for the same work. Frames are copied from a template, as many as there are
// to send to a node go out with one send, responses are walked header by header; nothing of chaise is between this and
// the kernel. Like every case it answers each response with the next request, and writes once per turn. Of a cluster,
// node and vbucket of every key are known beforehand.

#include "bench/client.hpp"
#include "bench/floor_bootstrap.hpp"
#include "protocol/vbucket.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace chaise::bench {

namespace {

std::uint32_t load_u32(const char* from) noexcept {
    std::uint32_t value;
    std::memcpy(&value, from, sizeof value);
    return ntohl(value);
}

/// A request without vbucket, opaque, key and value. `prefix`: bytes before the key, all 0: the default collection.
std::string request_template(unsigned char opcode, std::size_t extras, std::size_t prefix, std::size_t value) {
    std::string frame(24 + extras + prefix, '\0');
    frame[0] = static_cast<char>(0x80);
    frame[1] = static_cast<char>(opcode);
    frame[3] = static_cast<char>(prefix + Workload::key_size);
    frame[4] = static_cast<char>(extras);
    const std::uint32_t body = htonl(static_cast<std::uint32_t>(extras + prefix + Workload::key_size + value));
    std::memcpy(frame.data() + 8, &body, sizeof body);
    return frame;
}

/// One connection, and what waits in both directions.
struct Node {
    Descriptor socket;
    std::string out;
    std::size_t queued = 0;
    std::string in;
    std::size_t received = 0;
};

/// Where a key goes.
struct Place {
    std::uint16_t node;
    std::uint16_t vbucket;  ///< as on the wire
};

/// `routed`: to a cluster; otherwise there is one node, and nothing to look up.
template <bool routed>
class FloorClient final : public Client {
public:
    FloorClient(FloorConnections connections, Workload& workload, bool blocking)
        : workload_(workload),
          blocking_(blocking),
          get_(request_template(0x00, 0, connections.prefixed ? 1 : 0, 0)),
          set_(request_template(0x01, 8, connections.prefixed ? 1 : 0, workload.value().size())),
          stamps_(workload.depth()) {
        for (Descriptor& socket : connections.nodes) {
            nodes_.push_back(
                {.socket = std::move(socket),
                 .out =
                     std::string(workload.depth() * (set_.size() + Workload::key_size + workload.value().size()), '\0'),
                 .in = std::string(std::max(std::size_t{64} << 10, 2 * (64 + workload.value().size())), '\0')});
        }
        if constexpr (routed) find_places(connections.routes);
        if (!blocking_) watch();
    }

    void run(Meter& meter) override {
        in_flight_ = 0;
        for (std::uint32_t chain = 0; chain < stamps_.size(); ++chain) start(meter, chain);
        send();
        while (in_flight_ != 0) {
            receive(meter);
            send();
        }
    }

private:
    void find_places(const std::vector<std::uint16_t>& routes) {
        for (std::size_t key = 0; key < Workload::key_count; ++key) {
            const std::uint16_t vbucket =
                protocol::vbucket_of(workload_.key(key), static_cast<std::uint32_t>(routes.size()));
            places_.push_back({routes[vbucket], htons(vbucket)});
        }
    }

    void watch() {
        epoll_ = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
        ready_.resize(nodes_.size());
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = i;
            if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, nodes_[i].socket.get(), &event) != 0) fail("epoll_ctl");
        }
    }

    // Requests of one turn never exceed the depth, nor the buffer, because each has its chain's response behind it.
    void start(Meter& meter, std::uint32_t chain) {
        if (!meter.next(stamps_[chain])) return;
        ++in_flight_;
        const Workload::Draw draw = workload_.draw();
        Node* node = nodes_.data();
        Place place{};
        if constexpr (routed) {
            place = places_[draw.index];
            node += place.node;
        }
        char* frame = node->out.data() + node->queued;
        const std::string& header = draw.is_set ? set_ : get_;
        std::memcpy(frame, header.data(), header.size());
        if constexpr (routed) std::memcpy(frame + 6, &place.vbucket, sizeof place.vbucket);
        std::memcpy(frame + 12, &chain, sizeof chain);
        std::memcpy(frame + header.size(), draw.key.data(), Workload::key_size);
        node->queued += header.size() + Workload::key_size;
        if (draw.is_set) {
            std::memcpy(node->out.data() + node->queued, workload_.value().data(), workload_.value().size());
            node->queued += workload_.value().size();
        }
    }

    void send() {
        for (Node& node : nodes_) {
            if (node.queued != 0) send(node);
        }
    }
    void send(Node& node) {
        std::size_t sent = 0;
        while (sent < node.queued) {
            const ssize_t n =
                ::send(node.socket.get(), node.out.data() + sent, node.queued - sent, MSG_NOSIGNAL | dont_wait());
            if (n >= 0) {
                sent += static_cast<std::size_t>(n);
            } else if (errno == EAGAIN) {
                // The server stopped reading because its answers wait for us: they fit into the kernel's buffers, or
                // the depth is too great for a client as simple as this.
                pollfd writable{node.socket.get(), POLLOUT, 0};
                if (::poll(&writable, 1, 5000) <= 0) throw std::runtime_error("floor: the server does not read");
            } else if (errno != EINTR) {
                fail("send");
            }
        }
        node.queued = 0;
    }

    void receive(Meter& meter) {
        if (blocking_) return receive(meter, nodes_.front());
        const int count = ::epoll_wait(epoll_.get(), ready_.data(), static_cast<int>(ready_.size()), -1);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < count; ++i) receive(meter, nodes_[ready_[static_cast<std::size_t>(i)].data.u64]);
    }
    void receive(Meter& meter, Node& node) {
        const ssize_t n =
            ::recv(node.socket.get(), node.in.data() + node.received, node.in.size() - node.received, dont_wait());
        if (n == 0) throw std::runtime_error("floor: the server closed the connection");
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR) return;
            fail("recv");
        }
        node.received += static_cast<std::size_t>(n);
        parse(meter, node);
    }

    void parse(Meter& meter, Node& node) {
        const char* frame = node.in.data();
        const char* const end = frame + node.received;
        while (end - frame >= 24) {
            const std::size_t size = 24 + load_u32(frame + 8);
            if (static_cast<std::size_t>(end - frame) < size) break;
            const std::size_t framing = framing_of(frame);
            if (frame[6] != 0 || frame[7] != 0) wrong_answer("a response with an error status");
            if (frame[1] == 0 && size != 28 + framing + workload_.value().size()) {
                wrong_answer("a value of another length");
            }
            std::uint32_t chain;
            std::memcpy(&chain, frame + 12, sizeof chain);
            frame += size;
            --in_flight_;
            meter.done(stamps_[chain]);
            start(meter, chain);
        }
        node.received = static_cast<std::size_t>(end - frame);
        if (node.received != 0) std::memmove(node.in.data(), frame, node.received);
    }
    /// A cluster adds how long it took, in front of the extras, and says so by another magic.
    static std::size_t framing_of(const char* frame) {
        const auto magic = static_cast<unsigned char>(frame[0]);
        if (magic == 0x81) return 0;
        if (!routed || magic != 0x18) wrong_answer("what is no response");
        return static_cast<unsigned char>(frame[2]);
    }

    [[nodiscard]] int dont_wait() const noexcept { return blocking_ ? 0 : MSG_DONTWAIT; }

    Workload& workload_;
    std::vector<Node> nodes_;
    std::vector<Place> places_;  // by key
    Descriptor epoll_;
    std::vector<epoll_event> ready_;
    bool blocking_;
    const std::string get_;
    const std::string set_;
    std::vector<std::int64_t> stamps_;  // by chain, which is the opaque
    std::size_t in_flight_ = 0;
};

std::unique_ptr<Client> make(const Target& target, Workload& workload, bool blocking) {
    FloorConnections connections = connect_floor(target);
    if (blocking && connections.nodes.size() != 1) {
        throw std::runtime_error("floor: --blocking can wait for one node only");
    }
    if (connections.routes.empty()) {
        return std::make_unique<FloorClient<false>>(std::move(connections), workload, blocking);
    }
    return std::make_unique<FloorClient<true>>(std::move(connections), workload, blocking);
}

}  // namespace

std::unique_ptr<Client> make_floor(const Target& target, Workload& workload) { return make(target, workload, false); }

std::unique_ptr<Client> make_blocking_floor(const Target& target, Workload& workload) {
    return make(target, workload, true);
}

}  // namespace chaise::bench
