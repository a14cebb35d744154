#include "cluster/kv/kv_connection.hpp"
#include "cluster/kv/subdocument.hpp"
#include "protocol/data_responses.hpp"

// The sub-document commands (protocol.md 2.3): what is asked, and how the answer is told.
namespace chaise::testing {

using protocol::RequestError;
namespace doc_flag = protocol::doc_flag;

namespace {

void append_be16(std::string& out, std::uint16_t value) {
    char bytes[2];
    protocol::store_be16(bytes, value);
    out.append(bytes, sizeof bytes);
}

void append_be32(std::string& out, std::size_t value) {
    char bytes[4];
    protocol::store_be32(bytes, static_cast<std::uint32_t>(value));
    out.append(bytes, sizeof bytes);
}

void append_status(std::string& out, protocol::Status status) { append_be16(out, static_cast<std::uint16_t>(status)); }

}  // namespace

void KvConnection::subdocument(Command& command) {
    protocol::DecodedSubdoc request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    const Status checked = check_subdoc_request(request.opcode, request.specs(), request.doc_flags);
    if (checked != Status::success) return fail(command.origin, checked, "Specs or flags do not go together");
    if ((request.doc_flags & doc_flag::add) != 0 && request.context.cas != 0)
        return fail(command.origin, Status::einval, "Add takes no CAS");
    for (const protocol::MutationSpec& spec : request.specs()) {
        if ((spec.path_flags & protocol::path_flag::xattr) != 0 && !has(Feature::xattr))
            return fail(command.origin, Status::not_supported, "XATTR was not granted");
    }
    const bool replica = (request.doc_flags & doc_flag::replica_read) != 0;
    if (!locate(command, request.context, replica ? VBucketState::replica : VBucketState::active)) return;
    protocol::is_subdoc_lookup(request.opcode) ? subdocument_lookup(command, request)
                                               : subdocument_mutation(command, request);
}

void KvConnection::subdocument_lookup(Command& command, const protocol::DecodedSubdoc& request) {
    ++node_.counters().gets;
    VBucket& vbucket = *command.vbucket;
    const bool tombstones = (request.doc_flags & doc_flag::access_deleted) != 0;
    if (vbucket.in_doubt(command.key)) return fail(command.origin, Status::sync_write_re_commit_in_progress);
    const DocumentPtr document = vbucket.look_up(command.key, tombstones, command.time);
    if (!document) return fail(command.origin, Status::key_enoent);
    ++node_.counters().get_hits;
    auto answers = subdoc_lookup(*document, request.specs(), {vbucket.uuid(), command.time.seconds()});
    Answer reply{.cas = vbucket.locked(command.key, command.time) ? protocol::locked_cas : document->cas};
    if (protocol::is_subdoc_single(request.opcode)) {
        const SubdocAnswer& only = answers.front();
        if (only.status != Status::success) return fail(command.origin, only.status);
        reply.status = document->deleted ? Status::subdoc_success_deleted : Status::success;
        reply.value = only.value;
        const bool binary = (request.storage[0].path_flags & protocol::path_flag::binary_value) != 0;
        if (!only.value.empty() && !binary) reply.datatype = json_datatype();
        return answer(command.origin, reply);
    }
    std::string value;
    bool failed = false;
    for (const SubdocAnswer& one : answers) {
        failed = failed || one.status != Status::success;
        append_status(value, one.status);
        append_be32(value, one.value.size());
        value += one.value;
    }
    if (document->deleted)
        reply.status = failed ? Status::subdoc_multi_path_failure_deleted : Status::subdoc_success_deleted;
    else
        reply.status = failed ? Status::subdoc_multi_path_failure : Status::success;
    reply.value = value;
    answer(command.origin, reply);
}

void KvConnection::subdocument_mutation(Command& command, const protocol::DecodedSubdoc& request) {
    ++node_.counters().sets;
    const auto has_flag = [&](std::uint8_t flag) { return (request.doc_flags & flag) != 0; };
    const bool single = protocol::is_subdoc_single(request.opcode);
    const EditOptions how{.create = has_flag(doc_flag::mkdoc),
                          .add = has_flag(doc_flag::add),
                          .tombstones = has_flag(doc_flag::access_deleted),
                          .revive = has_flag(doc_flag::revive_document)};
    const std::uint32_t expires = expiry(command, request.expiry.value_or(0));
    const SubdocSurroundings surroundings{command.vbucket->uuid(), command.time.seconds()};
    Origin& origin = command.origin;
    SubdocOutcome done;
    bool on_tombstone = false;
    const auto edit = [&](const Document* found, Document& next) {
        on_tombstone = found != nullptr && found->deleted;
        // Unless it is kept, it is what the request says, or none.
        if (!command.write.preserve_expiry || found == nullptr || found->deleted) next.expiry = expires;
        if (request.user_flags) next.flags = *request.user_flags;
        done = subdoc_mutate(found, next, request.specs(), request.doc_flags, surroundings);
        if (done.status != Status::success) return done.status;
        if (next.deleted && (found == nullptr || found->deleted)) origin.success = Status::subdoc_success_deleted;
        for (std::size_t i = 0; i < done.answers.size(); ++i) {
            const std::string& value = done.answers[i].value;
            if (single) {
                origin.value = value;
                origin.datatype = json_datatype();
            } else if (!value.empty()) {
                origin.value += static_cast<char>(i);
                append_status(origin.value, Status::success);
                append_be32(origin.value, value.size());
                origin.value += value;
            }
        }
        return Status::success;
    };
    const KvOutcome outcome = command.vbucket->edit(command.key, how, edit, command.write, command.time);
    // A path's failure is told with its place; what concerns the document as a whole is not.
    if (single || done.status == Status::success || done.failed >= request.count) return finish(command, outcome);
    std::string value(1, static_cast<char>(done.failed));
    append_status(value, done.status);
    answer(origin,
           {.status = on_tombstone ? Status::subdoc_multi_path_failure_deleted : Status::subdoc_multi_path_failure,
            .value = value});
}

}  // namespace chaise::testing
