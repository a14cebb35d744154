#include "topology/collections.hpp"

#include "bucket/core.hpp"
#include "protocol/key_prefix.hpp"
#include "protocol/session_responses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

namespace chaise::detail {

namespace {

using namespace std::chrono_literals;

/// Waits between questions, while a node lags behind or the answer does not help.
constexpr std::array<std::chrono::microseconds, 6> pauses = {1ms, 10ms, 50ms, 100ms, 500ms, 1000ms};

constexpr std::size_t max_name_size = 251;

/// Why no server has a scope or collection of this name; empty: it may have.
std::string why_impossible(std::string_view what, std::string_view name) {
    if (name.empty()) return fmt::format("the {}'s name is empty", what);
    if (name.size() > max_name_size) {
        return fmt::format("the {}'s name has {} bytes, the limit is {}", what, name.size(), max_name_size);
    }
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
               c == '%';
    };
    if (!std::all_of(name.begin(), name.end(), good)) {
        return fmt::format("the {}'s name may have only letters, digits, '_', '-' and '%'", what);
    }
    return {};
}

/// The manifest that a node's error speaks of.
std::optional<std::uint64_t> manifest_of(std::string_view value) {
    protocol::Frame frame;
    frame.value = value;
    return protocol::decode_error_context(frame).manifest_uid;
}

}  // namespace

Collections::Collections(Core& core)
    : core_(core),
      default_("_default", "_default", core.settings().max_queue_operations, core.settings().max_queue_bytes,
               &core.byte_budget()),
      timer_(core.iops().timer_event_factory()) {
    timer_->set_handler([](void* self, int) { static_cast<Collections*>(self)->on_timer(); }, this);
}

Collections::~Collections() {
    if (!loop_gone_) core_.iops().cleanup(*timer_);
}

Collection& Collections::find(std::string_view scope, std::string_view name) {
    if (scope == "_default" && name == "_default") return default_;
    // A dot may be part of neither, but users write what they like.
    std::string key = fmt::format("{}/{}.{}", scope.size(), scope, name);
    if (const auto found = named_.find(key); found != named_.end()) return *found->second;
    auto made =
        std::make_unique<Collection>(std::string(scope), std::string(name), core_.settings().max_queue_operations,
                                     core_.settings().max_queue_bytes, &core_.byte_budget());
    std::string impossible = why_impossible("scope", scope);
    if (impossible.empty()) impossible = why_impossible("collection", name);
    if (!impossible.empty()) {
        made->refusal_code_ = errc::invalid_argument;
        made->refusal_ = std::move(impossible);
    } else if (core_.settings().connection.scheme == Scheme::memcached) {
        made->refusal_code_ = errc::unsupported_operation;
        made->refusal_ = "plain memcached has no collections";
    }
    return *named_.emplace(std::move(key), std::move(made)).first->second;
}

bool Collections::awaited(Collection& collection) {
    return collection.line_.pipeline().first() || core_.awaited(collection);
}

// ---- the search for an id ----------------------------------------------------------------------------------------

void Collections::heard_of(std::uint64_t manifest_uid) noexcept { newest_ = std::max(newest_, manifest_uid); }

void Collections::map_comes(const protocol::ClusterMap& map) noexcept {
    if (map.uuid.empty() || map.uuid == bucket_uuid_) return;
    bucket_uuid_ = map.uuid;
    newest_ = 0;
    default_.manifest_uid_ = 0;
    for (auto& [key, collection] : named_) collection->manifest_uid_ = 0;
    forget_ids();
}

void Collections::forget_ids() noexcept {
    for (auto& [key, collection] : named_) {
        collection->detour_ = &collection->line_;
        collection->step_ = 0;  // nobody has been asked of these
    }
}

std::vector<Line*> Collections::lines() {
    std::vector<Line*> all = {&default_.line_};
    for (auto& [key, collection] : named_) all.push_back(&collection->line_);
    return all;
}

void Collections::map_came(const protocol::ClusterMap& map) {
    if (map.manifest_uid) heard_of(*map.manifest_uid);
    if (awaited(default_)) search(default_);
    for (auto& [key, collection] : named_) {
        if (awaited(*collection)) search(*collection);
    }
}

void Collections::joined(Collection& collection) { search(collection); }

void Collections::search(Collection& collection) {
    if (collection.search_ != Collection::Search::resting || core_.closed() || !core_.router().opened()) return;
    collection.denials_ = 0;
    // After a while without a question it is another story.
    if (core_.now() - collection.last_asked_ > pauses.back()) collection.step_ = 0;
    if (collection.step_ == 0) {
        ask(collection);
    } else {
        pause(collection);
    }
}

void Collections::ask(Collection& collection) {
    Router& router = core_.router();
    if (router.has_ring()) {
        return give_up(collection, errc::unsupported_operation, "memcached buckets have no collections");
    }
    Line* node = router.ready_node(collection.asked_++);
    if (!node && router.any().ready()) {
        return give_up(collection, errc::unsupported_operation, "the cluster's nodes have no collections");
    }
    collection.search_ = Collection::Search::asking;
    collection.last_asked_ = core_.now();
    if (collection.denials_ == 0) collection.first_asked_ = core_.now();
    core_.ask_for_collection(node ? *node : router.any(), collection);
}

void Collections::pause(Collection& collection) {
    collection.search_ = Collection::Search::pausing;
    if (collection.step_ == 0) collection.step_ = 1;
    collection.due_ = core_.now() + pauses[std::min(collection.step_++, pauses.size()) - 1];
    arm();
}

