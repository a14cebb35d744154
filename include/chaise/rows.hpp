#pragma once

/// \file
/// Rows: what a view, a query, a search or analytics answer, row by row, for coroutines.

#include <chaise/detail/rows_reader.hpp>
#include <chaise/row.hpp>
#include <chaise/task.hpp>

#include <coroutine>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace chaise {

namespace detail {

/// Between a source and the coroutine that awaits its rows.
class RowsState final : public RowsReader {
public:
    explicit RowsState(std::unique_ptr<RowSource> source) : RowsReader(std::move(source)) { start(); }
    [[nodiscard]] std::coroutine_handle<>& waiting() noexcept { return waiting_; }

private:
    void on_news() override {
        if (waiting_ && ready()) std::exchange(waiting_, nullptr).resume();
    }

    std::coroutine_handle<> waiting_;
};

class NextRow {
public:
    explicit NextRow(RowsState& state) noexcept : state_(&state) {}
    NextRow(const NextRow&) = delete;
    NextRow& operator=(const NextRow&) = delete;
    ~NextRow() {
        if (waits_ && state_->waiting() == waits_) state_->waiting() = nullptr;  // the coroutine is destroyed
    }
    [[nodiscard]] bool await_ready() {
        if (state_->waiting()) throw std::logic_error("chaise: the next row is being awaited already");
        return state_->ready();
    }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { state_->waiting() = waits_ = waiting; }
    [[nodiscard]] Row await_resume() {
        waits_ = nullptr;
        if (const Error* failure = state_->failure()) throw_error(*failure);
        return state_->take();
    }

private:
    RowsState* state_;
    std::coroutine_handle<> waits_;
};

}  // namespace detail

/// The rows of one query, which was sent when it was called:
///
/// ```
/// auto rows = bucket.view_query("beer", "by_location", {.limit = 100});
/// while (auto row = co_await rows.next()) use(row.key(), row.docid());
/// use(rows.meta().total_rows());
/// ```
///
/// Rows that nobody takes are not read from the network either: 256 KiB wait here (and as much in the machinery below),
/// so that a slow consumer holds memory flat. Rows that came before an error are given before it. Destroying it ends
/// the request. For coroutines whose promise has no `await_transform`; the callback form is AsyncViewBase
/// (async_view_base.hpp).
///
/// Thread rule: the loop's thread only. May outlive its bucket (then: errc::shutdown).
class Rows : public detail::RowsBase<detail::RowsState> {
public:
    explicit Rows(std::unique_ptr<detail::RowSource> source)
        : RowsBase(std::make_unique<detail::RowsState>(std::move(source))) {}

    /// `co_await rows.next()`: the next row; an empty one behind the last, again and again. Throws the query's error,
    /// when all rows that came were given. One at a time; `rows` must outlive it.
    [[nodiscard("await it")]] detail::NextRow next() { return detail::NextRow(state()); }

    /// `co_await rows.all()`: those that were not given yet. Throws the query's error instead. For answers that memory
    /// holds; `rows` must outlive it.
    Task<std::vector<Row>> all() {
        std::vector<Row> out;
        for (;;) {
            Row row = co_await next();
            if (!row) co_return out;
            out.push_back(std::move(row));
        }
    }
};

}  // namespace chaise
