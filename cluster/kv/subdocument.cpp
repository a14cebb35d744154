#include "cluster/kv/subdocument.hpp"

#include <algorithm>
#include <utility>

#include "cluster/kv/json_check.hpp"
#include "cluster/kv/json_edit.hpp"
#include "cluster/kv/vbucket.hpp"
#include "cluster/kv/virtual_xattrs.hpp"
#include "protocol/base64.hpp"

namespace chaise::testing {

namespace doc_flag = protocol::doc_flag;
namespace path_flag = protocol::path_flag;
using protocol::MutationSpec;
using protocol::Opcode;
using protocol::Status;

namespace {

constexpr std::string_view binary_prefix = "cb-content-base64-encoded:";

bool is_xattr(const MutationSpec& spec) noexcept { return (spec.path_flags & path_flag::xattr) != 0; }

// The attribute that a path begins with. Empty: none, as in "[0]".
std::string_view xattr_name(std::string_view path) noexcept { return path.substr(0, path.find_first_of(".[")); }

// What a body is when it is looked into.
Status lookup_body(const MutationSpec& spec, const Document& document, std::string_view body, std::string& value) {
    if (document.deleted) return Status::subdoc_path_enoent;
    if (spec.opcode == Opcode::get) {
        value = body;
        return Status::success;
    }
    if ((document.datatype & protocol::datatype::json) == 0) return Status::subdoc_doc_notjson;
    return json_lookup(spec.opcode, body, spec.path, value);
}

std::string wrapped(std::string_view name, std::string_view value) {
    return std::string("{\"").append(name).append("\":").append(value) + '}';
}

const StoredXattr* find_xattr(const Xattrs& xattrs, std::string_view name) noexcept {
    const auto found = std::find_if(xattrs.begin(), xattrs.end(), [&](const auto& x) { return x.name == name; });
    return found == xattrs.end() ? nullptr : &*found;
}

// From the JSON string that bytes are kept as.
Status decode_binary(std::string& value) {
    const std::string_view text = value;
    if (text.size() < binary_prefix.size() + 2 || !text.substr(1).starts_with(binary_prefix))
        return Status::subdoc_field_not_binary_value;
    auto bytes = protocol::base64_decode(text.substr(1 + binary_prefix.size(), text.size() - 2 - binary_prefix.size()));
    if (!bytes) return Status::subdoc_field_not_binary_value;
    value = std::move(*bytes);
    return Status::success;
}

Status lookup_xattr(const MutationSpec& spec, const Document& document, const SubdocSurroundings& surroundings,
                    std::string& value) {
    const std::string_view name = xattr_name(spec.path);
    std::string json = "{}";
    if (name.starts_with('$')) {
        const auto found = virtual_xattr(name, document, surroundings);
        if (!found) return Status::subdoc_xattr_unknown_vattr;
        json = wrapped(name, *found);
    } else if (const StoredXattr* const found = find_xattr(document.xattrs, name)) {
        json = wrapped(name, found->value);
    }
    const Status status = json_lookup(spec.opcode, json, spec.path, value);
    if (status != Status::success || (spec.path_flags & path_flag::binary_value) == 0) return status;
    return spec.opcode == Opcode::subdoc_get ? decode_binary(value) : status;
}

// One mutation of one document, spec by spec.
class Mutation {
public:
    Mutation(const Document* found, Document& next, const SubdocSurroundings& surroundings)
        : next_(next),
          surroundings_(surroundings),
          macros_{.found = found, .cas = next.cas, .seqno = next.seqno},
          body_(inflated(next)) {}

    void set_body_crc(std::uint32_t crc) noexcept { macros_.body_crc = crc; }
    [[nodiscard]] bool wants_body_crc() const noexcept { return wants_body_crc_; }
    [[nodiscard]] const std::string& body() const noexcept { return body_; }
    void start_with(std::string_view body) {
        body_ = body;
        json_ = true;
    }
    void set_json(bool json) noexcept { json_ = json; }

    Status apply(const MutationSpec& spec, std::string& value) {
        if (is_xattr(spec)) return apply_to_xattr(spec, value);
        if (spec.opcode == Opcode::set) {
            body_ = spec.value;
            json_ = is_json(body_);
            changed_ = has_body_ = true;
            return Status::success;
        }
        if (spec.opcode == Opcode::remove) {
            removed_ = true;
            return Status::success;
        }
        if (next_.deleted && body_.empty()) return Status::subdoc_path_enoent;
        if (!json_) return Status::subdoc_doc_notjson;
        const bool make_parents = (spec.path_flags & path_flag::mkdir_p) != 0;
        const Status status = json_mutate(spec.opcode, body_, spec.path, spec.value, make_parents, value);
        if (status == Status::success) changed_ = has_body_ = true;
        return status;
    }

