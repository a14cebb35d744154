#include "cluster/memcached/engine.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "protocol/byte_order.hpp"
#include "protocol/response_encoder.hpp"

namespace chaise::testing {

using protocol::Opcode;
using protocol::Status;

namespace {

constexpr std::size_t mechanism_size_max = 32;

std::optional<MemcachedStore::StoreMode> store_mode(Opcode loud) noexcept {
    switch (loud) {
        case Opcode::set:
            return MemcachedStore::StoreMode::set;
        case Opcode::add:
            return MemcachedStore::StoreMode::add;
        case Opcode::replace:
            return MemcachedStore::StoreMode::replace;
        case Opcode::append:
            return MemcachedStore::StoreMode::append;
        case Opcode::prepend:
            return MemcachedStore::StoreMode::prepend;
        default:
            return std::nullopt;
    }
}

bool concatenates(Opcode loud) noexcept { return loud == Opcode::append || loud == Opcode::prepend; }

void answer(const MemcachedRequest& request, std::string& out, std::uint64_t cas = 0, std::string_view extras = {},
            std::string_view key = {}, std::string_view value = {}) {
    protocol::append_to(out, protocol::Response{.opcode = request.opcode,
                                                .opaque = request.opaque,
                                                .cas = cas,
                                                .extras = extras,
                                                .key = key,
                                                .value = value});
}

void refuse(const MemcachedRequest& request, Status status, std::string& out) {
    protocol::append_to(out, protocol::Response{.opcode = request.opcode,
                                                .status = status,
                                                .opaque = request.opaque,
                                                .value = memcached_error_text(status)});
}

}  // namespace

std::string_view memcached_error_text(Status status) noexcept {
    switch (status) {
        case Status::key_enoent:
            return "Not found";
        case Status::key_eexists:
            return "Data exists for key.";
        case Status::e2big:
            return "Too large.";
        case Status::einval:
            return "Invalid arguments";
        case Status::not_stored:
            return "Not stored.";
        case Status::delta_badval:
            return "Non-numeric server-side value for incr or decr";
        case Status::auth_error:
            return "Auth failure.";
        case Status::unknown_command:
            return "Unknown command";
        case Status::enomem:
            return "Out of memory";
        default:
            return "UNHANDLED ERROR";
    }
}

// ---- connection -----------------------------------------------------------------------------------------------------

MemcachedConnection::MemcachedConnection(MemcachedEngine& engine) noexcept : engine_(engine) {
    ++engine_.connections_;
    ++engine_.total_connections_;
}

MemcachedConnection::~MemcachedConnection() { --engine_.connections_; }

void MemcachedConnection::feed(std::string_view bytes) {
    if (closing_) return;
    // A request that was shown has views into the buffer: it is parsed again.
    request_size_ = 0;
    if (start_ > 0 && (start_ == input_.size() || start_ >= 64 * 1024)) {
        input_.erase(0, start_);
        start_ = 0;
    }
    const auto thrown_away =
        static_cast<std::size_t>(std::min<std::uint64_t>(input_.size() == start_ ? swallow_ : 0, bytes.size()));
    swallow_ -= thrown_away;
    input_.append(bytes.substr(thrown_away));
}

void MemcachedConnection::consume(std::size_t bytes) noexcept {
    start_ += bytes;
    request_size_ = 0;
    if (start_ == input_.size()) {
        input_.clear();
        start_ = 0;
    }
}

// Whether memcached reads a value for this, and so waits for it. What else a body has behind its key, it takes for the
// next request.
bool MemcachedConnection::takes_value(const MemcachedRequest& request) const noexcept {
    const bool guarded = !engine_.options_.users.empty();
    const Opcode loud = protocol::loud_form(request.opcode);
    const std::size_t key = request.key.size();
    if (key == 0 || key + request.extras.size() > request.body) return false;
    const std::size_t value = request.body - key - request.extras.size();
    if (loud == Opcode::sasl_auth || loud == Opcode::sasl_step) {
        return guarded && request.extras.empty() && key <= mechanism_size_max && engine_.store_.fits(key, 0, value);
    }
    if (!store_mode(loud) || (guarded && !authenticated_) || key > protocol::max_key_size) return false;
    if (request.extras.size() != (concatenates(loud) ? 0U : 8U)) return false;
    const std::uint32_t flags = concatenates(loud) ? 0 : protocol::load_be32(request.extras.data());
    return engine_.store_.fits(key, flags, value);
}

const MemcachedRequest* MemcachedConnection::peek() {
    if (closing_) return nullptr;
    if (swallow_ > 0 || !answer_after_swallow_.empty()) return nullptr;
    if (request_size_ > 0) return &request_;
    const std::string_view input = std::string_view(input_).substr(start_);
    if (input.size() < protocol::header_size) return nullptr;
    const char* const head = input.data();
    if (static_cast<std::uint8_t>(head[0]) != static_cast<std::uint8_t>(protocol::Magic::client_request)) {
        closing_ = true;  // without a word, also for flexible framing
        return nullptr;
    }
    const std::size_t key = protocol::load_be16(head + 2);
    const std::size_t extras = static_cast<std::uint8_t>(head[4]);
    std::size_t size = protocol::header_size + extras + key;
    if (input.size() < size) return nullptr;
    request_ = MemcachedRequest{.opcode = static_cast<Opcode>(static_cast<std::uint8_t>(head[1])),
                                .opaque = protocol::load_be32(head + 12),
                                .cas = protocol::load_be64(head + 16),
                                .body = protocol::load_be32(head + 8),
                                .extras = input.substr(protocol::header_size, extras),
                                .key = input.substr(protocol::header_size + extras, key)};
    if (takes_value(request_)) {
        const std::size_t value = request_.body - key - extras;
        if (input.size() < size + value) return nullptr;
        request_.value = input.substr(size, value);
        size += value;
    }
    request_size_ = size;
    return &request_;
}

bool MemcachedConnection::step(UnixSeconds now, std::string& out) {
    if (closing_) return false;
    if (swallow_ > 0) {
        const auto there = static_cast<std::size_t>(std::min<std::uint64_t>(swallow_, buffered()));
        swallow_ -= there;
        consume(there);
        if (swallow_ > 0) return false;
    }
    if (!answer_after_swallow_.empty()) {
        out += std::exchange(answer_after_swallow_, {});
        return true;
    }
    if (peek() == nullptr) return false;
    const MemcachedRequest request = request_;
    const std::size_t size = request_size_;
    std::string& answer = answer_after_swallow_;
    engine_.execute(*this, request, now, answer);
    consume(size);
    if (swallow_ == 0 || closing_) out += std::exchange(answer, {});
    return true;
}

void MemcachedConnection::skip() {
    if (peek() != nullptr) consume(request_size_);
}

// ---- engine ---------------------------------------------------------------------------------------------------------

MemcachedEngine::MemcachedEngine(MemcachedOptions options)
    : options_(std::move(options)), store_(options_.item_size_max) {}

void MemcachedEngine::execute(MemcachedConnection& connection, const MemcachedRequest& request, UnixSeconds now,
                              std::string& out) {
    if (store_.started() == 0) store_.set_started(now - 2);
    ++executed_;
    const Opcode loud = protocol::loud_form(request.opcode);
    const std::size_t key = request.key.size();
    const std::size_t extras = request.extras.size();
    const std::uint32_t body = request.body;
    if (key + extras > body) {
        refuse(request, Status::unknown_command, out);
        connection.closing_ = true;
        return;
    }
    const bool open = request.opcode == Opcode::version || request.opcode == Opcode::sasl_list_mechs ||
                      request.opcode == Opcode::sasl_auth || request.opcode == Opcode::sasl_step;
    if (!options_.users.empty() && !connection.authenticated_ && !open) {
        refuse(request, Status::auth_error, out);
        connection.closing_ = true;
        return;
    }
    const auto malformed = [&](bool is) {
        is = is || key > protocol::max_key_size;
        if (is) {
            refuse(request, Status::einval, out);
            connection.closing_ = true;
        }
        return is;
    };
    if (malformed(false)) return;

    switch (loud) {
        case Opcode::get:
        case Opcode::getk:
            if (!malformed(extras != 0 || body != key || key == 0)) execute_get(request, now, out);
            return;
        case Opcode::touch:
        case Opcode::gat:
        case Opcode::gatk:
            if (!malformed(extras != 4 || key == 0)) execute_get(request, now, out);
            return;
        case Opcode::set:
        case Opcode::add:
        case Opcode::replace:
            if (!malformed(extras != 8 || key == 0)) execute_store(connection, request, now, out);
            return;
        case Opcode::append:
        case Opcode::prepend:
            if (!malformed(extras != 0 || key == 0)) execute_store(connection, request, now, out);
            return;
        case Opcode::remove: {
            if (malformed(extras != 0 || body != key || key == 0)) return;
            const auto outcome = store_.remove(request.key, request.cas, now);
            if (outcome.status != Status::success) {
                refuse(request, outcome.status, out);
            } else if (request.opcode == loud) {
                answer(request, out);
            }
            return;
        }
        case Opcode::increment:
        case Opcode::decrement:
            if (!malformed(extras != 20 || body != key + extras || key == 0)) execute_counter(request, now, out);
            return;
        case Opcode::flush:
            if (malformed(key != 0 || body != extras || (extras != 0 && extras != 4))) return;
            store_.flush(extras == 4 ? protocol::load_be32(request.extras.data()) : 0, now);
            if (request.opcode == loud) answer(request, out);
            return;
        case Opcode::noop:
            if (!malformed(body != 0)) answer(request, out);
            return;
        case Opcode::version:
            if (!malformed(body != 0)) answer(request, out, 0, {}, {}, options_.version);
            return;
        case Opcode::quit:
            if (malformed(body != 0)) return;
            if (request.opcode == loud) answer(request, out);
            connection.closing_ = true;
            return;
        case Opcode::stat:
            if (!malformed(extras != 0)) execute_stat(request, now, out);
            return;
        case Opcode::sasl_list_mechs:
        case Opcode::sasl_auth:
        case Opcode::sasl_step:
            if (loud == Opcode::sasl_list_mechs ? !malformed(body != 0) : !malformed(extras != 0 || key == 0)) {
                execute_sasl(connection, request, out);
            }
            return;
        default:
            // It has read extras and key and now skips the whole body: out of step, unless there was none.
            refuse(request, Status::unknown_command, out);
            connection.swallow(body);
    }
}

void MemcachedEngine::execute_get(const MemcachedRequest& request, UnixSeconds now, std::string& out) {
    const Opcode loud = protocol::loud_form(request.opcode);
    const bool with_key = loud == Opcode::getk || loud == Opcode::gatk;
    const bool touches = !request.extras.empty();
    const auto outcome =
        touches ? store_.touch(request.key, protocol::load_be32(request.extras.data()), now, loud != Opcode::touch)
                : store_.get(request.key, now);
    if (outcome.item == nullptr) {
        if (request.opcode != loud) return;
        if (with_key) {
            protocol::append_to(
                out,
                protocol::Response{
                    .opcode = request.opcode, .status = outcome.status, .opaque = request.opaque, .key = request.key});
        } else {
            refuse(request, outcome.status, out);
        }
        return;
    }
    char flags[4];
    protocol::store_be32(flags, outcome.item->flags);
    answer(request, out, outcome.cas, {flags, 4}, with_key ? request.key : std::string_view{},
           loud == Opcode::touch ? std::string_view{} : std::string_view{outcome.item->value});
}

void MemcachedEngine::execute_store(MemcachedConnection& connection, const MemcachedRequest& request, UnixSeconds now,
                                    std::string& out) {
    const Opcode loud = protocol::loud_form(request.opcode);
    const auto mode = *store_mode(loud);
    std::uint32_t flags = 0;
    std::uint32_t expiry = 0;
    if (!request.extras.empty()) {
        flags = protocol::load_be32(request.extras.data());
        expiry = protocol::load_be32(request.extras.data() + 4);
    }
    const std::size_t announced = request.body - request.key.size() - request.extras.size();
    if (!store_.fits(request.key.size(), flags, announced)) {
        refuse(request, store_.refuse_too_large(mode, request.key).status, out);
        connection.swallow(announced);
        return;
    }
    const auto outcome = store_.store(mode, request.key, request.value, flags, expiry, request.cas, now);
    if (outcome.status != Status::success) {
        refuse(request, outcome.status, out);
    } else if (request.opcode == loud) {
        answer(request, out, outcome.cas);
    }
}

void MemcachedEngine::execute_counter(const MemcachedRequest& request, UnixSeconds now, std::string& out) {
    const Opcode loud = protocol::loud_form(request.opcode);
    const char* extras = request.extras.data();
    const auto outcome =
        store_.add_delta(loud == Opcode::increment, request.key, protocol::load_be64(extras),
                         protocol::load_be64(extras + 8), protocol::load_be32(extras + 16), request.cas, now);
    if (outcome.status != Status::success) {
        refuse(request, outcome.status, out);
    } else if (request.opcode == loud) {
        char number[8];
        protocol::store_be64(number, outcome.number);
        answer(request, out, outcome.cas, {}, {}, {number, 8});
    }
}

void MemcachedEngine::execute_sasl(MemcachedConnection& connection, const MemcachedRequest& request, std::string& out) {
    const std::size_t announced = request.body - request.key.size();
    if (options_.users.empty()) {
        refuse(request, Status::unknown_command, out);
        connection.swallow(announced);
        return;
    }
    if (request.opcode == Opcode::sasl_list_mechs) {
        std::string names;
        for (const std::string& name : options_.mechanisms) names.append(names.empty() ? "" : " ").append(name);
        answer(request, out, 0, {}, {}, names);
        return;
    }
    if (request.value.size() != announced) {  // a mechanism's name that is too long, or an endless value
        refuse(request, request.key.size() > mechanism_size_max ? Status::einval : Status::enomem, out);
        connection.swallow(announced);
        return;
    }
    protocol::SaslServer::Reply reply;  // auth_error
    if (request.opcode == Opcode::sasl_auth) {
        connection.sasl_.reset();
        const bool known =
            std::find(options_.mechanisms.begin(), options_.mechanisms.end(), request.key) != options_.mechanisms.end();
        if (known && !connection.authenticated_) {
            const bool cram = request.key == "CRAM-MD5";
            connection.sasl_.emplace(
                request.key,
                protocol::SaslServerOptions{.password_of = [this](std::string_view name) -> std::optional<std::string> {
                                                for (const MemcachedUser& user : options_.users) {
                                                    if (user.name == name) return user.password;
                                                }
                                                return std::nullopt;
                                            },
                                            .nonce = cram ? "<" + nonce() + "@memcached>" : nonce(),
                                            .salt = nonce(),
                                            .iterations = options_.scram_iterations,
                                            .cyrus = true});
        }
    }
    if (connection.sasl_) reply = connection.sasl_->step(request.value);
    if (reply.status == Status::auth_continue) {
        protocol::append_to(
            out, protocol::Response{
                     .opcode = request.opcode, .status = reply.status, .opaque = request.opaque, .value = reply.data});
    } else if (reply.status == Status::success) {
        connection.sasl_.reset();
        connection.authenticated_ = true;
        answer(request, out, 0, {}, {}, "Authenticated");
    } else {
        connection.sasl_.reset();
        refuse(request, Status::auth_error, out);
    }
}

std::string MemcachedEngine::nonce() {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (int word = 0; word < 2; ++word) {
        // splitmix64 of a counter, unless somebody gives better.
        std::uint64_t bits = (++draws_) * 0x9e3779b97f4a7c15u;
        bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
        bits ^= bits >> 27;
        if (random_) bits = random_();
        for (int i = 0; i < 16; ++i, bits >>= 4) text += digits[bits & 15];
    }
    return text;
}

}  // namespace chaise::testing
