#pragma once

/// \file
/// Rows in Asio: `while (auto row = co_await rows.next())` inside `asio::awaitable`, or by any completion token.

#include <chaise/asio/awaitable.hpp>
#include <chaise/asio/expected_token.hpp>
#include <chaise/asio/initiation.hpp>
#include <chaise/detail/rows_reader.hpp>
#include <chaise/error.hpp>
#include <chaise/expected.hpp>
#include <chaise/row.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/dispatch.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace chaise {

/// What `co_await rows.next()` is for Asio's own algorithms (`a || b`, `co_spawn`): it is a Row.
class AsioRow : public Row {
public:
    using Row::Row;
    AsioRow() = default;
    // NOLINTNEXTLINE(google-explicit-constructor): it takes the place of a Row
    AsioRow(Row&& row) noexcept : Row(std::move(row)) {}
};

namespace detail {

/// Who waits for a row.
class AsioRowWaiter {
public:
    AsioRowWaiter() = default;
    AsioRowWaiter(const AsioRowWaiter&) = delete;
    AsioRowWaiter& operator=(const AsioRowWaiter&) = delete;
    virtual ~AsioRowWaiter() = default;
    /// `later`: not inside this call.
    virtual void complete(const Error& error, Row&& row, bool later) = 0;
    /// A signal that lives on finds nobody.
    virtual void forget_signal() noexcept = 0;
};

template <class Handler, bool expected>
class AsioRowHandler final : public AsioRowWaiter {
    using Executor = AsioExecutorOf<Handler>;

public:
    AsioRowHandler(Handler&& handler, const Executor& executor) : work_(executor), handler_(std::move(handler)) {}

    [[nodiscard]] asio::cancellation_slot signal() const noexcept {
        return asio::get_associated_cancellation_slot(handler_);
    }
    void complete(const Error& error, Row&& row, bool later) override {
        forget_signal();
        if constexpr (expected) {
            Expected<Row, Error> outcome = std::move(row);
            if (error) outcome = Unexpected<Error>(error);
            send(later, AsioBound<Handler, Expected<Row, Error>>{std::move(handler_), {std::move(outcome)}});
        } else {
            std::exception_ptr exception;
            if (error) exception = make_exception_ptr(error);
            send(later, AsioBound<Handler, std::exception_ptr, Row>{std::move(handler_),
                                                                    {std::move(exception), std::move(row)}});
        }
    }
    void forget_signal() noexcept override {
        auto slot = signal();
        if (slot.is_connected()) slot.clear();
    }

private:
    template <class B>
    void send(bool later, B bound) {
        const auto work = std::move(work_);
        if (later) {
            asio::post(work.get_executor(), std::move(bound));
        } else {
            asio::dispatch(work.get_executor(), std::move(bound));
        }
    }

    asio::executor_work_guard<Executor> work_;
    Handler handler_;
};

/// Between a source and whoever waits for its next row.
class AsioRowsState final : public RowsReader {
public:
    AsioRowsState(AsioIOPS& iops, std::unique_ptr<RowSource> source) : RowsReader(std::move(source)), iops_(&iops) {
        start();
    }
    AsioRowsState(const AsioRowsState&) = delete;
    AsioRowsState& operator=(const AsioRowsState&) = delete;
    ~AsioRowsState() {
        if (waiter_) fail_waiter("its rows were destroyed");
    }

    [[nodiscard]] asio::any_io_executor executor() const { return iops_->strand(); }
    [[nodiscard]] bool waiting() const noexcept { return waiter_ != nullptr; }
    template <bool expected, class Handler>
    void wait(Handler handler) {
        if (waiter_) throw std::logic_error("chaise: the next row is being awaited already");
        if (loop_gone_) return;  // the handler is destroyed uncalled
        AsioExecutorOf<Handler> executor = asio::get_associated_executor(handler, iops_->strand());
        auto waiter = std::make_unique<AsioRowHandler<Handler, expected>>(std::move(handler), executor);
        if (ready()) return deliver(std::move(waiter), true);
        if (auto signal = waiter->signal(); signal.is_connected()) {
            signal.assign([this](asio::cancellation_type type) {
                if (type != asio::cancellation_type::none) fail_waiter("cancelled by the caller");
            });
        }
        waiter_ = std::move(waiter);
    }

private:
    void on_news() override {
        if (waiter_ && ready()) deliver(std::exchange(waiter_, nullptr), false);
    }
    void on_loop_gone() override {
        loop_gone_ = true;
        const std::unique_ptr<AsioRowWaiter> waiter = std::exchange(waiter_, nullptr);
        if (waiter) waiter->forget_signal();
        // Destroyed uncalled: it may own the coroutine that these rows are in.
    }
    /// This object may be gone afterwards.
    void deliver(std::unique_ptr<AsioRowWaiter> waiter, bool later) {
        const Error error = failure() ? *failure() : Error();
        waiter->complete(error, take(), later);
    }
    void fail_waiter(const char* why) {
        const std::unique_ptr<AsioRowWaiter> waiter = std::exchange(waiter_, nullptr);
        waiter->complete(Error(errc::cancelled, {.message = why, .operation = "next"}), Row(), true);
    }

