#include "tests/unit/engine/session_fixture.hpp"

#include <stdexcept>
#include <utility>

namespace chaise::testing {

Fixture::Fixture(BucketOptions options, std::string_view where)
    : bucket(std::in_place, loop.make_iops(), where, options) {
    bucket->on_unobserved([this](const Error& error) { unobserved.push_back(error); });
}

Fixture::~Fixture() {
    if (bucket) bucket.reset();
    loop.net.server = nullptr;
}

void Fixture::note(Outcome& outcome) {
    ++outcome.calls;
    outcome.at = loop.now();
    outcome.turn = loop.turns;
}

Outcome& Fixture::get(std::string_view key, GetOptions options) { return track(bucket->get(key, options)); }

Outcome& Fixture::upsert(std::string_view key, std::string_view value, UpsertOptions options) {
    return track(bucket->upsert(key, value, options));
}

Outcome& Fixture::counter(std::string_view key, CounterOptions options) { return track(bucket->counter(key, options)); }

Fixture& Fixture::connected() {
    loop.run();
    if (!bucket->connected()) throw std::logic_error("not connected");
    return *this;
}

template Outcome& Fixture::track(AsyncResult<OperationResult> operation);
template Outcome& Fixture::track(AsyncResult<ValueResult> operation);

}  // namespace chaise::testing
