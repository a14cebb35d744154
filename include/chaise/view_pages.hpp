#pragma once

/// \file
/// ViewPages: a view's rows, page by page, each by a query of its own.

#include <chaise/detail/bucket_handle.hpp>
#include <chaise/rows.hpp>
#include <chaise/task.hpp>
#include <chaise/view_options.hpp>

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <vector>

namespace chaise {

/// What `bucket.view_pages("design", "view", 20)` gives:
///
/// `auto pages = …; while (pages.more()) for (const Row& row : co_await pages.next()) use(row);`
///
/// A page begins behind the last row of the one before, by its key and document, wherever that row is by then: rows
/// that come or go meanwhile neither repeat others nor hide them. Reduced rows, which belong to no document, and rows
/// of `key` and `keys` are counted instead (skip). Texts of the options are copied; `limit` is of all pages together.
class ViewPages {
public:
    ViewPages(const detail::BucketHandle& bucket, std::string_view design, std::string_view view, std::uint64_t size,
              const ViewOptions& options);
    ViewPages(const ViewPages&) = delete;
    ViewPages& operator=(const ViewPages&) = delete;

    /// There may be another page; the last one may be empty.
    [[nodiscard]] bool more() const noexcept { return more_; }
    /// Starts when it is awaited, one at a time; `pages` must outlive it. Throws the errors of view_query; the same
    /// page can be asked for again then.
    [[nodiscard]] Task<std::vector<Row>> next();

private:
    [[nodiscard]] std::string_view own(std::string_view text) { return texts_.emplace_back(text); }

    detail::BucketHandle bucket_;
    std::string design_;
    std::string view_;
    std::list<std::string> texts_;
    ViewOptions options_;
    std::uint64_t size_;
    std::uint64_t left_;
    std::string last_key_;
    std::string last_id_;
    std::uint64_t last_rows_ = 0;  ///< so many have that key and document
    bool more_ = true;
};

}  // namespace chaise
