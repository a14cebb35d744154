#include <charconv>

#include "cluster/kv/kv_connection.hpp"
#include "protocol/json_text.hpp"

// STAT (protocol.md 2.6): one frame per statistic, then an empty one.
namespace chaise::testing {

using protocol::RequestError;

namespace {

std::string_view state_name(VBucketState state) noexcept {
    switch (state) {
        case VBucketState::active:
            return "active";
        case VBucketState::replica:
            return "replica";
        case VBucketState::pending:
            return "pending";
        case VBucketState::any_alive:
        case VBucketState::dead:
            break;
    }
    return "dead";
}

bool parse_vbucket(std::string_view text, std::uint16_t& vbucket) noexcept {
    const auto end = std::from_chars(text.data(), text.data() + text.size(), vbucket);
    return end.ec == std::errc{} && end.ptr == text.data() + text.size();
}

}  // namespace

void KvConnection::stat(Command& command) {
    protocol::StatRequest request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    if (!request.value.empty()) return fail(command.origin, Status::einval, "the group takes no value");
    const auto put = [&](const std::string& name, std::string_view value) {
        answer(command.origin, {.key = name, .value = value});
    };
    const auto number = [&](const std::string& name, std::uint64_t value) { put(name, std::to_string(value)); };

    std::string_view group = request.group;
    std::string_view argument;
    if (const std::size_t space = group.find(' '); space != std::string_view::npos) {
        argument = group.substr(space + 1);
        group = group.substr(0, space);
    }
    const auto config = node_.bucket_config(bucket_);
    const bool per_vbucket =
        group == "vbucket" || group == "vbucket-details" || group == "vbucket-seqno" || group == "failovers";
    if (!config && (per_vbucket || group == "key" || group == "collections"))
        return fail(command.origin, Status::no_bucket, "No bucket selected");

    if (group.empty() || group == "reset") {
        KvNode::Counters& counters = node_.counters();
        if (!group.empty()) {
            counters.commands = counters.gets = counters.get_hits = counters.sets = counters.not_my_vbucket = 0;
            return succeed(command);
        }
        std::uint64_t items = 0;
        std::uint64_t replicas = 0;
        for (std::uint32_t id = 0; config && id < config->settings.vbuckets; ++id) {
            const VBucket* const vbucket = node_.vbucket(bucket_, static_cast<std::uint16_t>(id));
            if (vbucket == nullptr) continue;
            (vbucket->state() == VBucketState::active ? items : replicas) += vbucket->documents();
        }
        number("uptime",
               static_cast<std::uint64_t>(
                   std::chrono::duration_cast<std::chrono::seconds>(command.time.now - node_.started()).count()));
        number("time", command.time.seconds());
        put("version", "7.6.0-chaise");
        number("curr_connections", counters.connections);
        number("total_connections", counters.total_connections);
        number("cmd_total_ops", counters.commands);
        number("cmd_get", counters.gets);
        number("get_hits", counters.get_hits);
        number("get_misses", counters.gets - counters.get_hits);
        number("cmd_set", counters.sets);
        number("not_my_vbucket", counters.not_my_vbucket);
        number("curr_items", items);
        number("vb_replica_curr_items", replicas);
    } else if (per_vbucket) {
        std::uint16_t only = 0;
        if (!argument.empty() && !parse_vbucket(argument, only)) return fail(command.origin, Status::einval);
        if (!argument.empty() && node_.vbucket(bucket_, only) == nullptr) return not_my_vbucket(command);
        for (std::uint32_t id = 0; id < config->settings.vbuckets; ++id) {
            const VBucket* const vbucket = node_.vbucket(bucket_, static_cast<std::uint16_t>(id));
            if (vbucket == nullptr || (!argument.empty() && id != only)) continue;
            const std::string name = "vb_" + std::to_string(id);
            if (group == "vbucket" || group == "vbucket-details") put(name, state_name(vbucket->state()));
            if (group == "vbucket-details") number(name + ":num_items", vbucket->documents());
            if (group == "vbucket-details" || group == "vbucket-seqno") {
                number(name + ":high_seqno", vbucket->high_seqno());
                number(name + ":last_persisted_seqno", vbucket->persisted_seqno());
                number(name + ":uuid", vbucket->uuid());
            }
            if (group == "failovers") {
                const auto& log = vbucket->failover_log();
                number(name + ":num_entries", log.size());
                for (std::size_t i = 0; i < log.size(); ++i) {
                    number(name + ':' + std::to_string(i) + ":id", log[i].uuid);
                    number(name + ':' + std::to_string(i) + ":seq", log[i].seqno);
                }
            }
        }
    } else if (group == "key") {
        const std::size_t space = argument.rfind(' ');
        std::uint16_t id = 0;
        if (space == std::string_view::npos || space == 0 || !parse_vbucket(argument.substr(space + 1), id))
            return fail(command.origin, Status::einval, "key KEY VBUCKET");
        VBucket* const vbucket = node_.vbucket(bucket_, id);
        if (vbucket == nullptr) return not_my_vbucket(command);
        const std::string key = std::string(1, '\0').append(argument.substr(0, space));
        const KvOutcome outcome = vbucket->read(key, command.time);
        if (outcome.status != Status::success) return fail(command.origin, outcome.status);
        const Document& document = *outcome.document;
        put("key_vb_state", state_name(vbucket->state()));
        number("key_cas", document.cas);
        number("key_exptime", document.expiry);
        number("key_flags", document.flags);
        put("key_is_dirty", document.seqno > vbucket->persisted_seqno() ? "true" : "false");
        put("key_is_locked", vbucket->locked(key, command.time) ? "true" : "false");
        number("key_seqno", document.seqno);
    } else if (group == "collections") {
        put("manifest_uid", protocol::json_hex(config->manifest.uid));
        for (const auto& scope : config->manifest.scopes) {
            for (const auto& collection : scope.collections) {
                std::uint64_t items = 0;
                for (std::uint32_t id = 0; id < config->settings.vbuckets; ++id) {
                    const VBucket* const vbucket = node_.vbucket(bucket_, static_cast<std::uint16_t>(id));
                    if (vbucket != nullptr && vbucket->state() == VBucketState::active)
                        items += vbucket->documents(collection.uid);
                }
                const std::string name =
                    "0x" + protocol::json_hex(scope.uid) + ":0x" + protocol::json_hex(collection.uid);
                put(name + ":name", collection.name);
                put(name + ":scope_name", scope.name);
                number(name + ":items", items);
            }
        }
    } else {
        return fail(command.origin, Status::key_enoent);
    }
    succeed(command);
}

}  // namespace chaise::testing
