#pragma once

/// \file
/// Rows: what a view, a query, a search or analytics answer, row by row, for coroutines.

#include <chaise/detail/row_source.hpp>
#include <chaise/row.hpp>
#include <chaise/task.hpp>

#include <coroutine>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace chaise {

namespace detail {

/// Between a source and the coroutine that awaits its rows.
class RowsState final : RowConsumer {
public:
    explicit RowsState(std::unique_ptr<RowSource> source) : source_(std::move(source)) { source_->start(*this); }
    RowsState(const RowsState&) = delete;
    RowsState& operator=(const RowsState&) = delete;
    ~RowsState() = default;

    [[nodiscard]] RowSource& source() noexcept { return *source_; }
    /// The outcome of next() is there.
    [[nodiscard]] bool ready() {
        if (!row_) static_cast<void>(source_->take(row_));
        return row_ || source_->ended();
    }
    [[nodiscard]] Row take() {
        if (!row_ && source_->error()) throw_error(source_->error());
        if (row_) ++taken_;
        return std::exchange(row_, Row());
    }
    [[nodiscard]] std::coroutine_handle<>& waiting() noexcept { return waiting_; }
    [[nodiscard]] std::uint64_t taken() const noexcept { return taken_; }

private:
    void on_news() override {
        if (waiting_ && ready()) std::exchange(waiting_, nullptr).resume();
    }

    std::unique_ptr<RowSource> source_;
    Row row_;
    std::coroutine_handle<> waiting_;
    std::uint64_t taken_ = 0;
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
class Rows {
public:
    explicit Rows(std::unique_ptr<detail::RowSource> source)
        : state_(std::make_unique<detail::RowsState>(std::move(source))) {}

    /// `co_await rows.next()`: the next row; an empty one behind the last, again and again. Throws the query's error,
    /// when all rows that came were given. One at a time; `rows` must outlive it.
    [[nodiscard("await it")]] detail::NextRow next() { return detail::NextRow(*state_); }

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

    /// All rows were given, or an error thrown.
    [[nodiscard]] bool ended() const { return state_->ready() && state_->source().ended(); }
    /// Rows given so far.
    [[nodiscard]] std::uint64_t rows_returned() const noexcept { return state_->taken(); }
    /// The answer without its rows. \throws std::logic_error before the end (`next()` gave an empty row, or threw);
    /// what came before an error may end anywhere.
    [[nodiscard]] const RowsMeta& meta() const {
        if (!ended()) throw std::logic_error("chaise: the meta data of rows come behind the last row");
        return state_->source().meta();
    }
    /// The query's error, once it has ended; none if it went well, or goes on.
    [[nodiscard]] Error error() const { return ended() ? state_->source().error() : Error(); }

private:
    std::unique_ptr<detail::RowsState> state_;
};

}  // namespace chaise
