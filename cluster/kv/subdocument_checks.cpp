#include <optional>

#include "cluster/kv/subdocument.hpp"

// Which specs and flags go together (the tables of protocol.md 2.3).
namespace chaise::testing {

using protocol::MutationSpec;
using protocol::Opcode;
using protocol::Status;

namespace {

namespace doc_flag = protocol::doc_flag;
namespace path_flag = protocol::path_flag;

struct Traits {
    bool mutation = false;
    bool empty_path = false;  // is allowed
    bool payload = false;     // is required, else forbidden
    std::uint8_t path_flags = 0;
    std::uint8_t doc_flags = 0;
};

constexpr std::uint8_t on_deleted = doc_flag::access_deleted | doc_flag::revive_document;
constexpr std::uint8_t creating = on_deleted | doc_flag::mkdoc | doc_flag::add | doc_flag::create_as_deleted;

std::optional<Traits> traits_of(Opcode opcode) noexcept {
    using namespace path_flag;
    constexpr std::uint8_t lookups = doc_flag::access_deleted | doc_flag::replica_read;
    constexpr std::uint8_t not_made = creating & ~doc_flag::mkdoc;
    switch (opcode) {
        case Opcode::subdoc_get:
            return Traits{.path_flags = xattr | binary_value, .doc_flags = lookups};
        case Opcode::subdoc_exists:
            return Traits{.path_flags = xattr, .doc_flags = lookups};
        case Opcode::subdoc_get_count:
            return Traits{.empty_path = true, .path_flags = xattr, .doc_flags = lookups};
        case Opcode::subdoc_dict_add:
        case Opcode::subdoc_dict_upsert:
            return Traits{true, false, true, mkdir_p | xattr | expand_macros | binary_value, creating};
        case Opcode::subdoc_remove:
            return Traits{true, false, false, xattr, on_deleted};
        case Opcode::subdoc_replace:
            return Traits{true, false, true, xattr | expand_macros | binary_value, on_deleted | doc_flag::add};
        case Opcode::subdoc_array_push_last:
        case Opcode::subdoc_array_push_first:
            return Traits{true, true, true, mkdir_p | xattr | expand_macros, creating};
        case Opcode::subdoc_array_insert:
            return Traits{true, false, true, xattr | expand_macros, not_made};
        case Opcode::subdoc_array_add_unique:
            return Traits{true, true, true, mkdir_p | xattr, creating};
        case Opcode::subdoc_counter:
            return Traits{true, false, true, mkdir_p | xattr, creating};
        case Opcode::subdoc_replace_body_with_xattr:
            return Traits{true, false, false, xattr | binary_value, on_deleted};
        // Whole documents.
        case Opcode::get:
            return Traits{.empty_path = true, .doc_flags = lookups};
        case Opcode::set:
            return Traits{true, true, true, 0, creating};
        case Opcode::remove:
            return Traits{true, true, false, 0, doc_flag::access_deleted};
        default:
            return std::nullopt;
    }
}

bool whole(Opcode opcode) noexcept {
    return opcode == Opcode::get || opcode == Opcode::set || opcode == Opcode::remove;
}

Status check_doc_flags(std::uint8_t flags) noexcept {
    const auto has = [&](std::uint8_t flag) { return (flags & flag) != 0; };
    const bool makes = has(doc_flag::mkdoc) || has(doc_flag::add);
    if (has(doc_flag::mkdoc) && has(doc_flag::add)) return Status::einval;
    if (has(doc_flag::create_as_deleted) && !makes) return Status::einval;
    if (has(doc_flag::revive_document) && (!has(doc_flag::access_deleted) || has(doc_flag::create_as_deleted)))
        return Status::einval;
    return Status::success;
}

Status check_path(const MutationSpec& spec, const Traits& traits) noexcept {
    if (spec.path.size() > protocol::max_subdoc_path) return Status::einval;
    if (spec.path.empty() && !traits.empty_path) return Status::einval;
    if (!spec.path.empty() && whole(spec.opcode)) return Status::einval;
    if ((spec.path_flags & ~traits.path_flags) != 0) return Status::einval;
    const bool xattr = (spec.path_flags & path_flag::xattr) != 0;
    const bool macros = (spec.path_flags & path_flag::expand_macros) != 0;
    const bool binary = (spec.path_flags & path_flag::binary_value) != 0;
    if ((macros && (!xattr || binary)) || (binary && !xattr)) return Status::subdoc_xattr_invalid_flag_combo;
    if (spec.opcode == Opcode::subdoc_replace_body_with_xattr && !xattr) return Status::einval;
    if (!xattr) return Status::success;
    const std::size_t name = std::min(spec.path.find_first_of(".["), spec.path.size());
    const bool named = name != 0 && spec.path.find_first_of("`\"\\") >= name;
    const bool fits = spec.path.starts_with('$') || name <= 15;
    return named && fits ? Status::success : Status::xattr_einval;
}

}  // namespace

Status check_subdoc_request(Opcode command, SubdocSpecs specs, std::uint8_t doc_flags) {
    const bool single = protocol::is_subdoc_single(command);
    if (specs.empty() || specs.size() > protocol::max_subdoc_specs) return Status::subdoc_invalid_combo;
    if (const Status status = check_doc_flags(doc_flags); status != Status::success) return status;
    bool body = false;
    bool removal = false;
    std::size_t bodies = 0;
    for (const MutationSpec& spec : specs) {
        const auto traits = traits_of(spec.opcode);
        if (!traits || traits->mutation == protocol::is_subdoc_lookup(command)) return Status::subdoc_invalid_combo;
        if (traits->payload ? spec.value.empty() : !spec.value.empty()) return Status::einval;
        if ((doc_flags & ~traits->doc_flags) != 0) return Status::einval;
        if (const Status status = check_path(spec, *traits); status != Status::success) return status;
        if ((spec.path_flags & path_flag::xattr) == 0) {
            body = true;
            ++bodies;
            removal = removal || spec.opcode == Opcode::remove;
        } else if (body) {
            return Status::subdoc_invalid_xattr_order;
        }
    }
    if (!single && removal && bodies > 1) return Status::subdoc_invalid_combo;
    if (body && (doc_flags & doc_flag::create_as_deleted) != 0) return Status::einval;
    return Status::success;
}

}  // namespace chaise::testing
