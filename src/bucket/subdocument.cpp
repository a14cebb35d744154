// How sub-document operations begin: specs checked, put into the server's order, encoded.

#include "bucket/subdocument.hpp"
#include "bucket/durable_mutation.hpp"

#include <charconv>
#include <string>
#include <utility>

namespace chaise {

std::string subdoc::quoted(std::string_view name) {
    // A component is the inside of a JSON string (protocol.md 2.3).
    constexpr char hex[] = "0123456789abcdef";
    std::string out = "`";
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '`') {
            out += "``";
        } else if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            out += "\\u00";
            out += hex[byte >> 4];
            out += hex[byte & 15];
        } else {
            out += c;
        }
    }
    out += '`';
    return out;
}

namespace detail {

namespace {

using protocol::Opcode;

/// The text of a counter's delta.
using Digits = std::array<char, 20>;

Opcode opcode_of(const LookupSpec& spec) noexcept {
    switch (spec.command) {
        case LookupCommand::get:
            return spec.path.empty() ? Opcode::get : Opcode::subdoc_get;
        case LookupCommand::exists:
            return Opcode::subdoc_exists;
        case LookupCommand::count:
            return Opcode::subdoc_get_count;
    }
    return Opcode::subdoc_get;
}

Opcode opcode_of(const MutateSpec& spec) noexcept {
    switch (spec.command) {
        case MutateCommand::upsert:
            return Opcode::subdoc_dict_upsert;
        case MutateCommand::insert:
            return Opcode::subdoc_dict_add;
        case MutateCommand::replace:
            return spec.path.empty() ? Opcode::set : Opcode::subdoc_replace;
        case MutateCommand::remove:
            return spec.path.empty() ? Opcode::remove : Opcode::subdoc_remove;
        case MutateCommand::array_append:
            return Opcode::subdoc_array_push_last;
        case MutateCommand::array_prepend:
            return Opcode::subdoc_array_push_first;
        case MutateCommand::array_insert:
            return Opcode::subdoc_array_insert;
        case MutateCommand::array_add_unique:
            return Opcode::subdoc_array_add_unique;
        case MutateCommand::counter:
            return Opcode::subdoc_counter;
    }
    return Opcode::subdoc_dict_upsert;
}

std::uint8_t flags_of(const LookupSpec& spec) noexcept { return spec.xattr ? protocol::path_flag::xattr : 0; }
std::uint8_t flags_of(const MutateSpec& spec) noexcept {
    std::uint8_t flags = 0;
    if (spec.create_parents) flags |= protocol::path_flag::mkdir_p;
    if (spec.xattr) flags |= protocol::path_flag::xattr;
    if (spec.expand_macros) flags |= protocol::path_flag::expand_macros;
    return flags;
}

/// Why the spec cannot be sent; null if it can.
const char* fault_of(const LookupSpec& spec) noexcept {
    const bool needs_path = spec.xattr || spec.command == LookupCommand::exists;
    return needs_path && spec.path.empty() ? "the path is empty" : nullptr;
}

const char* fault_of(const MutateSpec& spec, const MutateInOptions& options) noexcept {
    const MutateCommand command = spec.command;
    const bool existing = command == MutateCommand::replace || command == MutateCommand::remove;
    const bool array = command == MutateCommand::array_append || command == MutateCommand::array_prepend ||
                       command == MutateCommand::array_add_unique;
    if (spec.path.empty() && (spec.xattr || !(existing || array))) return "the path is empty";
    if (command == MutateCommand::counter) {
        if (spec.delta == 0) return "the delta is 0";
    } else if (command != MutateCommand::remove && spec.value.empty()) {
        return "there is no value";
    }
    if (spec.expand_macros && !spec.xattr) return "macros are for extended attributes only";
    if (options.store == StoreSemantics::upsert && (existing || command == MutateCommand::array_insert)) {
        return "it needs something that is there, which a document that may have to be created does not have";
    }
    if (options.create_as_deleted && !spec.xattr) {
        return "a document that is created as a deleted one has extended attributes only";
    }
    return nullptr;
}

const char* fault_of(const MutateInOptions& options) noexcept {
    if (options.store == StoreSemantics::insert && options.cas != 0)
        return "a document that is inserted has no CAS yet";
    if (options.create_as_deleted && options.store == StoreSemantics::replace) {
        return "create_as_deleted needs StoreSemantics::upsert or insert";
    }
    if (options.revive_document && !options.access_deleted) return "revive_document needs access_deleted";
    if (options.revive_document && options.create_as_deleted) {
        return "create_as_deleted and revive_document exclude each other";
    }
    return nullptr;
}

/// What is wrong with the specs, in words; empty if nothing.
template <class Spec, class Fault>
std::string fault_of_specs(const SubdocSpecs<Spec>& specs, const Fault& fault_of_one) {
    if (specs.size() == 0) return "there are no specs";
    if (specs.size() > specs.most) {
        return "there are " + std::to_string(specs.size()) + " specs, the limit is " + std::to_string(specs.most);
    }
    for (std::size_t i = 0; i < specs.size(); ++i) {
        const Spec& spec = specs[i];
        const auto of_spec = [&](const std::string& fault) { return "spec " + std::to_string(i) + ": " + fault; };
        if (spec.path.size() > protocol::max_subdoc_path) {
            return of_spec("the path has " + std::to_string(spec.path.size()) + " bytes, the limit is " +
                           std::to_string(protocol::max_subdoc_path));
        }
        if (const char* fault = fault_of_one(spec)) return of_spec(shown_path(spec.path) + ": " + fault);
    }
    return {};
}

/// The caller's specs, those on extended attributes first.
template <class Spec, class F>
std::uint16_t in_wire_order(const SubdocSpecs<Spec>& specs, const F& put) {
    std::uint16_t xattr_specs = 0;
    for (std::size_t i = 0; i < specs.size(); ++i) {
        if (!specs[i].xattr) continue;
        put(specs[i]);
        xattr_specs = static_cast<std::uint16_t>(xattr_specs | 1u << i);
    }
    for (std::size_t i = 0; i < specs.size(); ++i) {
        if (!specs[i].xattr) put(specs[i]);
    }
    return xattr_specs;
}

std::optional<std::uint8_t> flags_of(const MutateInOptions& options) noexcept {
    std::uint8_t flags = 0;
    if (options.store == StoreSemantics::upsert) flags |= protocol::doc_flag::mkdoc;
    if (options.store == StoreSemantics::insert) flags |= protocol::doc_flag::add;
    if (options.access_deleted) flags |= protocol::doc_flag::access_deleted;
    if (options.create_as_deleted) flags |= protocol::doc_flag::create_as_deleted;
    if (options.revive_document) flags |= protocol::doc_flag::revive_document;
    return flags == 0 ? std::nullopt : std::optional(flags);
}

}  // namespace

std::string shown_path(std::string_view path) {
    constexpr std::size_t most = 64;
    std::string out = "\"";
    for (const char c : path.substr(0, most)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return out + (path.size() > most ? "...\"" : "\"");
}

std::string fault_of(const LookupSpecs& specs) {
    return fault_of_specs(specs, [](const LookupSpec& spec) { return fault_of(spec); });
}

WireLookup::WireLookup(const LookupSpecs& of) noexcept {
    xattr_specs = in_wire_order(
        of, [this](const LookupSpec& spec) { specs[size++] = {opcode_of(spec), flags_of(spec), spec.path}; });
}

void start_lookup_in(Core& core, Slot& slot, std::string_view key, const LookupSpecs& specs,
                     const LookupInOptions& options) {
    slot.quiet = options.quiet.value_or(core.settings().quiet);
    slot.idempotent = true;
    if (!check_subdocument(core, slot, key) || !check_key(core, slot, key)) return;
    std::string fault = fault_of(specs);
    if (!fault.empty()) return core.reject(slot, errc::invalid_argument, key, std::move(fault));
    const WireLookup wire(specs);
    slot.xattr_specs = wire.xattr_specs;
    protocol::MultiLookupRequest request{.key = key, .specs = wire.view()};
    if (options.access_deleted) request.doc_flags = protocol::doc_flag::access_deleted;
    core.submit(slot, options.timeout, key, request);
}

void start_mutate_in(Core& core, Slot& slot, std::string_view key, const MutateSpecs& specs,
                     const MutateInOptions& options) {
    if (!check_subdocument(core, slot, key) || !check_key(core, slot, key)) return;
    std::string fault;
    if (const char* of_options = fault_of(options)) {
        fault = of_options;
    } else {
        fault = fault_of_specs(specs, [&](const MutateSpec& spec) { return fault_of(spec, options); });
    }
    if (!fault.empty()) return core.reject(slot, errc::invalid_argument, key, std::move(fault));
    std::array<protocol::MutationSpec, MutateSpecs::most> wire;
    std::array<Digits, MutateSpecs::most> digits;
    std::size_t n = 0;
    std::size_t bytes = 0;
    slot.xattr_specs = in_wire_order(specs, [&](const MutateSpec& spec) {
        std::string_view value = spec.value;
        if (spec.command == MutateCommand::counter) {
            char* const begin = digits[n].data();
            const char* const end = std::to_chars(begin, begin + digits[n].size(), spec.delta).ptr;
            value = std::string_view(begin, static_cast<std::size_t>(end - begin));
        }
        bytes += value.size();
        wire[n++] = {opcode_of(spec), flags_of(spec), spec.path, value};
    });
    if (bytes > max_value_size) {
        core.reject(slot, errc::value_too_large, key,
                    "the specs' values have " + std::to_string(bytes) + " bytes, the limit is 20 MiB");
        return;
    }
    const auto expiry = check_expiry(core, slot, key, options.expiry);
    if (!expiry) return;
    MutationRequest mutation(core, slot, key, Beyond::of(options));
    if (!mutation) return;
    protocol::MultiMutationRequest request{
        .key = key, .specs = {wire.data(), n}, .doc_flags = flags_of(options), .user_flags = options.flags};
    if (*expiry != 0) request.expiry = *expiry;
    request.context.cas = options.cas;
    request.context.frame_infos = mutation.frame_infos();
    core.submit(mutation.slot(), mutation.timeout(), key, request);
}

}  // namespace detail

}  // namespace chaise
