#pragma once

/// \file
/// Parts of JSON documents: what lookup_in and mutate_in take (specs and options), and what they give.
///
/// A spec names one thing to do at one path; `chaise::sd` (chaise::subdoc) makes them:
///
///     auto found = co_await bucket.lookup_in("user::42", {sd::get("address.city"), sd::exists("admin")});
///     if (found.exists("admin")) use(found.value(0));
///     co_await bucket.mutate_in("user::42", {sd::upsert("name", R"("Ada")"), sd::counter("visits", 1)});
///
/// Paths are Couchbase's: `a.b`, `list[0]`, `list[-1]`; names that hold `.`, `[`, `]` or a back-tick are written with
/// `sd::quoted(name)`. At most 1024 bytes. Values are JSON text. Both are views, copied before the call returns, so
/// that temporaries may be given. Specs are trivially destructible: the braces above are safe inside a co_await
/// expression with GCC 12 (compiler-traps.md), and so are a span, array or vector of specs that has a name.

#include <chaise/detail/buffer.hpp>
#include <chaise/expected.hpp>
#include <chaise/options.hpp>
#include <chaise/result.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace chaise {

namespace detail {
enum class LookupCommand : std::uint8_t { get, exists, count };
enum class MutateCommand : std::uint8_t {
    upsert,
    insert,
    replace,
    remove,
    array_append,
    array_prepend,
    array_insert,
    array_add_unique,
    counter
};
}  // namespace detail

/// One thing to look up; made by the functions of chaise::subdoc.
struct LookupSpec {
    detail::LookupCommand command = detail::LookupCommand::get;
    bool xattr = false;
    std::string_view path{};
};

/// One thing to change; made by the functions of chaise::subdoc.
struct MutateSpec {
    detail::MutateCommand command = detail::MutateCommand::upsert;
    bool create_parents = false;
    bool xattr = false;
    bool expand_macros = false;
    std::string_view path{};
    std::string_view value{};
    std::int64_t delta = 0;  ///< of counter
};

