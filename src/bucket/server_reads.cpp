// Statistics of groups and of documents, a random document, what a node knows of a document.

#include "bucket/server_reads.hpp"

#include <chaise/detail/bucket_handle.hpp>
#include <chaise/meta.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace chaise::detail {

// ---- statistics --------------------------------------------------------------------------------------------------

void KeyStats::start(Core& core, Slot& whole, Duration left) {
    Router& router = core.router();
    const std::uint16_t vbucket = router.route(key_).vbucket;
    const std::string group = "key " + key_ + ' ' + std::to_string(vbucket);
    for (unsigned copy = 0; copy <= router.map()->replicas; ++copy) {
        if (copy != 0 && !router.holder(vbucket, copy)) continue;
        Slot& part = core.add_part(whole, OperationKind::key_stats, protocol::Opcode::stat);
        part.idempotent = true;
        part.copy = static_cast<std::uint8_t>(copy);
        protocol::StatRequest request{};
        request.group = group;
        core.submit_by(router.route(vbucket, copy), part, left, key_, request);
    }
}

void KeyStats::done(std::size_t, OperationKind, void* result, Error* error) {
    if (error) {
        errors_.push_back(std::move(*error));
    } else {
        stats_.merge(std::move(*static_cast<StatsResult*>(result)));
    }
}

void KeyStats::finish(Core& core, Slot& whole) {
    if (deliver_shutdown(core, whole, key_, errors_)) return;
    if (!stats_.stats().empty() || errors_.empty()) return core.deliver(whole, stats_);
    // That it is not there is known only if nobody fails to say so.
    const auto worst = std::find_if(errors_.begin(), errors_.end(),
                                    [](const Error& error) { return error != errc::document_not_found; });
    core.deliver_error(whole, worst == errors_.end() ? errors_.front() : *worst);
}

AsyncResult<StatsResult> BucketHandle::key_stats(std::string_view key, const StatsOptions& options) {
    return AsyncResult<StatsResult>(&start_key_stats(*core_, KeySlots{*core_, *collection_}, key, options));
}

AsyncResult<StatsResult> BucketHandle::stats(std::vector<std::string> groups, const StatsOptions& options) {
    Slot& slot = core_->acquire(nullptr, OperationKind::stats, protocol::Opcode::stat);
    slot.idempotent = true;
    const bool too_long = std::any_of(groups.begin(), groups.end(),
                                      [](const auto& group) { return group.size() > protocol::max_key_size; });
    if (too_long) {
        core_->reject(slot, errc::invalid_argument, {}, "the name of the group of statistics is too long");
    } else if (groups.empty()) {
        core_->reject(slot, errc::invalid_argument, {}, "there are no groups");
    } else {
        core_->submit_to_all(slot, options.timeout, std::move(groups));
    }
    return AsyncResult<StatsResult>(&slot);
}

// ---- a document's meta data --------------------------------------------------------------------------------------

AsyncResult<MetaResult> BucketHandle::get_meta(std::string_view key, const GetMetaOptions& options) {
    Slot& slot = core_->acquire(collection_, OperationKind::get_meta, protocol::Opcode::get_meta);
    slot.quiet = options.quiet.value_or(core_->settings().quiet);
    slot.idempotent = true;
    // An unknown command with a key makes memcached lose step (protocol.md 2.9).
    if (check_couchbase(*core_, slot, key, "meta data") && check_key(*core_, slot, key)) {
        protocol::GetMetaRequest request{.key = key, .version = 2};
        core_->submit(slot, options.timeout, key, request);
    }
    return AsyncResult<MetaResult>(&slot);
}

// ---- a random document -------------------------------------------------------------------------------------------

namespace {

/// One node after another, until one has a document.
class RandomKey final : public Parts {
public:
    void start(Core& core, Slot& whole, Duration left) override {
        core_ = &core;
        whole_ = &whole;
        deadline_ = core.now() + left;
        nodes_ = core.router().nodes(false);
        if (nodes_.empty()) return;
        const auto first = static_cast<std::ptrdiff_t>(core.iops().random() % nodes_.size());
        std::rotate(nodes_.begin(), nodes_.begin() + first, nodes_.end());
        // Those that do not answer are asked last.
        std::stable_partition(nodes_.begin(), nodes_.end(), [](const Line* node) { return node->ready(); });
        ask_next();
    }
    void done(std::size_t, OperationKind, void* result, Error* error) override {
        if (result) {
            found_ = std::move(*static_cast<RandomKeyResult*>(result));
        } else if (*error == errc::document_not_found) {
            ask_next();
        } else if (*error == errc::request_canceled) {  // it has left the cluster, and its documents are elsewhere
            gone_ = std::move(*error);
            ask_next();
        } else {
            error_ = std::move(*error);
        }
    }
    void finish(Core& core, Slot& whole) override {
        if (found_) return core.deliver(whole, *found_);
        Error error =
            error_ ? *error_
            : gone_ || nodes_.empty()
                ? core.make_error_of_whole(whole, errc::request_canceled,
                                           "nodes left the cluster before they were asked", {}, gone_.value_or(Error()))
                : core.make_error_of_whole(whole, errc::document_not_found,
                                           "no node has a document: the bucket is empty", {});
        core.deliver_error(whole, error);
    }

private:
    void ask_next() {
        if (core_->closed()) return;
        const std::vector<Line*> known = core_->router().nodes(true);
        while (asked_ < nodes_.size()) {
            Line* const node = nodes_[asked_++];
            if (std::find(known.begin(), known.end(), node) == known.end()) {  // it has left the cluster
                if (!gone_) gone_.emplace();
                continue;
            }
            Slot& part = core_->add_part(*whole_, OperationKind::random_key, protocol::Opcode::get_random_key);
            part.idempotent = true;
            part.copy = this_node;
            protocol::GetRandomKeyRequest request{};
            if (node->prefixed()) request.context.collection = 0;
            return core_->submit_by({*node, 0}, part, deadline_ - core_->now(), {}, request);
        }
    }

    Core* core_ = nullptr;
    Slot* whole_ = nullptr;
    TimePoint deadline_{};
    std::vector<Line*> nodes_;
    std::size_t asked_ = 0;
    std::optional<RandomKeyResult> found_;
    std::optional<Error> gone_;  ///< of a node that left unasked; empty if nobody said so
    std::optional<Error> error_;
};

}  // namespace

AsyncResult<RandomKeyResult> BucketHandle::get_random_key(const ServerOptions& options) {
    Slot& slot = core_->acquire(nullptr, OperationKind::random_key, protocol::Opcode::get_random_key);
    if (check_couchbase(*core_, slot, {}, "command for a random key")) {
        core_->submit_when_open(slot, std::make_unique<RandomKey>(), options.timeout);
    }
    return AsyncResult<RandomKeyResult>(&slot);
}

}  // namespace chaise::detail
