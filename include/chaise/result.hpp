#pragma once

/// \file
/// What operations give. Results are values: they may be moved, copied, kept as long as one likes, outlive their
/// bucket and be handed to other threads (one thread at a time each).

#include <chaise/detail/buffer.hpp>
#include <chaise/error.hpp>
#include <chaise/mutation_token.hpp>

#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace chaise {

/// What every result has (seed: Result.rc, success, cas).
class Result {
public:
    /// `errc::success`, or `errc::document_not_found` when `quiet` turned that error into a result.
    [[nodiscard]] errc rc() const noexcept { return rc_; }
    [[nodiscard]] bool success() const noexcept { return rc_ == errc::success; }
    /// rc() in words.
    [[nodiscard]] std::string errstr() const;
    /// Of the document after the operation; 0 if the operation has none.
    [[nodiscard]] Cas cas() const noexcept { return cas_; }

protected:
    Result() = default;
    Result(errc rc, Cas cas) noexcept : cas_(cas), rc_(rc) {}
    Cas cas_ = 0;
    errc rc_ = errc::success;
};

/// Outcome of a mutation, and of operations that have nothing to give but their success.
class OperationResult : public Result {
public:
    OperationResult() = default;
    OperationResult(errc rc, Cas cas) noexcept : Result(rc, cas) {}
    OperationResult(errc rc, Cas cas, MutationToken token) noexcept
        : Result(rc, cas), token_(token), has_token_(true) {}
    /// Present if the server sent one.
    [[nodiscard]] std::optional<MutationToken> mutation_token() const noexcept {
        return has_token_ ? std::optional(token_) : std::nullopt;
    }
    /// Of endure, and of mutations with persist_to or replicate_to: the copies that were seen to have it on disk. Bit
    /// 0: the active one, bit n: replica n.
    [[nodiscard]] std::uint8_t persisted_on() const noexcept { return persisted_on_; }
    /// Likewise: the replicas that were seen to have it, in memory at least (bits 1 to 3).
    [[nodiscard]] std::uint8_t replicated_on() const noexcept { return replicated_on_; }

    /// Made by the engine.
    void set_copies(std::uint8_t persisted_on, std::uint8_t replicated_on) noexcept {
        persisted_on_ = persisted_on;
        replicated_on_ = replicated_on;
    }

private:
    MutationToken token_;
    bool has_token_ = false;
    std::uint8_t persisted_on_ = 0;
    std::uint8_t replicated_on_ = 0;
};

/// A document's value, flags and CAS; also the value of a counter.
///
/// `value()` is a view that this result keeps alive: values up to 64 bytes are stored inline, longer ones share the
/// buffer they were received in (see `pinned_bytes`). 64 bytes behind the value may be read.
class ValueResult : public Result {
public:
    static constexpr std::size_t inline_capacity = 64;

    ValueResult() noexcept { inline_[0] = 0; }
    /// Not found, in quiet mode.
    explicit ValueResult(errc rc) noexcept : ValueResult() { rc_ = rc; }
    /// Copies what is short, shares `buffer` (which must hold `value`) otherwise.
    ValueResult(std::string_view value, std::uint32_t flags, std::uint8_t datatype, Cas cas, detail::Buffer* buffer)
        : marks_(datatype), flags_(flags), size_(static_cast<std::uint32_t>(value.size())) {
        cas_ = cas;
        if (value.size() <= inline_capacity) {
            std::memcpy(inline_, value.data(), value.size());
        } else {
            buffer->lend();
            buffer_ = detail::BufferRef(buffer);
            data_ = value.data();
        }
    }
    ValueResult(const ValueResult& other) noexcept
        : Result(other),
          marks_(other.marks_),
          flags_(other.flags_),
          size_(other.size_),
          buffer_(other.buffer_),
          data_(other.data_) {
        copy_inline(other);
    }
    ValueResult(ValueResult&& other) noexcept
        : Result(other.rc_, other.cas_),  // to copy the base as one thing takes GCC twice as many instructions
          marks_(other.marks_),
          flags_(other.flags_),
          size_(other.size_),
          buffer_(std::move(other.buffer_)),
          data_(std::exchange(other.data_, nullptr)) {
        copy_inline(other);
        other.size_ = 0;
    }
    ValueResult& operator=(const ValueResult& other) noexcept {
        if (this != &other) {
            ValueResult copy(other);
            *this = std::move(copy);
        }
        return *this;
    }
    ValueResult& operator=(ValueResult&& other) noexcept {
        if (this != &other) {
            Result::operator=(other);
            marks_ = other.marks_;
            flags_ = other.flags_;
            size_ = other.size_;
            buffer_ = std::move(other.buffer_);
            data_ = std::exchange(other.data_, nullptr);
            copy_inline(other);
            other.size_ = 0;
        }
        return *this;
    }
    ~ValueResult() = default;

