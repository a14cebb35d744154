#pragma once

/// \file
/// AsyncViewBase: rows by callbacks; the seed's form of queries.

#include <chaise/detail/row_source.hpp>
#include <chaise/row.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace chaise {

/// A query that was described and not sent: what `bucket.query<MyView>(…)` gives MyView's constructor.
class ViewCall {
public:
    explicit ViewCall(std::unique_ptr<detail::RowSource> source) noexcept : source_(std::move(source)) {}
    [[nodiscard]] std::unique_ptr<detail::RowSource> take() && noexcept { return std::move(source_); }

private:
    std::unique_ptr<detail::RowSource> source_;
};

/// What becomes of rows before on_rows hears of them; replaceable (seed: RowProcessor).
class RowProcessor {
public:
    RowProcessor() = default;
    RowProcessor(const RowProcessor&) = delete;
    RowProcessor& operator=(const RowProcessor&) = delete;
    virtual ~RowProcessor() = default;
    /// Gives what on_rows gets: fewer, others, more. By default they stay as they are.
    [[nodiscard]] virtual std::vector<Row> handle_rows(std::vector<Row> rows) { return rows; }
};

/// Subclass it, and `auto view = bucket.query<MyView>("design", "view", {…}); view->start();`
///
/// Heard on the loop's thread, never inside start(): on_rows any number of times, on_error if the query failed, and
/// then on_done, last and exactly once. Rows that came before an error are told before it. What on_rows throws goes to
/// the loop's run; the rest is told all the same.
///
/// Destroying the view, also inside one of its functions, ends the request and says nothing more. If the loop is
/// destroyed first, nothing more is said either.
class AsyncViewBase : detail::RowConsumer {
public:
    /// A subclass inherits it: `using AsyncViewBase::AsyncViewBase;`
    explicit AsyncViewBase(ViewCall call) : source_(std::move(call).take()) {}
    AsyncViewBase(const AsyncViewBase&) = delete;
    AsyncViewBase& operator=(const AsyncViewBase&) = delete;
    virtual ~AsyncViewBase() {
        if (gone_) *gone_ = true;
    }

    /// Sends the request. While it runs: nothing. \throws std::logic_error after the end.
    void start() {
        if (done_) throw std::logic_error("chaise: this view query is over");
        source_->start(*this);
    }
    void set_row_processor(std::unique_ptr<RowProcessor> processor) noexcept { processor_ = std::move(processor); }
    /// At most so many rows go to one on_rows; 1 or more. Default: 1000.
    void set_rows_per_call(std::size_t rows) noexcept { rows_per_call_ = rows == 0 ? 1 : rows; }
    /// Rows told so far, as they came from the server.
    [[nodiscard]] std::uint64_t rows_returned() const noexcept { return told_; }
    /// The answer without its rows; from on_error or on_done on. \throws std::logic_error before.
    [[nodiscard]] const RowsMeta& meta() const {
        if (!source_->ended()) throw std::logic_error("chaise: the meta data of a view come behind the last row");
        return source_->meta();
    }

protected:
    virtual void on_rows(std::span<const Row> rows) = 0;
    virtual void on_error(const Error& error) = 0;
    virtual void on_done() = 0;

private:
    void on_news() final {
        bool gone = false;
        gone_ = &gone;
        const Leave leave{*this, gone};
        while (!gone && !done_) {
            std::vector<Row> rows = std::move(spare_);
            for (Row row; rows.size() < rows_per_call_ && source_->take(row);) rows.push_back(std::move(row));
            const bool none = rows.empty();
            told_ += rows.size();
            if (!none && processor_) rows = processor_->handle_rows(std::move(rows));
            if (!rows.empty()) on_rows(rows);
            if (gone) return;
            rows.clear();
            spare_ = std::move(rows);
            if (none) break;
        }
        if (gone || done_ || !source_->ended()) return;
        if (source_->error() && !std::exchange(error_told_, true)) {
            const Error error = source_->error();
            on_error(error);
            if (gone) return;
        }
        done_ = true;
        on_done();
    }
    /// However on_news is left.
    struct Leave {
        AsyncViewBase& view;
        const bool& gone;
        ~Leave() {
            if (!gone) view.gone_ = nullptr;
        }
    };

    std::unique_ptr<detail::RowSource> source_;
    std::unique_ptr<RowProcessor> processor_;
    std::vector<Row> spare_;  // empty; its memory is used again
    std::size_t rows_per_call_ = 1000;
    std::uint64_t told_ = 0;
    bool* gone_ = nullptr;
    bool error_told_ = false;
    bool done_ = false;
};

}  // namespace chaise
