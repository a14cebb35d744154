#pragma once

// A bucket on a scripted loop with a scripted server, and a book of what became of each operation.

#include "tests/unit/engine/script_server.hpp"

#include <chaise/async_bucket.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::testing {

/// What became of one operation.
struct Outcome {
    unsigned calls = 0;
    std::optional<Error> error;
    std::string value;
    Cas cas = 0;
    errc rc = errc::success;
    TimePoint at{};
    unsigned turn = 0;

    [[nodiscard]] bool pending() const { return calls == 0; }
    [[nodiscard]] bool ok() const { return calls == 1 && !error; }
    [[nodiscard]] bool failed(errc code) const { return calls == 1 && error && error->code() == code; }
};

struct Fixture {
    explicit Fixture(BucketOptions options = {}, std::string_view where = "memcached://node");
    ~Fixture();

    template <class T>
    Outcome& track(AsyncResult<T> operation) {
        outcomes.push_back(std::make_unique<Outcome>());
        Outcome& outcome = *outcomes.back();
        operation.set_callbacks(
            [this, &outcome](T result) {
                note(outcome);
                outcome.cas = result.cas();
                outcome.rc = result.rc();
                if constexpr (std::is_same_v<T, ValueResult>) outcome.value = result.owned();
            },
            [this, &outcome](const Error& error) {
                note(outcome);
                outcome.error = error;
            });
        return outcome;
    }
    void note(Outcome& outcome);
    Outcome& get(std::string_view key, GetOptions options = {});
    Outcome& upsert(std::string_view key, std::string_view value, UpsertOptions options = {});
    Outcome& counter(std::string_view key, CounterOptions options = {});

    /// Connected, and the books of the wire empty.
    Fixture& connected();
    [[nodiscard]] Link& link() { return loop.net.link(); }

    ScriptLoop loop;
    ScriptServer server{loop};
    std::vector<Error> unobserved;
    std::vector<std::unique_ptr<Outcome>> outcomes;
    std::optional<AsyncBucket> bucket;
};

extern template Outcome& Fixture::track(AsyncResult<OperationResult> operation);
extern template Outcome& Fixture::track(AsyncResult<ValueResult> operation);

}  // namespace chaise::testing
