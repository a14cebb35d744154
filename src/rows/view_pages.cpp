#include <chaise/view_pages.hpp>

#include <chaise/detail/row_source.hpp>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace chaise {

ViewPages::ViewPages(const detail::BucketHandle& bucket, std::string_view design, std::string_view view,
                     std::uint64_t size, const ViewOptions& options)
    : bucket_(bucket.default_collection()),
      design_(design),
      view_(view),
      options_(options),
      size_(std::max<std::uint64_t>(size, 1)),
      left_(options.limit.value_or(std::numeric_limits<std::uint64_t>::max())) {
    for (std::string_view* text : {&options_.key, &options_.keys, &options_.startkey, &options_.endkey,
                                   &options_.startkey_docid, &options_.endkey_docid, &options_.mapkey_range.start,
                                   &options_.mapkey_range.end, &options_.dockey_range.start, &options_.dockey_range.end,
                                   &options_.start_range, &options_.end_range, &options_.raw, &options_.extra}) {
        if (!text->empty()) *text = own(*text);
    }
    more_ = left_ != 0;
}

Task<std::vector<Row>> ViewPages::next() {
    std::vector<Row> page;
    if (!more_) co_return page;
    ViewOptions asked = options_;
    asked.limit = std::min(size_, left_);
    if (!last_id_.empty()) {
        asked.startkey = last_key_;
        asked.startkey_docid = last_id_;
        asked.mapkey_range.start = {};
        asked.dockey_range.start = {};
        // What is left of the ranges.
        if (!asked.mapkey_range.end.empty()) asked.endkey = std::exchange(asked.mapkey_range.end, {});
        if (!asked.dockey_range.end.empty()) asked.endkey_docid = std::exchange(asked.dockey_range.end, {});
        asked.skip.reset();
        *asked.limit += last_rows_;  // the last ones come once more, unless they are gone by now
    }
    Rows rows(bucket_.view_query(design_, view_, asked));
    page = co_await rows.all();
    bool more_come = page.size() == *asked.limit;
    const auto is_last = [&](const Row& row) { return row.docid() == last_id_ && row.key() == last_key_; };
    if (!last_id_.empty()) {
        std::size_t known = 0;
        while (known < page.size() && known < last_rows_ && is_last(page[known])) ++known;
        page.erase(page.begin(), page.begin() + static_cast<std::ptrdiff_t>(known));
        if (page.size() > std::min(size_, left_)) {
            page.resize(std::min(size_, left_));
            more_come = true;
        }
    }
    left_ -= page.size();
    more_ = left_ != 0 && more_come;
    if (page.empty()) co_return page;
    const auto id = page.back().docid();
    if (!id || !options_.key.empty() || !options_.keys.empty()) {
        options_.skip = options_.skip.value_or(0) + page.size();
        co_return page;
    }
    if (last_id_.empty() || !is_last(page.back())) last_rows_ = 0;
    last_key_ = page.back().key();
    last_id_ = *id;
    for (auto row = page.rbegin(); row != page.rend() && is_last(*row); ++row) ++last_rows_;
    co_return page;
}

}  // namespace chaise