    // What the document is now, as a whole.
    Status finish(std::uint32_t now) {
        if (removed_) {
            next_.deleted = true;
            next_.xattrs = system_xattrs(next_.xattrs);
            next_.flags = 0;
            body_.clear();
            json_ = false;
            changed_ = true;
        } else if (next_.deleted && has_body_) {
            return Status::subdoc_deleted_document_cant_have_value;
        }
        if (body_.size() + xattrs_size(next_.xattrs) > max_document_size) return Status::e2big;
        if (xattrs_size(next_.xattrs, true) > max_system_xattrs) return Status::e2big;
        if (changed_) {
            next_.value = std::move(body_);
            next_.datatype = json_ ? protocol::datatype::json : protocol::datatype::raw;
        }
        if (next_.deleted) next_.expiry = now;
        next_.mark_xattrs();
        return Status::success;
    }
    void body_is_new() noexcept { changed_ = true; }

private:
    Status apply_to_xattr(const MutationSpec& spec, std::string& value) {
        const std::string_view name = xattr_name(spec.path);
        if (name.starts_with('$')) return Status::subdoc_xattr_cant_modify_vattr;
        const auto found =
            std::find_if(next_.xattrs.begin(), next_.xattrs.end(), [&](const auto& x) { return x.name == name; });
        std::string json = found == next_.xattrs.end() ? "{}" : wrapped(name, found->value);
        if (spec.opcode == Opcode::subdoc_replace_body_with_xattr) return take_body_from(json, spec);
        std::string payload(spec.value);
        if ((spec.path_flags & path_flag::expand_macros) != 0) {
            wants_body_crc_ = wants_body_crc_ || payload == "\"${Mutation.value_crc32c}\"";
            const Status status = expand_macro(payload, macros_, surroundings_);
            if (status != Status::success) return status;
        } else if ((spec.path_flags & path_flag::binary_value) != 0) {
            payload = std::string("\"").append(binary_prefix).append(protocol::base64_encode(payload)) + '"';
        }
        const bool make_parents = (spec.path_flags & path_flag::mkdir_p) != 0;
        const Status status = json_mutate(spec.opcode, json, spec.path, payload, make_parents, value);
        if (status != Status::success) return status;
        std::string stored;
        if (json_lookup(Opcode::subdoc_get, json, name, stored) != Status::success) {
            if (found != next_.xattrs.end()) next_.xattrs.erase(found);
        } else if (found != next_.xattrs.end()) {
            found->value = std::move(stored);
        } else {
            next_.xattrs.push_back({std::string(name), std::move(stored)});
        }
        return Status::success;
    }

    Status take_body_from(const std::string& json, const MutationSpec& spec) {
        std::string body;
        Status status = json_lookup(Opcode::subdoc_get, json, spec.path, body);
        if (status == Status::success && (spec.path_flags & path_flag::binary_value) != 0) status = decode_binary(body);
        if (status != Status::success) return status;
        body_ = std::move(body);
        json_ = is_json(body_);
        changed_ = has_body_ = true;
        return Status::success;
    }

    Document& next_;
    const SubdocSurroundings& surroundings_;
    MacroSource macros_;
    std::string body_;
    bool json_ = (next_.datatype & protocol::datatype::json) != 0;
    bool changed_ = false;   // the body
    bool has_body_ = false;  // by a spec
    bool removed_ = false;
    bool wants_body_crc_ = false;
};

// What a document that is made begins with: as the first path into it wants it.
std::string_view first_body(SubdocSpecs specs) noexcept {
    for (const MutationSpec& spec : specs) {
        if (is_xattr(spec)) continue;
        const bool array = spec.path.starts_with('[') || spec.path.empty();
        return array ? "[]" : "{}";
    }
    return "{}";
}

SubdocOutcome mutate(const Document* found, Document& next, SubdocSpecs specs, std::uint8_t doc_flags,
                     const SubdocSurroundings& surroundings, std::uint32_t& crc, bool& wants_crc) {
    const bool create_deleted = (doc_flags & doc_flag::create_as_deleted) != 0;
    if (found == nullptr) next.deleted = create_deleted;
    const bool revived = (doc_flags & doc_flag::revive_document) != 0;
    if (revived) next.deleted = false;
    Mutation mutation(found, next, surroundings);
    mutation.set_body_crc(crc);
    // Without a body there is nothing to work on yet.
    if (!next.deleted && (found == nullptr || found->deleted)) {
        mutation.start_with(first_body(specs));
        mutation.body_is_new();
    }
    SubdocOutcome outcome;
    for (std::size_t i = 0; i < specs.size(); ++i) {
        SubdocAnswer& answer = outcome.answers.emplace_back();
        answer.status = mutation.apply(specs[i], answer.value);
        if (answer.status != Status::success) return {.failed = i, .status = answer.status};
    }
    wants_crc = mutation.wants_body_crc();
    crc = crc32c(mutation.body());
    outcome.failed = specs.size();
    outcome.status = mutation.finish(surroundings.now);
    return outcome;
}

}  // namespace

std::vector<SubdocAnswer> subdoc_lookup(const Document& document, SubdocSpecs specs,
                                        const SubdocSurroundings& surroundings) {
    const std::string body = inflated(document);
    std::vector<SubdocAnswer> answers(specs.size());
    for (std::size_t i = 0; i < specs.size(); ++i) {
        SubdocAnswer& answer = answers[i];
        answer.status = is_xattr(specs[i]) ? lookup_xattr(specs[i], document, surroundings, answer.value)
                                           : lookup_body(specs[i], document, body, answer.value);
        if (answer.status != Status::success) answer.value.clear();
    }
    return answers;
}

SubdocOutcome subdoc_mutate(const Document* found, Document& next, SubdocSpecs specs, std::uint8_t doc_flags,
                            const SubdocSurroundings& surroundings) {
    const Document start = next;
    std::uint32_t crc = 0;
    bool wants_crc = false;
    SubdocOutcome outcome = mutate(found, next, specs, doc_flags, surroundings, crc, wants_crc);
    if (outcome.status != Status::success || !wants_crc) return outcome;
    // The checksum is of the body that the mutation leaves: known only now.
    next = start;
    return mutate(found, next, specs, doc_flags, surroundings, crc, wants_crc);
}

}  // namespace chaise::testing
