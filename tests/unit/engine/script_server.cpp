#include "tests/unit/engine/script_server.hpp"

#include "protocol/byte_order.hpp"
#include "protocol/request_decoder.hpp"
#include "protocol/response_encoder.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace chaise::testing {

ScriptServer::ScriptServer(ScriptLoop& loop) : loop_(loop) {
    loop.net.server = [this](Link& link) { serve(link); };
}

ScriptServer::~ScriptServer() = default;

void ScriptServer::answer_all() {
    for (std::size_t n = answered_; n < seen.size(); ++n) answer(n);
    answered_ = seen.size();
}

std::size_t ScriptServer::count(protocol::Opcode opcode) const {
    return static_cast<std::size_t>(
        std::count_if(seen.begin(), seen.end(), [&](const Seen& s) { return s.opcode == opcode; }));
}

void ScriptServer::serve(Link& link) {
    while (!mute) {
        protocol::Frame frame;
        const auto rest = std::string_view(link.received).substr(link.parsed);
        const auto parsed = protocol::parse_frame(rest, frame);
        if (parsed.status == protocol::ParseStatus::error) throw std::logic_error("the client sends garbage");
        if (parsed.status != protocol::ParseStatus::complete) return;
        link.parsed += parsed.size;
        if (frame.opaque == 0xffffffff) {
            ++bootstraps;
            link.send(bootstrap(frame));
            continue;
        }
        Seen entry{.opcode = frame.opcode,
                   .key = std::string(frame.key),
                   .value = std::string(frame.value),
                   .opaque = frame.opaque,
                   .answer = execute(frame),
                   .link = &link};
        if (frame.extras.size() >= 4) entry.expiry = protocol::load_be32(frame.extras.data() + frame.extras.size() - 4);
        if (!hold) {
            link.send(entry.answer);
            answered_ = seen.size() + 1;
        }
        seen.push_back(std::move(entry));
    }
}

std::string ScriptServer::bootstrap(const protocol::Frame& frame) {
    protocol::Response r{.opcode = frame.opcode, .opaque = frame.opaque};
    std::string data;
    switch (frame.opcode) {
        case Opcode::noop:
            if (!mechanisms.empty()) r.status = Status::auth_error;
            break;
        case Opcode::sasl_list_mechs:
            r.value = mechanisms;
            if (mechanisms.empty()) r.status = Status::unknown_command;
            break;
        case Opcode::sasl_auth:
            sasl_.emplace(frame.key, protocol::SaslServerOptions{
                                         .password_of = [this](std::string_view name) -> std::optional<std::string> {
                                             return name == user ? std::optional(password) : std::nullopt;
                                         },
                                         .nonce = "a-nonce-of-the-server-1234",
                                         .salt = "salt-of-16-bytes",
                                         .iterations = 4096,
                                         .cyrus = true});
            [[fallthrough]];
        case Opcode::sasl_step: {
            auto reply = sasl_->step(frame.value);
            r.status = reply.status;
            data = reply.data;
            r.value = data;
            break;
        }
        default:
            r.status = Status::unknown_command;
            break;
    }
    return protocol::encoded(r);
}

std::string ScriptServer::execute(const protocol::Frame& frame) {
    protocol::Response r{.opcode = frame.opcode, .opaque = frame.opaque};
    const std::string key(frame.key);
    const auto found = items.find(key);
    const bool there = found != items.end();
    std::string extras;
    std::string value;
    const auto finish = [&](Status status, std::uint64_t cas = 0) {
        r.status = status;
        r.cas = cas;
        r.extras = extras;
        r.value = value;
        if (status != Status::success && value.empty()) r.value = "no";
        return protocol::encoded(r);
    };
    const auto be32 = [](std::uint32_t n) {
        std::string out(4, 0);
        protocol::store_be32(out.data(), n);
        return out;
    };
    const auto store = [&](std::string bytes, std::uint32_t flags) {
        Item& item = items[key];
        item = {std::move(bytes), flags, ++last_cas_};
        return finish(Status::success, item.cas);
    };
    switch (frame.opcode) {
        case Opcode::getq:
        case Opcode::gatq:
            if (!there) return {};
            [[fallthrough]];
        case Opcode::get:
        case Opcode::gat:
            if (!there) return finish(Status::key_enoent);
            extras = be32(found->second.flags);
            value = found->second.value;
            return finish(Status::success, found->second.cas);
        case Opcode::set:
        case Opcode::add:
        case Opcode::replace:
            if (frame.opcode == Opcode::add && there) return finish(Status::key_eexists);
            if (frame.opcode == Opcode::replace && !there) return finish(Status::key_enoent);
            if (frame.cas != 0 && !there) return finish(Status::key_enoent);
            if (frame.cas != 0 && frame.cas != found->second.cas) return finish(Status::key_eexists);
            return store(std::string(frame.value), protocol::load_be32(frame.extras.data()));
        case Opcode::append:
        case Opcode::prepend:
            if (!there) return finish(Status::not_stored);
            return store(frame.opcode == Opcode::append ? found->second.value + std::string(frame.value)
                                                        : std::string(frame.value) + found->second.value,
                         found->second.flags);
        case Opcode::remove:
            if (!there) return finish(Status::key_enoent);
            items.erase(found);
            return finish(Status::success);
        case Opcode::touch:
            if (!there) return finish(Status::key_enoent);
            extras = be32(found->second.flags);
            return finish(Status::success, found->second.cas);
        case Opcode::increment:
        case Opcode::decrement: {
            protocol::CounterRequest request;
            static_cast<void>(protocol::decode(frame, request));
            std::uint64_t number = request.initial;
            if (!there && request.expiry == protocol::counter_no_create) return finish(Status::key_enoent);
            if (there) {
                number = std::stoull(found->second.value);
                number = frame.opcode == Opcode::increment ? number + request.delta
                                                           : number - std::min(number, request.delta);
            }
            ++executed_increments;
            store(std::to_string(number), 0);
            value.assign(8, 0);
            protocol::store_be64(value.data(), number);
            return finish(Status::success, last_cas_);
        }
        case Opcode::noop:
            return finish(Status::success);
        case Opcode::version:
            value = "1.2.3";
            return finish(Status::success);
        case Opcode::flush:
            items.clear();
            return finish(Status::success);
        case Opcode::stat: {
            if (frame.key == "nonsense") return finish(Status::key_enoent);
            std::string out;
            for (const auto& [name, text] : std::map<std::string, std::string>{{"pid", "7"}, {"threads", "4"}}) {
                r.key = name;
                r.value = text;
                protocol::append_to(out, r);
            }
            r.key = r.value = {};
            protocol::append_to(out, r);
            return out;
        }
        default:
            return finish(Status::unknown_command);
    }
}

}  // namespace chaise::testing
