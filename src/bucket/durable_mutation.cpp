#include "bucket/durable_mutation.hpp"

#include "bucket/core.hpp"
#include "bucket/endure_parts.hpp"
#include "bucket/preserve_expiry.hpp"
#include "bucket/start.hpp"
#include "protocol/feature.hpp"
#include "protocol/requests.hpp"

#include <chaise/subdocument.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace chaise::detail {

namespace {

/// Of a durable write, without a timeout of the caller's (protocol.md 9.1).
constexpr Duration default_durable_write_timeout = std::chrono::seconds(10);

/// A mutation, and when it has happened, the polling of the copies.
class DurableMutation final : public EndureParts {
public:
    DurableMutation(Slot& whole, std::string_view key, const Awaited& awaited, std::optional<Duration> timeout)
        : whole_(whole), key_(key), awaited_(awaited), timeout_(timeout) {}

    [[nodiscard]] std::string_view about() const noexcept override { return key_; }
    void done(std::size_t n, OperationKind kind, void* result, Error* error) override {
        if (polled(n, kind, result, error)) return;
        if (error) {
            error_ = std::move(*error);
            return;
        }
        Core& core = *whole_.core;
        if (kind == OperationKind::counter) {
            happened(core, result_.emplace<ValueResult>(std::move(*static_cast<ValueResult*>(result))));
        } else if (kind == OperationKind::mutate_in) {
            happened(core, result_.emplace<SubdocResult>(std::move(*static_cast<SubdocResult*>(result))));
        } else {
            happened(core, result_.emplace<OperationResult>(*static_cast<OperationResult*>(result)));
        }
    }
    void finish(Core& core, Slot& whole) override {
        if (error_) return core.deliver_error(whole, error_);
        if (polls() && key(0).outcome != errc::success) {
            Error error = of_mutation(error_of(key(0)), cas_, token_);
            return core.deliver_error(whole, error);
        }
        std::visit(
            [&](auto& result) {
                if (polls()) result.set_copies(key(0).persisted_on(), key(0).replicated_on());
                core.deliver(whole, result);
            },
            result_);
    }
    Error attach_to(Error error) override { return happened_ ? of_mutation(error, cas_, token_) : error; }

private:
    template <class Result>
    void happened(Core& core, const Result& result) {
        if (!result.success()) return;  // quiet: there was nothing to remove
        happened_ = true;
        cas_ = result.cas();
        token_ = result.mutation_token();
        errc code = errc::success;
        if (std::string fault = fault_of(core, awaited_.wanted, code); !fault.empty()) {
            error_ = of_mutation(core.make_error_of_whole(whole_, code, std::move(fault), key_), cas_, token_);
            return;
        }
        Endure::Options wanted = awaited_.wanted;
        wanted.deadline = end_of_polling(core, whole_, awaited_, timeout_);
        Endure run(wanted);
        Endure::Key one;
        one.name = key_;
        one.vbucket = token_ ? token_->vbucket : core.router().route(key_).vbucket;
        one.cas = cas_;
        one.token = token_;
        run.add(std::move(one));
        begin_polling(core, whole_, std::move(run));
    }

    Slot& whole_;
    const std::string key_;
    const Awaited awaited_;
    const std::optional<Duration> timeout_;
    Error error_;
    std::variant<OperationResult, ValueResult, SubdocResult> result_;
    Cas cas_ = 0;
    std::optional<MutationToken> token_;
    bool happened_ = false;
};

}  // namespace

std::optional<Awaited> awaited(const Core& core, const Beyond& beyond) {
    Awaited awaited{.wanted = {.persist_to = beyond.persist_to.count(),
                               .replicate_to = beyond.replicate_to.count(),
                               .check_removed = beyond.removes}};
    if (awaited.wanted.persist_to != 0 || awaited.wanted.replicate_to != 0) return awaited;
    const Core::DurabilityDefault* const scope = core.durability_default();
    if (!scope) return std::nullopt;
    awaited.wanted.persist_to = scope->persist_to.count();
    awaited.wanted.replicate_to = scope->replicate_to.count();
    awaited.wanted.interval = scope->interval;
    awaited.polling_time = scope->timeout.value_or(awaited.polling_time);
    return awaited;
}