    /// Valid as long as this result, or one moved or copied from it, lives (a short value moves with its result:
    /// take the view from the object you keep).
    [[nodiscard]] std::string_view value() const noexcept { return {data_ ? data_ : inline_, size_}; }
    /// The document's 32-bit flags.
    [[nodiscard]] std::uint32_t flags() const noexcept { return flags_; }
    /// Datatype bits as the server sent them (protocol.md 1.3).
    [[nodiscard]] std::uint8_t datatype() const noexcept { return mark(0); }
    /// The number, for the result of `counter`; 0 otherwise. `value()` is then its decimal text.
    [[nodiscard]] std::uint64_t counter() const noexcept {
        std::uint64_t number = 0;
        if ((marks_ & is_counter) != 0) std::memcpy(&number, inline_ + counter_at, sizeof(number));
        return number;
    }
    /// A copy that shares nothing.
    [[nodiscard]] std::string owned() const { return std::string(value()); }
    /// Bytes of receive buffer that this result keeps from being reused: 0 for short values.
    [[nodiscard]] std::size_t pinned_bytes() const noexcept { return buffer_ ? buffer_->capacity() : 0; }

    /// Of `counter`, if the server sent one.
    [[nodiscard]] std::optional<MutationToken> mutation_token() const noexcept {
        if ((marks_ & has_token) == 0) return std::nullopt;
        MutationToken token;
        std::memcpy(static_cast<void*>(&token), inline_ + token_at, sizeof(token));
        return token;
    }
    /// Of `counter` with persist_to or replicate_to, as OperationResult's.
    [[nodiscard]] std::uint8_t persisted_on() const noexcept { return mark(16); }
    [[nodiscard]] std::uint8_t replicated_on() const noexcept { return mark(24); }

    /// Made by the engine for `counter`.
    [[nodiscard]] static ValueResult of_counter(std::uint64_t number, Cas cas, const MutationToken* token = nullptr);
    void set_copies(std::uint8_t persisted_on, std::uint8_t replicated_on) noexcept {
        marks_ = (marks_ & 0xffff) | std::uint32_t{persisted_on} << 16 | std::uint32_t{replicated_on} << 24;
    }

private:
    // In the marks: the datatype (8 bits); what lies behind the text of a counter; persisted_on; replicated_on.
    static constexpr std::uint32_t is_counter = 0x100;
    static constexpr std::uint32_t has_token = 0x200;
    static constexpr std::size_t counter_at = 24;
    static constexpr std::size_t token_at = 32;
    static_assert(token_at + sizeof(MutationToken) <= inline_capacity);
    [[nodiscard]] std::uint8_t mark(unsigned shift) const noexcept {
        return static_cast<std::uint8_t>(marks_ >> shift);
    }

    void copy_inline(const ValueResult& other) noexcept {
        if (!data_) std::memcpy(inline_, other.inline_, size_ <= inline_capacity ? inline_capacity : 0);
    }

    std::uint32_t marks_ = 0;  // in the base's padding
    std::uint32_t flags_ = 0;
    std::uint32_t size_ = 0;
    detail::BufferRef buffer_;
    const char* data_ = nullptr;
    // Twice the capacity: a short value, too, has 64 readable bytes behind it.
    char inline_[inline_capacity + detail::buffer_padding];
};

/// Whether there is a document. That there is none is an answer, not an error.
class ExistsResult : public Result {
public:
    ExistsResult() = default;
    explicit ExistsResult(Cas cas) noexcept : Result(errc::success, cas), exists_(true) {}
    /// If so, `cas()` is its CAS (all bits set while it is locked: then of no use for a write).
    [[nodiscard]] bool exists() const noexcept { return exists_; }

private:
    bool exists_ = false;
};

/// How many elements or members a data structure has.
class SizeResult : public Result {
public:
    SizeResult() = default;
    SizeResult(std::uint64_t size, Cas cas) noexcept : Result(errc::success, cas), size_(size) {}
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

private:
    std::uint64_t size_ = 0;
};

/// Statistics of one or more servers: statistic -> server ("host:port") -> value (seed: StatsResult).
class StatsResult : public Result {
public:
    using Servers = std::map<std::string, std::string, std::less<>>;
    [[nodiscard]] const std::map<std::string, Servers, std::less<>>& stats() const noexcept { return stats_; }
    /// The value of a statistic on a server, or on whichever server has it; empty if there is none.
    [[nodiscard]] std::string_view get(std::string_view statistic, std::string_view server = {}) const;

    /// Made by the engine.
    void add(std::string_view server, std::string_view statistic, std::string_view value);
    void merge(StatsResult&& other);
    /// Of all texts.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    std::map<std::string, Servers, std::less<>> stats_;
    std::size_t bytes_ = 0;
};

/// Version of each server: "host:port" -> text.
class VersionResult : public Result {
public:
    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& versions() const noexcept { return versions_; }

    /// Made by the engine.
    void add(std::string_view server, std::string_view version) { versions_.emplace(server, version); }
    void merge(VersionResult&& other) { versions_.merge(other.versions_); }

private:
    std::map<std::string, std::string, std::less<>> versions_;
};

}  // namespace chaise
