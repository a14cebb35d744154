#include <chaise/view_pages.hpp>

#include "bucket/core.hpp"
#include "bucket/task_parts.hpp"
#include "rows/row_request.hpp"

#include <chaise/detail/row_source.hpp>
#include <chaise/rows.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise::detail {

/// Where the next page begins.
class ViewPagesState {
public:
    ViewPagesState(const BucketHandle& bucket, std::string_view design, std::string_view view, std::uint64_t size,
                   const ViewOptions& options);
    [[nodiscard]] bool more() const noexcept { return more_; }
    [[nodiscard]] BucketHandle& bucket() noexcept { return bucket_; }
    [[nodiscard]] const ViewOptions& options() const noexcept { return options_; }
    [[nodiscard]] Task<std::vector<Row>> next(Duration left);

    bool under_way = false;

private:
    [[nodiscard]] std::string_view own(std::string_view text) { return texts_.emplace_back(text); }
    /// Of what comes once more at the beginning of a page.
    [[nodiscard]] bool is_last(const Row& row) const { return row.docid() == last_id_ && row.key() == last_key_; }
    void remember(const std::vector<Row>& page);

    BucketHandle bucket_;
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

ViewPagesState::ViewPagesState(const BucketHandle& bucket, std::string_view design, std::string_view view,
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

/// Nothing is changed before the whole page is there.
Task<std::vector<Row>> ViewPagesState::next(Duration left) {
    std::vector<Row> page;
    if (!more_) co_return page;
    ViewOptions asked = options_;
    asked.timeout = std::min(asked.timeout, left);
    asked.limit = std::min(size_, left_);
    std::string key = last_key_;
    std::string id = last_id_;
    if (asked.passthrough) {  // all that is sent is encoded, then
        key = percent_encoded(key);
        id = percent_encoded(id);
    }
    if (!last_id_.empty()) {
        asked.startkey = key;
        asked.startkey_docid = id;
        asked.mapkey_range.start = {};
        asked.dockey_range.start = {};
        // What is left of the ranges.
        if (!asked.mapkey_range.end.empty()) asked.endkey = std::exchange(asked.mapkey_range.end, {});
        if (!asked.dockey_range.end.empty()) asked.endkey_docid = std::exchange(asked.dockey_range.end, {});
        asked.skip.reset();
        *asked.limit += last_rows_;  // the last ones come once more, unless they are gone by now
    }
    Rows rows(bucket_.view_query(design_, view_, asked));
    bool whole = false;
    while (!whole && page.size() <= *asked.limit) {  // whoever sends more than that is not listened to
        Row row = co_await rows.next();
        whole = !row;
        if (!whole) page.push_back(std::move(row));
    }
    if (!whole) page.pop_back();
    bool more_come = page.size() == *asked.limit;
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
    if (!page.empty()) remember(page);
    co_return page;
}

void ViewPagesState::remember(const std::vector<Row>& page) {
    const auto id = page.back().docid();
    const bool ordered_by_key =
        options_.key.empty() && options_.keys.empty() && options_.start_range.empty() && options_.end_range.empty();
    if (!id || !ordered_by_key) {
        options_.skip = options_.skip.value_or(0) + page.size();
        return;
    }
    if (last_id_.empty() || !is_last(page.back())) last_rows_ = 0;
    last_key_ = page.back().key();
    last_id_ = *id;
    for (auto row = page.rbegin(); row != page.rend() && is_last(*row); ++row) ++last_rows_;
}

namespace {

/// Keeps others away while a page is under way: until its coroutine ends, or goes.
class PageTurn {
public:
    explicit PageTurn(std::shared_ptr<ViewPagesState> pages) : pages_(std::move(pages)) { pages_->under_way = true; }
    PageTurn(const PageTurn&) = delete;
    PageTurn& operator=(const PageTurn&) = delete;
    ~PageTurn() { end(); }
    void end() noexcept {
        if (pages_) pages_->under_way = false;
        pages_.reset();
    }

private:
    std::shared_ptr<ViewPagesState> pages_;
};

Task<ViewPage> page_of(std::shared_ptr<ViewPagesState> pages, std::shared_ptr<PageTurn> turn, Duration left) {
    struct AtEnd {
        PageTurn& turn;
        ~AtEnd() { turn.end(); }
    } at_end{*turn};
    std::vector<Row> rows = co_await pages->next(left);
    co_return ViewPage(std::move(rows));
}

}  // namespace

bool more_pages(const ViewPagesState& pages) noexcept { return pages.more(); }

std::shared_ptr<ViewPagesState> BucketHandle::view_pages(std::string_view design, std::string_view view,
                                                         std::uint64_t size, const ViewOptions& options) const {
    return std::make_shared<ViewPagesState>(*this, design, view, size, options);
}

AsyncResult<ViewPage> BucketHandle::view_page(const std::shared_ptr<ViewPagesState>& pages) {
    Core& core = *pages->bucket().core_;
    Slot& slot = core.acquire(nullptr, OperationKind::view_page, protocol::Opcode::noop);
    const Duration timeout = pages->options().timeout;
    const char* const fault = pages->under_way              ? "the page before is still under way"
                              : timeout <= Duration::zero() ? "timeout must be more than 0"
                                                            : nullptr;
    if (fault) {
        core.reject(slot, errc::invalid_argument, {}, fault);
        return AsyncResult<ViewPage>(&slot);
    }
    // Shared: std::function wants to be copied.
    auto run = [pages, turn = std::make_shared<PageTurn>(pages)](Duration left) { return page_of(pages, turn, left); };
    core.submit_when_open(slot, std::make_unique<TaskParts<ViewPage>>(std::move(run), false), timeout);
    return AsyncResult<ViewPage>(&slot);
}

}  // namespace chaise::detail
