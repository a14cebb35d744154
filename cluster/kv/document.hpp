#pragma once

#include <chaise/time.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "cluster/kv/xattrs.hpp"
#include "protocol/datatype.hpp"
#include "protocol/status.hpp"

namespace chaise::testing {

/// One version of a document. It never changes: what a node keeps, what it has on disk and what is on the way to a
/// replica may be the same object; which version each of them has is its own.
struct Document {
    enum class Kind : std::uint8_t {
        committed,
        prepared,  ///< a durable write that is not decided yet; invisible to readers
        aborted,   ///< ends a prepared one without effect
    };
    std::string key;    ///< with the collection prefix
    std::string value;  ///< one Snappy block when the datatype says so
    Xattrs xattrs{};    ///< datatype has the bit when there are any; of a tombstone: system ones
    std::uint64_t cas = 0;
    std::uint64_t seqno = 0;
    std::uint64_t revision = 0;  ///< counts the document's mutations, also across its deletion
    std::uint32_t flags = 0;
    std::uint32_t expiry = 0;  ///< Unix seconds; 0: never. Of a tombstone: when it was deleted
    std::uint8_t datatype = protocol::datatype::raw;
    bool deleted = false;
    Kind kind = Kind::committed;
    std::uint8_t level = 0;  ///< protocol::DurabilityLevel of a prepared one

    /// Sets or clears the bit for them.
    void mark_xattrs() noexcept;
};
using DocumentPtr = std::shared_ptr<const Document>;

/// Its value, without compression.
[[nodiscard]] std::string inflated(const Document& document);

/// Finds strings by views.
struct KeyHash : std::hash<std::string_view> {
    using is_transparent = void;
};

}  // namespace chaise::testing
