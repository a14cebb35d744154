#include "bucket/replica_read.hpp"

#include <chaise/detail/bucket_handle.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace chaise::detail {

bool check_choice(Core& core, Slot& slot, std::string_view key, const CopyChoice& choice) {
    if (choice.preference == ReadPreference::no_preference) return true;
    if (choice.index) {
        core.reject(slot, errc::invalid_argument, key, "a replica's index and a read preference exclude each other");
        return false;
    }
    if (core.settings().preferred_server_group.empty()) {
        core.reject(slot, errc::invalid_argument, key,
                    "the read preference needs the bucket's option preferred_server_group");
        return false;
    }
    return true;
}

std::vector<std::uint8_t> CopyRead::choose(Core& core, const Slot& whole, std::uint16_t vbucket) {
    const Router& router = core.router();
    const protocol::ClusterMap& map = *router.map();
    const auto refuse = [&](errc code, std::string message) {
        refused_ = core.make_error_of_whole(whole, code, std::move(message), key_);
        return std::vector<std::uint8_t>();
    };
    if (choice_.index) {
        if (*choice_.index >= map.replicas) {
            return refuse(errc::invalid_argument, fmt::format("there is no replica {}: the bucket has {} of them",
                                                              *choice_.index, map.replicas));
        }
        if (!router.holder(vbucket, *choice_.index + 1)) {
            return refuse(errc::document_unretrievable, fmt::format("no node has replica {} of it", *choice_.index));
        }
        return {static_cast<std::uint8_t>(*choice_.index + 1)};
    }
    // The active copy is asked even if nobody has it now: it may come back in time.
    std::vector<std::uint8_t> copies = {0}, near;
    for (unsigned copy = 1; copy <= map.replicas; ++copy) {
        if (router.holder(vbucket, copy)) copies.push_back(static_cast<std::uint8_t>(copy));
    }
    if (choice_.preference == ReadPreference::no_preference) return copies;
    const std::string& group = core.settings().preferred_server_group;
    std::copy_if(copies.begin(), copies.end(), std::back_inserter(near),
                 [&](std::uint8_t copy) { return router.server_group(map.server(vbucket, copy)) == group; });
    if (!near.empty()) return near;
    if (choice_.preference == ReadPreference::selected_server_group_or_all_available) return copies;
    return refuse(errc::document_unretrievable, fmt::format("no node of server group \"{}\" has a copy of it", group));
}

void CopyRead::start(Core& core, Slot& whole, Duration left) {
    const std::string_view needed = capability();
    if (!needed.empty() && !core.router().map()->has_capability(needed)) {
        refused_ = core.make_error_of_whole(whole, errc::feature_not_available,
                                            fmt::format("the bucket does not have \"{}\"", needed), key_);
        return;
    }
    const std::uint16_t vbucket = core.router().route(key_).vbucket;
    asked_ = choose(core, whole, vbucket);
    for (const std::uint8_t copy : asked_) ask(core, whole, vbucket, copy, left);
}

void ReplicaRead::ask(Core& core, Slot& whole, std::uint16_t vbucket, std::uint8_t copy, Duration left) {
    const auto opcode = copy == 0 ? protocol::Opcode::get : protocol::Opcode::get_replica;
    Slot& part = core.add_part(whole, OperationKind::replica_read, opcode);
    part.idempotent = true;
    part.copy = copy;
    protocol::GetRequest request{.key = about(), .opcode = opcode};
    request.context.vbucket = vbucket;
    core.submit_by(core.router().route(vbucket, copy), part, left, about(), request);
}

void CopyRead::done(std::size_t n, OperationKind, void* result, Error* error) {
    if (error) {
        errors_.push_back(std::move(*error));
        return;
    }
    found(result, asked_[n] != 0);
    if (!choice_.all) enough();
}

Error CopyRead::why_not(Core& core, const Slot& whole) const {
    if (choice_.index) return errors_.front();
    // What a server said of its copy, in whatever words; without that it is not known whether there is a document.
    const auto answered = std::find_if(errors_.begin(), errors_.end(), [](const Error& error) {
        return error.context().status || error == errc::document_unretrievable;
    });
    if (answered == errors_.end()) {
        const Error& first = errors_.front();
        return core.make_error_of_whole(whole, first.code(), first.context().message, key_, first);
    }
    std::string reasons;
    for (const Error& error : errors_) {
        if (!reasons.empty()) reasons += ", ";
        reasons += fmt::format("{}: {}", error.context().node, name(error.code()));
    }
    return core.make_error_of_whole(whole, errc::document_unretrievable, std::move(reasons), key_);
}

void CopyRead::finish(Core& core, Slot& whole) {
    if (deliver_shutdown(core, whole, key_, errors_)) return;
    if (found_any()) return deliver_found(core, whole, choice_.all);
    if (refused_) return core.deliver_error(whole, *refused_);
    const bool nowhere = std::all_of(errors_.begin(), errors_.end(),
                                     [](const Error& error) { return error == errc::document_not_found; });
    if (quiet_ && nowhere) return deliver_missing(core, whole, choice_.all);
    Error error = why_not(core, whole);
    core.deliver_error(whole, error);
}

AsyncResult<ReplicaResult> BucketHandle::get_replica(std::string_view key, const GetReplicaOptions& options) {
    return AsyncResult<ReplicaResult>(&start_get_replica(*core_, KeySlots{*core_, *collection_}, key, options));
}

AsyncResult<AllReplicasResult> BucketHandle::get_all_replicas(std::string_view key,
                                                              const GetAllReplicasOptions& options) {
    return AsyncResult<AllReplicasResult>(
        &start_replica_read(*core_, KeySlots{*core_, *collection_}, OperationKind::get_all_replicas, key,
                            {.preference = options.read_preference, .all = true}, options.quiet, options.timeout));
}

}  // namespace chaise::detail
