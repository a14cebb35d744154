#pragma once

// What the faces of rows share. Not for users.

#include <chaise/detail/row_source.hpp>
#include <chaise/error.hpp>
#include <chaise/row.hpp>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>

namespace chaise::detail {

/// Between a source and whoever waits for its next row.
class RowsReader : protected RowConsumer {
public:
    explicit RowsReader(std::unique_ptr<RowSource> source) : source_(std::move(source)) {}
    RowsReader(const RowsReader&) = delete;
    RowsReader& operator=(const RowsReader&) = delete;

    [[nodiscard]] RowSource& source() noexcept { return *source_; }
    /// The outcome of next() is there.
    [[nodiscard]] bool ready() {
        if (!row_) static_cast<void>(source_->take(row_));
        return row_ || source_->ended();
    }
    /// When ready: null, if there is a row, or nothing behind the last one.
    [[nodiscard]] const Error* failure() const noexcept {
        return !row_ && source_->error() ? &source_->error() : nullptr;
    }
    /// When ready: the row; nothing behind the last, or with an error.
    [[nodiscard]] Row take() {
        if (row_) ++taken_;
        return std::move(row_);  // which leaves none
    }
    [[nodiscard]] std::uint64_t taken() const noexcept { return taken_; }

protected:
    ~RowsReader() = default;
    /// Once the consumer is whole.
    void start() { source_->start(*this); }

private:
    std::unique_ptr<RowSource> source_;
    Row row_;
    std::uint64_t taken_ = 0;
};

/// What rows tell besides their rows.
template <class State>
class RowsBase {
public:
    /// All rows were given, or an error.
    [[nodiscard]] bool ended() const { return state_->ready() && state_->source().ended(); }
    /// Rows given so far.
    [[nodiscard]] std::uint64_t rows_returned() const noexcept { return state_->taken(); }
    /// The answer without its rows. \throws std::logic_error before the end (`next()` gave an empty row, or an error);
    /// what came before an error may end anywhere.
    [[nodiscard]] const RowsMeta& meta() const {
        if (!ended()) throw std::logic_error("chaise: the meta data of rows come behind the last row");
        return state_->source().meta();
    }
    /// The query's error, once it has ended; none if it went well, or goes on.
    [[nodiscard]] Error error() const { return ended() ? state_->source().error() : Error(); }

protected:
    explicit RowsBase(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
    [[nodiscard]] State& state() const noexcept { return *state_; }

private:
    std::unique_ptr<State> state_;
};

}  // namespace chaise::detail
