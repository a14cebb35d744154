// observe: the copies of one or many documents, one packet for each node.

#include "bucket/core.hpp"
#include "bucket/entries.hpp"
#include "bucket/parts.hpp"
#include "bucket/start.hpp"
#include "durability/observe_round.hpp"

#include <chaise/detail/bucket_handle.hpp>
#include <chaise/observe.hpp>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace chaise::detail {

namespace {

class Observation final : public Parts {
public:
    Observation(std::vector<std::string> keys, bool master_only) : names_(std::move(keys)), master_only_(master_only) {}

    void start(Core& core, Slot& whole, Duration left) override {
        core_ = &core;
        whole_ = &whole;
        deadline_ = core.now() + left;
        // In the body, too, keys are what they are on the wire.
        if (core.router().prefixed()) prefix_ = whole.collection->prefix();
        for (const std::string& name : names_) {
            const std::size_t key = round_.add(prefix_ + name, core.router().route(name).vbucket);
            if (master_only_) {
                round_.want(key, 0);
            } else {
                round_.want_all(key, *core.router().map());
            }
        }
        for (const ObserveRound::Packet& packet : round_.packets(*core.router().map())) {
            Session* const node = core.router().node(packet.server);
            if (packet.targets.size() > 1 && node) {
                ask(packet, {*node, 0}, this_node);
            } else {
                ask_one_by_one(packet);
            }
        }
    }
    [[nodiscard]] bool needs_vbuckets() const noexcept override { return true; }
    [[nodiscard]] std::string_view about() const noexcept override {
        return names_.size() == 1 ? std::string_view(names_.front()) : std::string_view();
    }
    void done(std::size_t n, OperationKind, void* result, Error* error) override {
        const ObserveRound::Packet packet = asked_[n];  // asking others may move it
        if (result) {
            if (round_.answer(packet, *static_cast<std::string_view*>(result))) return;
            const Error malformed = core_->make_error_of_whole(
                *whole_, errc::protocol_error, "the server's answer is not about what was asked", key_of(packet));
            return fail(packet, malformed);
        }
        // Some of them are elsewhere by now: each finds its own way there.
        const bool moved = *error == errc::not_my_vbucket || *error == errc::request_canceled;
        if (moved && packet.targets.size() > 1 && !core_->closed()) return ask_one_by_one(packet);
        fail(packet, *error);
    }
    void finish(Core& core, Slot& whole) override {
        if (is_multi(whole.kind)) {
            auto data = collect();
            return deliver_entries(core, whole, data);
        }
        for (const auto& [at, error] : errors_) {
            if (deliver_shutdown(core, whole, about(), {&error, 1})) return;
        }
        auto outcome = outcome_of(0);
        if (!outcome) return core.deliver_error(whole, outcome.error());
        core.deliver(whole, *outcome);
    }
    std::shared_ptr<const AnyMultiData> so_far() const override {
        auto data = std::make_shared<MultiData<ObserveResult>>();
        for (std::size_t k = 0; k < round_.keys().size(); ++k) {
            if (all_told(k)) add_entry(*data, names_[k], outcome_of(k));
        }
        return data;
    }
    Error attach_to(Error error) override {
        // Without parts it was refused, or ended before it was known whom to ask.
        if (!whole_ || !is_multi(whole_->kind)) return error;
        return with_entries(error, collect());
    }

private:
    [[nodiscard]] std::string_view key_of(const ObserveRound::Packet& packet) const {
        return names_[packet.targets.front().key];
    }
    void ask(const ObserveRound::Packet& packet, const Router::Route& to, std::uint8_t copy) {
        Slot& part = core_->add_part(*whole_, OperationKind::observe_some, protocol::Opcode::observe);
        asked_.push_back(packet);
        part.idempotent = true;
        part.copy = copy;
        part.body_prefix = static_cast<std::uint8_t>(prefix_.size());
        const std::vector<protocol::ObserveKey> entries = round_.entries(packet);
        protocol::ObserveRequest request{.keys = entries};
        core_->submit_by(to, part, deadline_ - core_->now(), {}, request);
    }
    void ask_one_by_one(const ObserveRound::Packet& packet) {
        for (const ObserveRound::Target& target : packet.targets) {
            const ObserveRound::Key& key = round_.keys()[target.key];
            const std::uint8_t copy = key.copies[target.copy].copy;
            if (copy != 0 && !core_->router().holder(key.vbucket, copy)) {
                errors_[place(target)] = core_->make_error_of_whole(
                    *whole_, errc::document_unretrievable, "no node has this copy any more", names_[target.key]);
                continue;
            }
            ask({packet.server, {target}}, core_->router().route(key.vbucket, copy), copy);
        }
    }
    void fail(const ObserveRound::Packet& packet, const Error& error) {
        for (const ObserveRound::Target& target : packet.targets) errors_[place(target)] = error;
    }
    using Place = std::pair<std::size_t, std::size_t>;
    static Place place(const ObserveRound::Target& target) noexcept { return {target.key, target.copy}; }