namespace subdoc {

/// `xattr`: the path is one of the document's extended attributes (its first component is the attribute's name);
/// also virtual ones, such as `$document.exptime`.
struct LookupPathOptions {
    bool xattr = false;
};
/// `create_parents`: objects that the path leads through are made where they are missing.
/// `expand_macros`: the value is one of the macros below, which the server replaces; xattr only.
struct PathOptions {
    bool create_parents = false;
    bool xattr = false;
    bool expand_macros = false;
};
/// For what needs its path to be there.
struct ExistingPathOptions {
    bool xattr = false;
    bool expand_macros = false;
};
/// For values that are no macros.
struct PlainPathOptions {
    bool create_parents = false;
    bool xattr = false;
};

/// Macros, as values of specs with `expand_macros`: the CAS and the sequence number that the mutation gives the
/// document (text of hexadecimal digits, the CAS with its bytes reversed), and the CRC-32C of its value.
inline constexpr std::string_view mutation_cas = R"("${Mutation.CAS}")";
inline constexpr std::string_view mutation_seqno = R"("${Mutation.seqno}")";
inline constexpr std::string_view mutation_value_crc32c = R"("${Mutation.value_crc32c}")";

/// A component of a path, quoted so that it means these very bytes: `sd::get(sd::quoted("a.b") + ".c")`. (The name of
/// an extended attribute cannot be quoted.)
[[nodiscard]] std::string quoted(std::string_view name);

// ---- lookups -------------------------------------------------------------------------------------------------------

/// The value at the path, as JSON text; an empty path is the whole document.
[[nodiscard]] constexpr LookupSpec get(std::string_view path, LookupPathOptions options = {}) noexcept {
    return {detail::LookupCommand::get, options.xattr, path};
}
/// Whether there is something at the path. The value stays empty.
[[nodiscard]] constexpr LookupSpec exists(std::string_view path, LookupPathOptions options = {}) noexcept {
    return {detail::LookupCommand::exists, options.xattr, path};
}
/// How many elements the array, or members the object, at the path has, as decimal text; an empty path is the document.
[[nodiscard]] constexpr LookupSpec count(std::string_view path, LookupPathOptions options = {}) noexcept {
    return {detail::LookupCommand::count, options.xattr, path};
}

// ---- mutations -----------------------------------------------------------------------------------------------------

/// Sets an object's member.
[[nodiscard]] constexpr MutateSpec upsert(std::string_view path, std::string_view value,
                                          PathOptions options = {}) noexcept {
    return {detail::MutateCommand::upsert, options.create_parents, options.xattr, options.expand_macros, path, value};
}
/// Sets an object's member that is not there yet: path_exists otherwise.
[[nodiscard]] constexpr MutateSpec insert(std::string_view path, std::string_view value,
                                          PathOptions options = {}) noexcept {
    return {detail::MutateCommand::insert, options.create_parents, options.xattr, options.expand_macros, path, value};
}
/// Sets what is there: path_not_found otherwise. An empty path is the whole document.
[[nodiscard]] constexpr MutateSpec replace(std::string_view path, std::string_view value,
                                           ExistingPathOptions options = {}) noexcept {
    return {detail::MutateCommand::replace, false, options.xattr, options.expand_macros, path, value};
}
/// Removes what is there: path_not_found otherwise. An empty path is the whole document.
[[nodiscard]] constexpr MutateSpec remove(std::string_view path, LookupPathOptions options = {}) noexcept {
    return {.command = detail::MutateCommand::remove, .xattr = options.xattr, .path = path};
}
/// Adds to the end of an array; an empty path is a document that is an array. `values`: one JSON value, or several
/// with commas between them.
[[nodiscard]] constexpr MutateSpec array_append(std::string_view path, std::string_view values,
                                                PathOptions options = {}) noexcept {
    return {detail::MutateCommand::array_append,
            options.create_parents,
            options.xattr,
            options.expand_macros,
            path,
            values};
}
/// Adds to the beginning of an array; otherwise as array_append.
[[nodiscard]] constexpr MutateSpec array_prepend(std::string_view path, std::string_view values,
                                                 PathOptions options = {}) noexcept {
    return {detail::MutateCommand::array_prepend,
            options.create_parents,
            options.xattr,
            options.expand_macros,
            path,
            values};
}
/// Adds in front of an array's element: the path ends in `[n]`, from 0 to the array's size.
[[nodiscard]] constexpr MutateSpec array_insert(std::string_view path, std::string_view values,
                                                ExistingPathOptions options = {}) noexcept {
    return {detail::MutateCommand::array_insert, false, options.xattr, options.expand_macros, path, values};
}
/// Adds a string, number, boolean or null to an array of such that does not have it yet: path_exists otherwise. An
/// empty path is a document that is an array.
[[nodiscard]] constexpr MutateSpec array_add_unique(std::string_view path, std::string_view value,
                                                    PlainPathOptions options = {}) noexcept {
    return {detail::MutateCommand::array_add_unique, options.create_parents, options.xattr, false, path, value};
}
/// Adds to a whole number; one that is not there is 0 before. `delta`: not 0. The new number is the spec's value.
[[nodiscard]] constexpr MutateSpec counter(std::string_view path, std::int64_t delta,
                                           PlainPathOptions options = {}) noexcept {
    return {detail::MutateCommand::counter, options.create_parents, options.xattr, false, path, {}, delta};
}

}  // namespace subdoc

/// `using namespace chaise;`, then `sd::get("a.b")`.
namespace sd = subdoc;

/// The specs of one call, 1 to 16: braces, one spec, or any contiguous range of specs. Another number of them is
/// `errc::invalid_argument` of the operation.
template <class Spec>
class SubdocSpecs {
public:
    static constexpr std::size_t most = 16;

    constexpr SubdocSpecs() noexcept = default;
    template <std::same_as<Spec>... Rest>
    constexpr SubdocSpecs(const Spec& first, const Rest&... rest) noexcept {  // NOLINT: implicit on purpose
        add(first);
        (add(rest), ...);
    }
    template <std::ranges::contiguous_range Range>
        requires std::same_as<std::ranges::range_value_t<Range>, Spec>
    constexpr SubdocSpecs(const Range& specs) noexcept {  // NOLINT: implicit on purpose
        for (const Spec& spec : specs) add(spec);
    }

