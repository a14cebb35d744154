#pragma once

/// \file
/// What is asked of a view. JSON is given as text: `.startkey = R"(["a", 1])"`; see chaise::json_string.
///
/// Options are aggregates of trivially destructible members, so that they may stand in a `co_await` expression
/// (GCC 12); texts are copied before the call returns.

#include <chaise/time.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace chaise {

/// Text as a JSON string, with quotes: what a key of text is in the options of a view.
[[nodiscard]] std::string json_string(std::string_view text);

/// How old the index may be.
enum class Stale : std::uint8_t {
    ok,            ///< as it is
    update_after,  ///< as it is, and brought up to date behind the answer (the server's default)
    updated,       ///< brought up to date before the answer (on the wire: false)
};

/// What the server does when a node gives no part of the answer.
enum class OnViewError : std::uint8_t {
    continue_,  ///< goes on with the others; the errors are in the meta data, and are no error of the query's
    stop,       ///< ends the answer, and the query with it
};

/// From one place to another; empty ends are open.
struct ViewRange {
    std::string_view start{};
    std::string_view end{};
};

/// Appended to the text of an end key: everything that begins with the text (seed: STRING_RANGE_END).
inline constexpr std::string_view string_range_end = "\u0fff";

/// Options of view queries, those of the seed. What is not set is not sent. Those that contradict each other, and JSON
/// that is none, end the query with errc::invalid_argument.
struct ViewOptions {
    std::optional<Stale> stale{};
    std::optional<bool> descending{};
    std::optional<std::uint64_t> limit{};
    std::optional<std::uint64_t> skip{};
    /// JSON: rows of this key only (seed also: mapkey_single). Not with keys, startkey, endkey.
    std::string_view key{};
    /// JSON array: rows of these keys (seed also: mapkey_multi); a long one travels in the body of a POST. Not with
    /// key, startkey, endkey.
    std::string_view keys{};
    /// JSON: rows from here to there, both included.
    std::string_view startkey{};
    std::string_view endkey{};
    /// Of rows with that very key: from this document on. Need `startkey` or `endkey`; without a key the server
    /// would not look at them.
    std::string_view startkey_docid{};
    std::string_view endkey_docid{};
    /// The same as startkey and endkey, and as their docids, in one; not with those.
    ViewRange mapkey_range{};
    ViewRange dockey_range{};
    std::optional<bool> inclusive_end{};
    std::optional<bool> reduce{};
    /// Of reduced views: a row for each key, or for each beginning of so many elements of array keys. One of them.
    std::optional<bool> group{};
    std::optional<std::uint32_t> group_level{};
    std::optional<OnViewError> on_error{};
    /// How long the asked node waits for the others; in ms on the wire, 1 or more.
    std::optional<Duration> connection_timeout{};
    /// Of development views: all documents, not a sample.
    std::optional<bool> full_set{};
    /// Asks for `debug_info` in the meta data.
    std::optional<bool> debug{};
    /// JSON arrays, null for an open side. One of them makes it a query of a spatial view (which servers since 7.0 have
    /// no more); with those the options about keys, reduce and group are refused.
    std::string_view start_range{};
    std::string_view end_range{};

    /// Looks at "dev_" + the name of the design document.
    bool development = false;
    /// Gets each row's document by key-value, at most 16 at a time, in the order of the rows: Row::doc(). Sends
    /// reduce=false; not with reduce, group, group_level.
    bool include_docs = false;
    /// The whole query string, sent as it is ("stale=ok&limit=2"; percent-encoded already); alone, but for
    /// `development`, `include_docs` and those below.
    std::string_view raw{};
    /// Options that have no member here, `"name=value&other=value"`, percent-encoded, sent behind the others. They are
    /// unknown: the first is refused by its name, unless `unrecognized_ok`. Those above are set by their members alone.
    std::string_view extra{};
    /// What is in `extra` is sent, whatever its names are (seed: unrecognized_ok).
    bool unrecognized_ok = false;
    /// Keys and ids of documents are percent-encoded already, and sent as they are, whether they are JSON or not (seed:
    /// passthrough). Long `keys` are then refused, and do not travel in a body.
    bool passthrough = false;

    /// How long nothing may come: until the answer begins, all attempts together, and between two parts of it (time
    /// in which rows are not taken does not count). More than 0.
    Duration timeout = std::chrono::seconds(75);
};
static_assert(std::is_trivially_destructible_v<ViewOptions>);

}  // namespace chaise