    /// Each copy of it has answered, or never will.
    [[nodiscard]] bool all_told(std::size_t at) const {
        const auto& copies = round_.keys()[at].copies;
        for (std::size_t c = 0; c < copies.size(); ++c) {
            if (!copies[c].answered && !errors_.contains({at, c})) return false;
        }
        return true;
    }
    [[nodiscard]] Expected<ObserveResult, Error> outcome_of(std::size_t at) const {
        const ObserveRound::Key& key = round_.keys()[at];
        std::vector<ObserveInfo> copies;
        const Error* first = nullptr;
        bool answered = false;
        for (std::size_t c = 0; c < key.copies.size(); ++c) {
            const ObserveRound::Copy& copy = key.copies[c];
            ObserveInfo info{.from_master = copy.copy == 0,
                             .copy = copy.copy,
                             .status = static_cast<ObserveStatus>(copy.state),
                             .cas = copy.cas};
            if (copy.answered) {
                answered = true;
            } else if (const auto error = errors_.find({at, c}); error != errors_.end()) {
                info.rc = error->second.code();
                if (!first || info.rc == errc::shutdown) first = &error->second;
            }
            copies.push_back(info);
        }
        const bool closed = first && *first == errc::shutdown;
        if (answered && !closed) return ObserveResult(std::move(copies));
        // Of a packet for many keys: this is about one.
        ErrorContext context = (first ? *first : Error()).context();
        context.operation = "observe";
        context.key = names_[at];
        return Unexpected<Error>(Error(first ? first->code() : errc::cancelled, std::move(context)));
    }
    [[nodiscard]] std::shared_ptr<MultiData<ObserveResult>> collect() const {
        auto data = std::make_shared<MultiData<ObserveResult>>();
        data->entries.reserve(round_.keys().size());
        for (std::size_t k = 0; k < round_.keys().size(); ++k) add_entry(*data, names_[k], outcome_of(k));
        return data;
    }

    const std::vector<std::string> names_;
    const bool master_only_;
    Core* core_ = nullptr;
    Slot* whole_ = nullptr;
    TimePoint deadline_{};
    std::string prefix_;                       ///< of the keys: their collection's, where there are collections
    ObserveRound round_;                       ///< in the order of names_
    std::vector<ObserveRound::Packet> asked_;  ///< by part
    std::map<Place, Error> errors_;
};

Slot& start_observe(Core& core, Collection& collection, OperationKind kind, std::vector<std::string> keys,
                    const ObserveOptions& options) {
    Slot& slot =
        core.acquire(&collection, kind, static_cast<protocol::Opcode>(OperationKind::observe));  // its name in errors
    if (!check_couchbase(core, slot, keys.empty() ? std::string_view() : keys.front(), "observe")) return slot;
    for (const std::string& key : keys) {
        if (!check_key(core, slot, key)) return slot;
    }
    if (keys.empty()) {
        core.reject(slot, errc::invalid_argument, {}, "there are no entries");
    } else {
        core.submit_when_open(slot, std::make_unique<Observation>(std::move(keys), options.master_only),
                              options.timeout);
    }
    return slot;
}

}  // namespace

AsyncResult<ObserveResult> BucketHandle::observe(std::string_view key, const ObserveOptions& options) {
    std::vector<std::string> keys;
    keys.emplace_back(key);
    return AsyncResult<ObserveResult>(
        &start_observe(*core_, *collection_, OperationKind::observe, std::move(keys), options));
}

AsyncResult<MultiResult<ObserveResult>> BucketHandle::observe_keys(std::vector<std::string> keys,
                                                                   const ObserveOptions& options) {
    return AsyncResult<MultiResult<ObserveResult>>(
        &start_observe(*core_, *collection_, OperationKind::multi_observe, std::move(keys), options));
}

}  // namespace chaise::detail