    /// As many as were given; only the first 16 are kept.
    [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
    [[nodiscard]] constexpr const Spec& operator[](std::size_t at) const noexcept { return specs_[at]; }

protected:
    constexpr void add(const Spec& spec) noexcept {
        if (size_ < most) specs_[size_] = spec;
        ++size_;
    }

private:
    std::array<Spec, most> specs_{};
    std::size_t size_ = 0;
};
using LookupSpecs = SubdocSpecs<LookupSpec>;
using MutateSpecs = SubdocSpecs<MutateSpec>;

/// Paths of a document: `{"name", "address.city"}`.
class SubdocPaths : public LookupSpecs {
public:
    template <std::convertible_to<std::string_view>... Path>
        requires(sizeof...(Path) > 0)
    constexpr SubdocPaths(const Path&... paths) noexcept {  // NOLINT: implicit on purpose
        (add(subdoc::get(paths)), ...);
    }
};

struct LookupInOptions {
    std::optional<Duration> timeout{};
    /// true: a missing document is a result whose success() is false; default: the bucket's `quiet`.
    std::optional<bool> quiet{};
    /// Looks at deleted documents, too, of which only extended attributes are left; see SubdocResult::is_deleted().
    bool access_deleted = false;
};

/// What mutate_in does about a document that is not there, or is.
enum class StoreSemantics : std::uint8_t {
    replace,  ///< it must exist: document_not_found otherwise
    upsert,   ///< created if it does not exist
    insert,   ///< it must not exist: document_exists otherwise
};

struct MutateInOptions {
    /// Do it only if the document still has this CAS; 0: whatever it has. Not with StoreSemantics::insert.
    Cas cas = 0;
    /// Every mutation sets the document's expiry; Expiry{}, the default, is never.
    Expiry expiry{};
    /// The document keeps the expiry that it has; `expiry` is then that of a document which is created.
    bool preserve_expiry = false;
    /// These three as in StoreOptions.
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel durability = DurabilityLevel::none;
    StoreSemantics store = StoreSemantics::replace;
    /// Works on deleted documents, too.
    bool access_deleted = false;
    /// The document is created as a deleted one, which only has extended attributes; not with StoreSemantics::replace.
    bool create_as_deleted = false;
    /// A deleted document becomes a living one; needs access_deleted.
    bool revive_document = false;
    /// Changes the document's 32 bits of flags (servers from 7.6.2 or so; others refuse it).
    std::optional<std::uint32_t> flags{};
    std::optional<Duration> timeout{};
};
static_assert(OperationOptions<LookupInOptions> && OperationOptions<MutateInOptions> && OperationOptions<LookupSpec> &&
              OperationOptions<MutateSpec> && std::is_trivially_destructible_v<LookupSpecs> &&
              std::is_trivially_destructible_v<MutateSpecs> && std::is_trivially_destructible_v<SubdocPaths>);

/// What one spec came to.
struct SubdocEntry {
    std::string_view path;   ///< as the caller gave it
    std::string_view value;  ///< JSON text; empty for exists, for most mutations, and when the code is an error
    errc code = errc::success;
    std::uint16_t status = 0;  ///< as the server sent it
    [[nodiscard]] bool success() const noexcept { return code == errc::success; }
};

/// Outcome of lookup_in, mutate_in and retrieve_in: an entry for each spec, in the caller's order (seed: SubdocResult).
///
/// lookup_in succeeds when the document was found; what went wrong at a path is the path's: all_ok() tells whether
/// anything did, and rc() is then the first such error. mutate_in succeeds when all was done. Entries' views live as
/// long as this result or a copy of it; copies share everything. 64 bytes behind a value may be read.
class SubdocResult : public OperationResult {
public:
    using value_type = SubdocEntry;
    using const_iterator = const SubdocEntry*;
    using iterator = const_iterator;