    AsioIOPS* iops_;
    std::unique_ptr<AsioRowWaiter> waiter_;
    bool loop_gone_ = false;
};

template <bool expected>
struct AsioRowInitiation {
    template <class Handler>
    void operator()(Handler&& handler, AsioRowsState* state) const {
        state->template wait<expected>(std::decay_t<Handler>(std::forward<Handler>(handler)));
    }
};

}  // namespace detail
}  // namespace chaise

/// `co_await rows.next()`: a row that is there already costs no suspension. Awaited at most once.
template <class Executor>
class [[nodiscard]] asio::awaitable<chaise::AsioRow, Executor> {
    using Thread = chaise::detail::AsioWaitingThread<Executor>;

public:
    using value_type = chaise::AsioRow;
    using executor_type = Executor;

    explicit awaitable(chaise::detail::AsioRowsState& state) noexcept : state_(&state) {}
    /// Only before it waits.
    awaitable(awaitable&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    awaitable& operator=(awaitable&&) = delete;
    ~awaitable() = default;

    /// For who wants Asio's own type.
    [[nodiscard]] operator asio::awaitable<chaise::Row, Executor>() && { return as_asio(std::move(*this)); }
    [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }

    bool await_ready() const { return !state_->waiting() && state_->ready(); }
    template <class U>
    void await_suspend(std::coroutine_handle<asio::detail::awaitable_frame<U, Executor>> waiting) {
        if (state_->waiting()) throw std::logic_error("chaise: the next row is being awaited already");
        state_->template wait<true>(Resume(Thread(waiting.promise()), *this));
    }
    chaise::Row await_resume() {
        if (!outcome_) {  // it was there
            if (const chaise::Error* failure = state_->failure()) chaise::throw_error(*failure);
            return state_->take();
        }
        if (!*outcome_) chaise::throw_error(outcome_->error());
        return std::move(**outcome_);
    }

private:
    /// The coroutine as a handler.
    struct Resume : Thread {
        Resume(Thread&& thread, awaitable& waits) : Thread(std::move(thread)), waits_(&waits) {}
        void operator()(chaise::Expected<chaise::Row, chaise::Error>&& outcome) {
            waits_->outcome_.emplace(std::move(outcome));
            this->resume();
        }
        awaitable* waits_;
    };
    static asio::awaitable<chaise::Row, Executor> as_asio(awaitable row) { co_return co_await std::move(row); }

    chaise::detail::AsioRowsState* state_;
    std::optional<chaise::Expected<chaise::Row, chaise::Error>> outcome_;
};

namespace chaise {

/// The rows of one query of an AsioBucket, which was sent when it was called:
///
/// ```
/// auto rows = bucket.view_query("beer", "by_location", {.limit = 100});
/// while (auto row = co_await rows.next()) use(row.key(), row.docid());
/// use(rows.meta().total_rows());
/// ```
///
/// As Rows (rows.hpp) in all else: what nobody takes is not read from the network, rows that came before an error are
/// given before it, destroying it ends the request.
///
/// next() and all() take a completion token, too: `void(std::exception_ptr, Row)`, or `void(Expected<Row, Error>)` by
/// `as_expected(token)`. A signal on its cancellation slot ends the waiting, not the query, with `errc::cancelled`; no
/// row is lost. Handlers that wait when the rows are destroyed get that error; when the io_context is destroyed, they
/// are destroyed uncalled.
///
/// Thread rule: as the bucket's calls, on its executor. May outlive its bucket (then: errc::shutdown).
class AsioRows : public detail::RowsBase<detail::AsioRowsState> {
public:
    AsioRows(AsioIOPS& iops, std::unique_ptr<detail::RowSource> source)
        : RowsBase(std::make_unique<detail::AsioRowsState>(iops, std::move(source))) {}

    /// The next row; an empty one behind the last, again and again. Ends with the query's error when all rows that came
    /// were given. One at a time; `rows` must outlive the await.
    [[nodiscard("await it")]] asio::awaitable<AsioRow> next() { return asio::awaitable<AsioRow>(state()); }
    template <class Token>
    auto next(Token&& token) {
        return asio::async_initiate<Token, void(std::exception_ptr, Row)>(detail::AsioRowInitiation<false>{}, token,
                                                                          &state());
    }
    template <class Token>
    auto next(AsExpected<Token> token) {
        return asio::async_initiate<Token, void(Expected<Row, Error>)>(detail::AsioRowInitiation<true>{}, token.token,
                                                                       &state());
    }

    /// Those that were not given yet; or the query's error instead. For answers that memory holds; `rows` must outlive
    /// it.
    asio::awaitable<std::vector<Row>> all() {
        std::vector<Row> out;
        for (;;) {
            Row row = co_await next();
            if (!row) co_return out;
            out.push_back(std::move(row));
        }
    }
    /// `void(std::exception_ptr, std::vector<Row>)`
    template <class Token>
    auto all(Token&& token) {
        return asio::co_spawn(state().executor(), all(), std::forward<Token>(token));
    }
};

}  // namespace chaise
