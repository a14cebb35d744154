#pragma once

// What the faces of rows are built on. Not for users.

#include <chaise/row.hpp>

namespace chaise::detail {

/// Who wants rows. Told on the loop's thread, never inside a call to the source.
class RowConsumer {
public:
    /// There are rows, or it has ended. May destroy the source.
    virtual void on_news() = 0;
    /// The loop is gone: nothing comes any more. May destroy the source.
    virtual void on_loop_gone() {}

protected:
    RowConsumer() = default;
    RowConsumer(const RowConsumer&) = default;
    RowConsumer& operator=(const RowConsumer&) = default;
    ~RowConsumer() = default;
};

/// One query. Destroying it ends it, and its request; the consumer hears no more.
class RowSource {
public:
    RowSource() = default;
    RowSource(const RowSource&) = delete;
    RowSource& operator=(const RowSource&) = delete;
    virtual ~RowSource() = default;

    /// Sends the request; once.
    virtual void start(RowConsumer& consumer) = 0;
    /// The next row. False: there is none now; the consumer hears when there is, or when it has ended.
    [[nodiscard]] virtual bool take(Row& row) = 0;
    /// All rows were taken, and there will be no more.
    [[nodiscard]] virtual bool ended() const noexcept = 0;
    /// Once ended: none, or why.
    [[nodiscard]] virtual const Error& error() const noexcept = 0;
    /// Once ended; after an error as far as it came.
    [[nodiscard]] virtual const RowsMeta& meta() const noexcept = 0;
};

}  // namespace chaise::detail
