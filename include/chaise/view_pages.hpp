#pragma once

/// \file
/// Pages of a view: its rows, so many at a time, each page by a query of its own.

#include <chaise/detail/bucket_handle.hpp>
#include <chaise/result.hpp>
#include <chaise/row.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace chaise {

/// One page: a range of rows.
class ViewPage : public Result {
public:
    using value_type = Row;
    using const_iterator = std::vector<Row>::const_iterator;

    [[nodiscard]] const_iterator begin() const noexcept { return rows_.begin(); }
    [[nodiscard]] const_iterator end() const noexcept { return rows_.end(); }
    [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
    [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
    [[nodiscard]] const Row& operator[](std::size_t n) const { return rows_.at(n); }

    ViewPage() = default;
    /// Made by the engine.
    explicit ViewPage(std::vector<Row> rows) noexcept : rows_(std::move(rows)) {}

private:
    std::vector<Row> rows_;
};

/// What `bucket.view_pages("design", "view", 20)` gives:
///
/// ```
/// auto pages = bucket.view_pages("beer", "by_name", 20);
/// while (pages.more()) {
///     auto page = co_await pages.next();
///     for (const Row& row : page) use(row);
/// }
/// ```
///
/// A page begins behind the last row of the one before, by its key and document, wherever that row is by then: rows
/// that come or go meanwhile neither repeat others nor hide them. Reduced rows, which belong to no document, and rows
/// of `key`, `keys` and spatial views are counted instead (skip). Texts of the options are copied; `limit` is of all
/// pages together, `timeout` of one page, all of it. `raw` is refused: a page needs a limit of its own.
///
/// Thread rule: the loop's thread only. May outlive its bucket (then: errc::shutdown).
template <class Face>
class BasicViewPages {
public:
    /// There may be another page; the last one may be empty. Changes when a page has come.
    [[nodiscard]] bool more() const noexcept { return detail::more_pages(*pages_); }

    /// The next page, asked for by the call; behind the last one an empty one, again and again. One at a time: another
    /// call before the outcome is an error, invalid_argument. The other errors are those of view_query, with
    /// timeout_before_send and timeout_after_send for the page; after an error, and when it is cancelled or dropped by
    /// the coroutine that awaits it, the same page can be asked for again. It need not outlive its operation.
    template <class... Extra>
    auto next(Extra&&... extra) {
        return face_.wrap(detail::BucketHandle::view_page(pages_), std::forward<Extra>(extra)...);
    }

    /// Not for users: buckets make them.
    BasicViewPages(Face face, std::shared_ptr<detail::ViewPagesState> pages)
        : face_(std::move(face)), pages_(std::move(pages)) {}
    BasicViewPages(const BasicViewPages&) = delete;
    BasicViewPages& operator=(const BasicViewPages&) = delete;
    BasicViewPages(BasicViewPages&&) noexcept = default;
    BasicViewPages& operator=(BasicViewPages&&) noexcept = default;
    ~BasicViewPages() = default;

private:
    Face face_;
    std::shared_ptr<detail::ViewPagesState> pages_;
};

}  // namespace chaise