TimePoint end_of_polling(Core& core, const Slot& whole, const Awaited& awaited,
                         const std::optional<Duration>& timeout) {
    return timeout ? whole.started + std::clamp(*timeout, Duration{0}, longest_timeout)
                   : core.now() + std::clamp(awaited.polling_time, Duration{0}, longest_timeout);
}

std::string fault_of(Core& core, const Endure::Options& wanted, errc& code) {
    if (core.router().has_ring()) {
        code = errc::unsupported_operation;
        return "memcached buckets have no replicas";
    }
    code = errc::durability_impossible;
    return Endure::fault_of(wanted.persist_to, wanted.replicate_to, *core.router().map());
}

bool check_copies(Core& core, Slot& slot, std::string_view key, const Endure::Options& wanted) {
    if (!check_couchbase(core, slot, key, "replicas")) return false;
    const auto reject = [&](errc code, std::string why) {
        core.reject(slot, code, key, std::move(why));
        return false;
    };
    const std::string_view fault = Endure::fault_of(wanted.persist_to, wanted.replicate_to);
    if (!fault.empty()) return reject(errc::invalid_argument, std::string(fault));
    Router& router = core.router();
    if (router.has_ring()) return reject(errc::unsupported_operation, "memcached buckets have no replicas");
    if (const protocol::ClusterMap* const map = router.map()) {  // without one it turns out afterwards
        std::string why = Endure::fault_of(wanted.persist_to, wanted.replicate_to, *map, router.route(key).vbucket);
        if (!why.empty()) return reject(errc::durability_impossible, std::move(why));
    }
    return true;
}

Error of_mutation(const Error& error, Cas cas, const std::optional<MutationToken>& token) {
    ErrorContext context = error.context();
    context.mutation_happened = true;
    context.may_have_happened = true;
    context.cas = cas;
    context.mutation_token = token;
    return Error(error.code(), std::move(context));
}

MutationRequest::MutationRequest(Core& core, Slot& slot, std::string_view key, const Beyond& beyond)
    : core_(core), whole_(slot), key_(key), timeout_(beyond.timeout) {
    if (check(beyond)) return;
    slot_ = nullptr;
}

MutationRequest::~MutationRequest() {
    if (slot_ && slot_ != &whole_) core_.finish_part(whole_);  // this one's share
}

bool MutationRequest::reject(errc code, std::string message) {
    core_.reject(whole_, code, key_, std::move(message));
    return false;
}

bool MutationRequest::check(const Beyond& beyond) {
    const bool polls = beyond.persist_to != CopyCount() || beyond.replicate_to != CopyCount();
    if (beyond.level != DurabilityLevel::none) {
        if (polls) return reject(errc::invalid_argument, two_ways);
        if (!check_level(beyond.level)) return false;
    }
    if (beyond.preserve_expiry) {
        if (!check_preserve_expiry(core_, whole_, key_)) return false;
        infos_[used_++] = protocol::RequestFrameInfo::preserve_ttl();
    }
    slot_ = &whole_;
    if (beyond.level != DurabilityLevel::none) return true;

    const std::optional<Awaited> wanted = awaited(core_, beyond);
    if (!wanted) return true;
    if (!check_copies(core_, whole_, key_, wanted->wanted)) return false;
    const OperationKind kind = whole_.kind;
    const auto opcode = static_cast<protocol::Opcode>(whole_.opcode);
    const bool quiet = whole_.quiet;
    core_.adopt(whole_, std::make_unique<DurableMutation>(whole_, key_, *wanted, beyond.timeout));
    slot_ = &core_.add_part(whole_, kind, opcode);
    slot_->quiet = quiet;
    slot_->xattr_specs = whole_.xattr_specs;
    return true;
}

