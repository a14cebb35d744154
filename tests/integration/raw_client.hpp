#pragma once

// One connection to a node, without the client under test: frames go out, frames come in.

#include <chaise/iops.hpp>
#include <chaise/transport.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/frame_reader.hpp"
#include "protocol/requests.hpp"

namespace chaise::testing {

struct RawAnswer {
    protocol::Opcode opcode{};
    protocol::Status status{};
    std::uint64_t cas = 0;
    std::string value;
};

class RawClient final : private TransportHandler, private ConnectHandler {
public:
    RawClient(IOPS& iops, const Endpoint& server) : pending_(iops.transport_factory().connect(server, *this)) {}

    template <class R>
    void send(const R& request) {
        const std::size_t size = encoded_size(request);
        out_.resize(out_.size() + size);
        encode(request, out_.data() + out_.size() - size);
        flush();
    }
    void send_bytes(std::string_view more) {
        out_ += more;
        flush();
    }
    /// Everything that was to be sent has been.
    [[nodiscard]] bool sent() const noexcept { return ended || (transport_ && out_.empty()); }
    /// What comes from now on stays in the socket.
    void stop_reading() { reads_ = false; }
    /// Features, user and bucket, in one flight; three answers.
    void log_in(std::string_view user, std::string_view password, std::string_view bucket) {
        const protocol::Feature features[] = {protocol::Feature::xerror, protocol::Feature::select_bucket};
        send(protocol::HelloRequest{.agent = "raw", .features = features});
        const std::string plain = '\0' + std::string(user) + '\0' + std::string(password);
        send(protocol::SaslAuthRequest{.mechanism = "PLAIN", .data = plain});
        send(protocol::SelectBucketRequest{.bucket = bucket});
    }

    std::vector<RawAnswer> answers;
    std::string bytes;  ///< what has come, of a server that does not speak frames
    bool frames = true;
    bool ended = false;  ///< refused, closed or reset

private:
    void on_connect(std::unique_ptr<Transport> transport, std::error_code error) override {
        if (error) {
            ended = true;
            return;
        }
        transport_ = std::move(transport);
        transport_->set_handler(*this);
        transport_->read({buffer_.data(), buffer_.size()});
        flush();
    }
    void on_read(std::size_t size, std::error_code error) override {
        if (error || size == 0) {
            end();
            return;
        }
        std::string_view got{buffer_.data(), size};
        if (!frames) bytes += got;
        while (frames && !got.empty()) {
            got.remove_prefix(reader_.feed(got));
            protocol::Frame frame;
            while (reader_.next(frame) == protocol::ParseStatus::complete) {
                answers.push_back({frame.opcode, frame.status(), frame.cas, std::string(frame.value)});
            }
            if (reader_.error() != protocol::FrameError::none) return end();
        }
        if (reads_) transport_->read({buffer_.data(), buffer_.size()});
    }
    void on_writable() override {
        waiting_ = false;
        flush();
    }
    void flush() {
        while (transport_ && !out_.empty() && !waiting_) {
            const ConstBuffer rest{out_.data(), out_.size()};
            const WriteResult result = transport_->write({&rest, 1});
            if (result.error) return end();
            out_.erase(0, result.bytes);
            if (out_.empty()) return;
            waiting_ = true;
            transport_->wait_writable();
        }
    }
    void end() {
        ended = true;
        transport_.reset();
    }

    std::vector<char> buffer_ = std::vector<char>(16 * 1024);
    std::string out_;
    protocol::FrameReader reader_;
    bool waiting_ = false;
    bool reads_ = true;
    std::unique_ptr<Transport> transport_;
    std::unique_ptr<Pending> pending_;
};

}  // namespace chaise::testing