    SubdocResult() = default;

    /// Every spec succeeded; the same as success().
    [[nodiscard]] bool all_ok() const noexcept { return success(); }
    /// The document was found (seed: access_ok); false only of a missing document in quiet mode.
    [[nodiscard]] bool access_ok() const noexcept { return block_ && size_ != 0; }
    /// The document is a deleted one (access_deleted).
    [[nodiscard]] bool is_deleted() const noexcept { return deleted_; }

    [[nodiscard]] std::size_t size() const noexcept { return block_ ? size_ : 0; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] const_iterator begin() const noexcept { return block_ ? entries_ : nullptr; }
    [[nodiscard]] const_iterator end() const noexcept { return begin() + size(); }
    /// By place; undefined from size() on.
    [[nodiscard]] const SubdocEntry& operator[](std::size_t at) const noexcept { return entries_[at]; }
    /// By path: the first of equal ones; null if there is none.
    [[nodiscard]] const SubdocEntry* find(std::string_view path) const noexcept {
        const auto* found = std::find_if(begin(), end(), [&](const SubdocEntry& entry) { return entry.path == path; });
        return found == end() ? nullptr : found;
    }
    /// \throws std::out_of_range if there is no such spec.
    [[nodiscard]] const SubdocEntry& at(std::size_t at) const;
    [[nodiscard]] const SubdocEntry& at(std::string_view path) const;

    /// The spec's value. \throws the exception of the path's error (SubdocPathNotFoundError, …), or std::out_of_range.
    [[nodiscard]] std::string_view value(std::size_t at) const { return value_of(this->at(at)); }
    [[nodiscard]] std::string_view value(std::string_view path) const { return value_of(at(path)); }
    /// The spec's value or error (seed: get). \throws std::out_of_range
    [[nodiscard]] Expected<std::string_view, Error> get(std::size_t at) const { return expected_of(this->at(at)); }
    [[nodiscard]] Expected<std::string_view, Error> get(std::string_view path) const { return expected_of(at(path)); }
    /// Whether there is something at the spec's path. \throws the exception of any error but path_not_found, or
    /// std::out_of_range.
    [[nodiscard]] bool exists(std::size_t at) const { return exists_of(this->at(at)); }
    [[nodiscard]] bool exists(std::string_view path) const { return exists_of(at(path)); }

    /// Bytes of receive buffer that this result keeps from being reused: 0 for small values, which it has copied.
    [[nodiscard]] std::size_t pinned_bytes() const noexcept { return values_ ? values_->capacity() : 0; }

    /// Made by the engine: not found, in quiet mode.
    explicit SubdocResult(errc rc) noexcept : OperationResult(rc, 0) {}
    /// Made by the engine. `block` begins with `size` entries; `values` holds what they refer to outside of it.
    SubdocResult(OperationResult outcome, detail::BufferRef block, std::uint32_t size, detail::BufferRef values,
                 bool deleted) noexcept
        : OperationResult(outcome),
          block_(std::move(block)),
          values_(std::move(values)),
          entries_(reinterpret_cast<const SubdocEntry*>(block_->data())),
          size_(size),
          deleted_(deleted) {}

private:
    [[nodiscard]] Error error_of(const SubdocEntry& entry) const;
    [[nodiscard]] std::string_view value_of(const SubdocEntry& entry) const {
        if (!entry.success()) throw_error(error_of(entry));
        return entry.value;
    }
    [[nodiscard]] Expected<std::string_view, Error> expected_of(const SubdocEntry& entry) const {
        if (!entry.success()) return Unexpected<Error>(error_of(entry));
        return entry.value;
    }
    [[nodiscard]] bool exists_of(const SubdocEntry& entry) const {
        if (!entry.success() && entry.code != errc::path_not_found) throw_error(error_of(entry));
        return entry.success();
    }

    detail::BufferRef block_;
    detail::BufferRef values_;
    const SubdocEntry* entries_ = nullptr;
    std::uint32_t size_ = 0;
    bool deleted_ = false;
};

}  // namespace chaise
