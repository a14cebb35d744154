// endure: waiting until enough copies of one or many documents have a version.

#include "bucket/core.hpp"
#include "bucket/durable_mutation.hpp"
#include "bucket/endure_parts.hpp"
#include "bucket/entries.hpp"
#include "bucket/start.hpp"

#include <chaise/detail/bucket_handle.hpp>

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace chaise::detail {

namespace {

class EndureOperation final : public EndureParts {
public:
    EndureOperation(std::vector<Endure::Key> keys, const EndureMultiOptions& options, bool multi)
        : keys_(std::move(keys)), options_(options), multi_(multi) {}

    void start(Core& core, Slot& whole, Duration left) override {
        const protocol::ClusterMap& map = *core.router().map();
        for (Endure::Key& key : keys_) {
            key.vbucket = core.router().route(key.name).vbucket;
            if (key.token && key.token->vbucket != key.vbucket) {
                return refuse(
                    core, whole, errc::invalid_argument,
                    fmt::format("the token is of vbucket {}, the key is in {}", key.token->vbucket, key.vbucket),
                    key.name);
            }
        }
        std::string fault = Endure::fault_of(options_.persist_to, options_.replicate_to, map);
        if (!fault.empty()) return refuse(core, whole, errc::durability_impossible, std::move(fault), about());
        Endure run({.persist_to = options_.persist_to,
                    .replicate_to = options_.replicate_to,
                    .check_removed = options_.check_removed,
                    .deadline = core.now() + left,
                    .interval = options_.interval});
        for (const Endure::Key& key : keys_) run.add(key);
        begin_polling(core, whole, std::move(run));
    }
    [[nodiscard]] std::string_view about() const noexcept override {
        return keys_.size() == 1 ? std::string_view(keys_.front().name) : std::string_view();
    }
    void done(std::size_t n, OperationKind kind, void* result, Error* error) override {
        static_cast<void>(polled(n, kind, result, error));
    }
    void finish(Core& core, Slot& whole) override {
        if (refused_) {
            Error error = is_multi(whole.kind) ? multi_error(refused_) : refused_;
            return core.deliver_error(whole, error);
        }
        if (is_multi(whole.kind)) {
            auto data = collect();
            return deliver_entries(core, whole, data);
        }
        auto outcome = outcome_of(0);
        if (!outcome) return core.deliver_error(whole, outcome.error());
        core.deliver(whole, *outcome);
    }
    std::shared_ptr<const AnyMultiData> so_far() const override {
        auto data = std::make_shared<MultiData<OperationResult>>();
        for (std::size_t k = 0; k < key_count(); ++k) {
            if (key(k).outcome) add_entry(*data, key(k).name, outcome_of(k));
        }
        return data;
    }
    Error attach_to(Error error) override {
        // Without a key it ended before anything was asked.
        return multi_ && key_count() != 0 ? with_entries(error, collect()) : error;
    }

private:
    void refuse(Core& core, Slot& whole, errc code, std::string message, std::string_view key) {
        ErrorContext context = core.make_error_of_whole(whole, code, std::move(message), key).context();
        context.operation = "endure";
        refused_ = Error(code, std::move(context));
    }
    [[nodiscard]] Expected<OperationResult, Error> outcome_of(std::size_t at) const {
        const Endure::Key& one = key(at);
        if (one.outcome != errc::success) {
            ErrorContext context = error_of(one).context();
            context.operation = "endure";
            return Unexpected<Error>(Error(one.outcome.value_or(errc::cancelled), std::move(context)));
        }
        OperationResult result = one.token ? OperationResult(errc::success, one.last_cas(), *one.token)
                                           : OperationResult(errc::success, one.last_cas());
        result.set_copies(one.persisted_on(), one.replicated_on());
        return result;
    }
    [[nodiscard]] std::shared_ptr<MultiData<OperationResult>> collect() const {
        auto data = std::make_shared<MultiData<OperationResult>>();
        data->entries.reserve(key_count());
        for (std::size_t k = 0; k < key_count(); ++k) add_entry(*data, key(k).name, outcome_of(k));
        return data;
    }

    std::vector<Endure::Key> keys_;
    const EndureMultiOptions options_;
    const bool multi_;
    Error refused_;
};

Endure::Key key_of(const EndureElement& element) {
    Endure::Key key;
    key.name = element.key;
    key.cas = element.cas;
    key.token = element.token;
    return key;
}

Slot& start_endure(Core& core, Collection& collection, OperationKind kind, std::vector<Endure::Key> keys,
                   const EndureMultiOptions& options, std::string_view fault_of_key) {
    Slot& slot =
        core.acquire(&collection, kind, static_cast<protocol::Opcode>(OperationKind::endure));  // its name in errors
    const std::string_view first = keys.empty() ? std::string_view() : std::string_view(keys.front().name);
    if (!check_couchbase(core, slot, first, "endure")) return slot;
    for (const Endure::Key& key : keys) {
        if (!check_key(core, slot, key.name)) return slot;
    }
    std::string_view fault = Endure::fault_of(options.persist_to, options.replicate_to);
    if (keys.empty()) fault = "there are no entries";
    if (options.interval && *options.interval <= Duration{0}) fault = "the interval must be more than 0";
    if (!fault_of_key.empty()) fault = fault_of_key;
    if (!fault.empty()) {
        core.reject(slot, errc::invalid_argument, keys.size() == 1 ? first : std::string_view(), std::string(fault));
        return slot;
    }
    core.submit_when_open(slot, std::make_unique<EndureOperation>(std::move(keys), options, is_multi(kind)),
                          options.timeout.value_or(default_durability_timeout));
    return slot;
}

}  // namespace

AsyncResult<OperationResult> BucketHandle::endure(std::string_view key, const EndureOptions& options) {
    std::vector<Endure::Key> keys;
    keys.push_back(key_of({.key = key, .cas = options.cas, .token = options.token}));
    return AsyncResult<OperationResult>(&start_endure(*core_, *collection_, OperationKind::endure, std::move(keys),
                                                      {.persist_to = options.persist_to,
                                                       .replicate_to = options.replicate_to,
                                                       .timeout = options.timeout,
                                                       .interval = options.interval,
                                                       .check_removed = options.check_removed},
                                                      {}));
}

struct EndureCall::Keys {
    std::vector<Endure::Key> keys;
    std::string_view fault;
};

EndureCall::EndureCall(Core& core, Collection& collection, const EndureMultiOptions& options)
    : core_(core), collection_(collection), options_(options), keys_(std::make_unique<Keys>()) {}
EndureCall::~EndureCall() = default;

void EndureCall::add(const EndureElement& element) {
    if (element.needs_version && element.cas == 0 && !element.token) {
        keys_->fault = "a result given for a key has neither CAS nor mutation token";
    }
    keys_->keys.push_back(key_of(element));
}

Slot& EndureCall::start() {
    return start_endure(core_, collection_, OperationKind::multi_operation, std::move(keys_->keys), options_,
                        keys_->fault);
}

}  // namespace chaise::detail