bool MutationRequest::check_level(DurabilityLevel level) {
    if (level > DurabilityLevel::persist_to_majority) return reject(errc::invalid_argument, "no such durability level");
    if (core_.settings().connection.scheme == Scheme::memcached) {
        return reject(errc::feature_not_available, "plain memcached has no durable writes");
    }
    if (core_.router().has_ring()) {
        return reject(errc::feature_not_available, "memcached buckets have no durable writes");
    }
    const protocol::ClusterMap* const map = core_.router().map();
    if (map && !map->has_capability("durableWrite")) {
        return reject(errc::feature_not_available, "the bucket has no durable writes (it takes Couchbase 6.5)");
    }
    if (core_.lacks(whole_, key_, protocol::Feature::sync_replication) ||
        core_.lacks(whole_, key_, protocol::Feature::alt_request)) {
        return reject(errc::feature_not_available, "the node does not grant durable writes (it takes Couchbase 6.5)");
    }
    if (!timeout_) timeout_ = std::max(default_durable_write_timeout, core_.settings().operation_timeout);
    // The server gives up first, so that the outcome is known.
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(*timeout_).count();
    const auto sent = std::clamp<std::int64_t>(milliseconds - milliseconds / 10, 1, 65'534);
    infos_[used_++] = protocol::RequestFrameInfo::durability(static_cast<protocol::DurabilityLevel>(level),
                                                             static_cast<std::uint16_t>(sent));
    return true;
}

void store_otherwise(Core& core, Slot& slot, OperationKind kind, std::string_view key, std::string_view value,
                     StoreOptions options) {
    if (options.preserve_expiry && kind == OperationKind::insert) {
        return core.reject(slot, errc::invalid_argument, key, "preserve_expiry: a new document has no expiry yet");
    }
    if (options.preserve_expiry && kind == OperationKind::replace && options.expiry.kind() != Expiry::Kind::never) {
        return core.reject(slot, errc::invalid_argument, key,
                           "preserve_expiry and expiry: of a document that exists only one can hold");
    }
    const auto wire = check_expiry(core, slot, key, options.expiry);
    if (!wire) return;
    MutationRequest mutation(core, slot, key, Beyond::of(options));
    if (!mutation) return;
    protocol::StoreRequest request{
        .opcode = opcode_of(kind), .key = key, .value = value, .flags = options.flags, .expiry = *wire};
    request.context.cas = options.cas;
    request.context.frame_infos = mutation.frame_infos();
    core.submit(mutation.slot(), mutation.timeout(), key, request);
}

void concat_otherwise(Core& core, Slot& slot, OperationKind kind, std::string_view key, std::string_view value,
                      ConcatOptions options) {
    MutationRequest mutation(core, slot, key, Beyond::of(options));
    if (!mutation) return;
    protocol::ConcatRequest request{.opcode = opcode_of(kind), .key = key, .value = value};
    request.context.cas = options.cas;
    request.context.frame_infos = mutation.frame_infos();
    core.submit(mutation.slot(), mutation.timeout(), key, request);
}

void remove_otherwise(Core& core, Slot& slot, std::string_view key, RemoveOptions options) {
    Beyond beyond = Beyond::of(options);
    beyond.removes = true;
    MutationRequest mutation(core, slot, key, beyond);
    if (!mutation) return;
    protocol::RemoveRequest request{.key = key};
    request.context.cas = options.cas;
    request.context.frame_infos = mutation.frame_infos();
    core.submit(mutation.slot(), mutation.timeout(), key, request);
}

void count_otherwise(Core& core, Slot& slot, std::string_view key, CounterOptions options) {
    const auto wire = check_expiry(core, slot, key, options.expiry);
    if (!wire) return;
    MutationRequest mutation(core, slot, key, Beyond::of(options));
    if (!mutation) return;
    const bool up = options.delta >= 0;
    const auto delta = static_cast<std::uint64_t>(options.delta);
    protocol::CounterRequest request{.opcode = up ? protocol::Opcode::increment : protocol::Opcode::decrement,
                                     .key = key,
                                     .delta = up ? delta : 0 - delta,
                                     .initial = options.initial.value_or(0),
                                     .expiry = options.initial ? *wire : protocol::counter_no_create};
    request.context.frame_infos = mutation.frame_infos();
    core.submit(mutation.slot(), mutation.timeout(), key, request);
}

}  // namespace chaise::detail

namespace chaise {

DurabilityScope::DurabilityScope(detail::Core& core, CopyCount persist_to, CopyCount replicate_to,
                                 const DurabilityOptions& options)
    : core_(&core), id_(core.begin_durability(persist_to, replicate_to, options)) {
    core.add_share();
}

DurabilityScope::~DurabilityScope() {
    if (!core_) return;
    core_->end_durability(id_);
    core_->drop_share();
}

}  // namespace chaise