void Collections::arm() {
    const Collection* first = nullptr;
    const auto consider = [&](const Collection& one) {
        if (one.search_ == Collection::Search::pausing && (!first || one.due_ < first->due_)) first = &one;
    };
    consider(default_);
    for (const auto& [key, collection] : named_) consider(*collection);
    if (!first) return;
    const auto delay = std::chrono::ceil<std::chrono::microseconds>(first->due_ - core_.now());
    core_.iops().schedule(*timer_, std::max(delay, std::chrono::microseconds{0}));
}

void Collections::on_timer() {
    Core::Dispatch dispatch(core_);
    const auto look = [&](Collection& one) {
        if (one.search_ != Collection::Search::pausing || one.due_ > core_.now()) return;
        one.search_ = Collection::Search::resting;
        if (awaited(one)) ask(one);  // else those who waited have gone
    };
    look(default_);
    for (auto& [key, collection] : named_) look(*collection);
    arm();
}

void Collections::answered(Collection& collection, const CollectionId* id, const Error* error) {
    collection.search_ = Collection::Search::resting;
    if (core_.closed()) return;
    if (core_.router().has_ring()) {  // meanwhile
        if (collection.named()) {
            return give_up(collection, errc::unsupported_operation, "memcached buckets have no collections");
        }
        collection.detour_ = core_.router().detour();
        return core_.router().reroute_all(collection.line_);
    }
    if (id) {
        heard_of(id->manifest_uid);
        if (id->manifest_uid < collection.manifest_uid_) return pause(collection);  // a node that has not heard yet
        collection.manifest_uid_ = id->manifest_uid;
        collection.set_id(id->id);
        collection.detour_ = nullptr;
        if (collection.step_ == 0) collection.step_ = 1;  // if this does not help, the next question waits
        core_.connecting_done();                          // wholes that waited for it
        return core_.router().reroute_all(collection.line_);
    }
    if (!awaited(collection)) return;  // those who waited have gone
    switch (error->code()) {
        case errc::collection_not_found:
        case errc::scope_not_found:
            return denied(collection, *error);
        case errc::timeout_before_send:
        case errc::timeout_after_send:
        case errc::temporary_failure:
        case errc::queue_full:
        case errc::not_connected:
        case errc::not_my_vbucket:
            collection.line_.set_last_failure(error->message());
            return pause(collection);
        case errc::unsupported_operation:
            return give_up(collection, errc::unsupported_operation, "the cluster's nodes have no collections");
        default:
            return give_up(collection, error->code(), error->message());
    }
}

void Collections::denied(Collection& collection, const Error& error) {
    const std::uint64_t known = newest_;
    const auto manifest = manifest_of(error.context().server_text);
    if (manifest) heard_of(*manifest);
    if (manifest && *manifest < known) {
        collection.line_.set_last_failure(error.context().node + " has an older manifest of the collections");
        collection.denials_ = 0;
        return pause(collection);
    }
    if (manifest && *manifest > known) collection.denials_ = 0;  // what others said is out of date
    if (++collection.denials_ < core_.router().ready_nodes()) return ask(collection);
    give_up(collection, error.code(),
            error == errc::scope_not_found ? fmt::format("there is no scope \"{}\"", collection.scope())
                                           : fmt::format("there is no collection \"{}\"", collection.path()),
            collection.first_asked_);
    if (awaited(collection)) search(collection);  // who came since may have come after it was made
}

void Collections::give_up(Collection& collection, errc code, const std::string& message, TimePoint begun_by) {
    collection.search_ = Collection::Search::resting;
    collection.step_ = 0;
    core_.fail_all(collection.line_, code, message, begun_by);
    core_.fail_waiting(collection, code, message, begun_by);
}

std::string Collections::why_waiting(Collection& collection) const {
    if (!core_.router().opened()) return core_.router().why_waiting(nullptr);
    std::string words = fmt::format("the id of collection \"{}\" is not known", collection.path());
    if (!collection.line_.last_failure().empty()) words += ": " + collection.line_.last_failure();
    return words;
}

// ---- ids that are not true any more --------------------------------------------------------------------------------

void Collections::doubt(Collection& collection) {
    if (!collection.detour_) collection.detour_ = &collection.line_;
}

void Collections::unknown(Slot& slot, const protocol::Frame& frame) {
    Collection& collection = *slot.collection;
    Router& router = core_.router();
    ++slot.retries;
    const auto manifest = protocol::decode_error_context(frame).manifest_uid;
    const std::string_view sent = protocol::key_prefix({slot.block->data() + slot.offset, slot.length});
    if (!collection.detour_ && sent == collection.prefix()) {
        // A node that is behind the one that knew the id will know it soon.
        if (manifest && *manifest < collection.manifest_uid_) return router.park(slot);
        if (manifest) heard_of(*manifest);
        collection.detour_ = &collection.line_;
    }
    router.reroute(slot);
    if (collection.detour_ == &collection.line_) search(collection);
}

// ---- the end -------------------------------------------------------------------------------------------------------

void Collections::fail_all(errc code, const std::string& message) {
    core_.fail_all(default_.line_, code, message);
    for (auto& [key, collection] : named_) core_.fail_all(collection->line_, code, message);
}

void Collections::close() noexcept {
    if (!loop_gone_ && timer_->active()) core_.iops().cancel(*timer_);
}

}  // namespace chaise::detail
