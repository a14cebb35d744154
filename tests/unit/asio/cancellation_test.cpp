// Cancellation slots of handlers that are never called.

#include <chaise/asio.hpp>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/io_context.hpp>
#include <asio/system_executor.hpp>
#include <catch2/catch.hpp>

#include <memory>
#include <optional>

using namespace chaise;

namespace {

struct Handler {
    std::shared_ptr<int> calls;
    void operator()(const std::exception_ptr&, const ValueResult&) const { ++*calls; }
};
/// Goes the longer way: it has an executor of its own.
struct RemoteHandler : Handler {
    using executor_type = asio::system_executor;
    [[nodiscard]] executor_type get_executor() const noexcept { return {}; }
};

template <class H>
void loop_goes_first() {
    const auto calls = std::make_shared<int>(0);
    asio::cancellation_signal signal;
    std::optional<asio::io_context> io(1);
    {
        AsioBucket bucket(*io, "memcached://127.0.0.1:1");
        bucket.get("k", asio::bind_cancellation_slot(signal.slot(), H{calls}));
        io->poll();
        CHECK(signal.slot().has_handler());
        io.reset();
        CHECK(calls.use_count() == 1);  // destroyed uncalled
        CHECK_FALSE(signal.slot().has_handler());
    }
    signal.emit(asio::cancellation_type::terminal);
    CHECK(*calls == 0);
}

}  // namespace

TEST_CASE("a signal that outlives the loop and the bucket finds no operation", "[asio]") {
    loop_goes_first<Handler>();
    loop_goes_first<RemoteHandler>();
}
