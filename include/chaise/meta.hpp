#pragma once

/// \file
/// What a node knows of a document besides its value; a document picked at random.

#include <chaise/options.hpp>
#include <chaise/result.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chaise {

/// What get_meta gives. `cas()`: all bits set while the document is locked.
class MetaResult : public Result {
public:
    MetaResult() = default;
    /// Not found, in quiet mode.
    explicit MetaResult(errc rc) noexcept : Result(rc, 0) {}
    MetaResult(Cas cas, bool deleted, std::uint32_t flags, std::uint32_t expiry, std::uint64_t seqno,
               std::optional<std::uint8_t> datatype) noexcept
        : Result(errc::success, cas),
          seqno_(seqno),
          flags_(flags),
          expiry_(expiry),
          datatype_(datatype.value_or(0)),
          deleted_(deleted) {}

    /// It was removed, and the node still remembers it.
    [[nodiscard]] bool deleted() const noexcept { return deleted_; }
    [[nodiscard]] std::uint32_t flags() const noexcept { return flags_; }
    /// Unix seconds; 0: never. Of a deleted one: when it was removed.
    [[nodiscard]] std::uint32_t expiry() const noexcept { return expiry_; }
    /// Of its last change, in the history of its vbucket.
    [[nodiscard]] std::uint64_t seqno() const noexcept { return seqno_; }
    /// Datatype bits (protocol.md 1.3).
    [[nodiscard]] std::uint8_t datatype() const noexcept { return datatype_; }

private:
    std::uint64_t seqno_ = 0;
    std::uint32_t flags_ = 0;
    std::uint32_t expiry_ = 0;
    std::uint8_t datatype_ = 0;
    bool deleted_ = false;
};

struct GetMetaOptions {
    std::optional<Duration> timeout{};
    std::optional<bool> quiet{};
};

/// What get_random_key gives: a document, with its key.
class RandomKeyResult : public Result {
public:
    RandomKeyResult() = default;
    RandomKeyResult(std::string_view key, std::string_view value, std::uint32_t flags, std::uint8_t datatype, Cas cas)
        : Result(errc::success, cas), key_(key), value_(value), flags_(flags), datatype_(datatype) {}
    [[nodiscard]] const std::string& key() const noexcept { return key_; }
    [[nodiscard]] const std::string& value() const noexcept { return value_; }
    [[nodiscard]] std::uint32_t flags() const noexcept { return flags_; }
    [[nodiscard]] std::uint8_t datatype() const noexcept { return datatype_; }

private:
    std::string key_;
    std::string value_;
    std::uint32_t flags_ = 0;
    std::uint8_t datatype_ = 0;
};
static_assert(OperationOptions<GetMetaOptions>);

}  // namespace chaise
