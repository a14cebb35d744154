#include "tests/simulation/workload.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

namespace chaise::testing {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t plain_keys = 32;
constexpr std::uint64_t number_keys = 4;
constexpr std::uint64_t lock_keys = 4;
// In each named collection.
constexpr std::uint64_t plain_keys_elsewhere = 6;
constexpr std::uint64_t number_keys_elsewhere = 2;
constexpr double share_elsewhere = 0.4;

KeyAction action_of(Verb verb) noexcept {
    switch (verb) {
        case Verb::get:
            return KeyAction::get;
        case Verb::upsert:
            return KeyAction::set;
        case Verb::insert:
            return KeyAction::insert;
        case Verb::replace:
            return KeyAction::replace;
        case Verb::remove:
            return KeyAction::remove;
        case Verb::append:
            return KeyAction::append;
        case Verb::counter:
            return KeyAction::counter;
        case Verb::touch:
            return KeyAction::renew;
        case Verb::get_and_touch:
        case Verb::lock:
            return KeyAction::get_and_renew;
        case Verb::exists:
        case Verb::unlock:
            break;
    }
    return KeyAction::touch;
}

/// Handles whose outcomes wait for their consumers, multi operations as a whole, connects.
constexpr std::size_t handles_max = 64;

bool takes_cas(Verb verb) noexcept {
    return verb == Verb::upsert || verb == Verb::replace || verb == Verb::append || verb == Verb::remove;
}
bool needs_the_lock(Verb verb) noexcept { return verb != Verb::get && verb != Verb::exists && verb != Verb::unlock; }
bool is_lock_key(std::string_view key) noexcept { return key.starts_with("lock"); }
bool is_number_key(std::string_view key) noexcept { return key.starts_with("number"); }

/// What a successful result tells goes into the operation; the error otherwise.
template <class T>
Error take(KeyOperation& operation, const Expected<T, Error>& outcome) {
    if (!outcome) return outcome.error();
    operation.got_cas = outcome->cas();
    if constexpr (std::same_as<T, ValueResult>) {
        operation.got = outcome->owned();
        operation.number = outcome->counter();
    }
    return {};
}
Error take(KeyOperation& operation, const Expected<ExistsResult, Error>& outcome) {
    if (!outcome) return outcome.error();
    operation.got_cas = outcome->cas();
    return outcome->exists() ? Error() : Error(errc::document_not_found);
}

}  // namespace

Workload::Workload(SimWorld& world, RunReport& report, std::vector<Verb> verbs, bool locks_and_numbers)
    : world_(world), report_(report), verbs_(std::move(verbs)), locks_and_numbers_(locks_and_numbers) {
    const auto add = [&](const char* name, std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) keys_.push_back(name + std::to_string(i));
    };
    add("key", plain_keys);
    if (!locks_and_numbers_) return;
    add("number", number_keys);
    add("lock", lock_keys);
}

void Workload::use_collections(std::vector<CollectionPlace> places) {
    collections_ = std::move(places);
    for (std::size_t number = 1; number <= collections_.size(); ++number) {
        const std::string where = "@" + std::to_string(number);
        for (std::uint64_t i = 0; i < plain_keys_elsewhere; ++i) keys_.push_back("key" + std::to_string(i) + where);
        if (!locks_and_numbers_) continue;
        for (std::uint64_t i = 0; i < number_keys_elsewhere; ++i) {
            keys_.push_back("number" + std::to_string(i) + where);
        }
    }
}

std::size_t Workload::collection_of(std::string_view key) {
    const std::size_t mark = key.find('@');
    std::size_t number = 0;
    if (mark != std::string_view::npos) std::from_chars(key.data() + mark + 1, key.data() + key.size(), number);
    return number;
}

AsyncCollection Workload::collection(AsyncBucket& bucket, std::size_t number) const {
    const CollectionPlace& place = collections_.at(number - 1);
    return bucket.scope(place.scope).collection(place.name);
}

Task<> Workload::work(AsyncBucket& bucket, IOPS& clock, std::uint64_t number) {
    SimRandom random = world_.random("worker", number);
    for (std::uint64_t i = 0; i < operations_each || (!script_over_ && i < operations_each_at_most); ++i) {
        if (random.chance(0.3)) co_await Sleep(clock, random.exponential(2ms) + 1us);
        if (random.chance(0.05)) {
            abandon_one(bucket, clock, random);
        } else if (random.chance(0.05)) {
            // Several in flight at once, by one who waits for none of them.
            for (std::uint64_t n = random.between(2, 12); n > 0; --n) {
                spawn(world_, operate(bucket, draw_call(random, number)));
            }
        } else if (random.chance(0.05)) {
            // One operation of several keys: reads, or writes.
            const Verb verb = reads_of_several_ && random.chance(0.5) ? Verb::get : Verb::upsert;
            std::vector<Call> calls;
            std::size_t where = 0;
            if (!collections_.empty() && random.chance(share_elsewhere)) where = random.between(1, collections_.size());
            for (std::uint64_t n = random.between(1, 8); n > 0; --n) {
                calls.push_back(draw_call(random, number, verb, where));
            }
            co_await operate_on_several(bucket, std::move(calls));
        } else {
            Call call = draw_call(random, number);
            co_await operate(bucket, std::move(call));
        }
    }
    ++done_;
}

std::string Workload::draw_key(Verb verb, SimRandom& random) const {
    const auto one = [&](const char* name, std::uint64_t count) { return name + std::to_string(random.below(count)); };
    if (verb == Verb::lock || verb == Verb::unlock) return one("lock", lock_keys);
    if (!collections_.empty() && random.chance(share_elsewhere)) {
        const std::string where = "@" + std::to_string(random.between(1, collections_.size()));
        return (verb == Verb::counter ? one("number", number_keys_elsewhere) : one("key", plain_keys_elsewhere)) +
               where;
    }
    if (verb == Verb::counter) return one("number", number_keys);
    if (locks_and_numbers_ && random.chance(0.15)) return one("lock", lock_keys);
    if (locks_and_numbers_ && verb != Verb::append && random.chance(0.15)) return one("number", number_keys);
    return one("key", plain_keys);
}

/// A handle that is dropped or cancelled: it may have been executed, and nobody hears of it.
void Workload::abandon_one(AsyncBucket& bucket, IOPS& clock, SimRandom& random) {
    const std::uint64_t id = next_id_++;
    KeyOperation operation{.action = KeyAction::set, .started = world_.now(), .outcome = KeyOutcome::ambiguous};
    const std::string key = "key" + std::to_string(random.below(plain_keys));
    operation.value = key + "#" + std::to_string(id);
    key_of_[id] = key;
    auto handle = bucket.upsert(key, operation.value);
    if (random.chance(0.5)) {
        register_.started(id, world_.now(), world_.now() + 250ms, "cancelled upsert of " + key);
        ++report_.cancelled;
        handle.set_callbacks([this, id](const OperationResult&) { register_.completed(id, world_.now()); },
                             [this, id](const Error&) { register_.completed(id, world_.now()); });
        if (random.chance(0.3)) {
            handle.cancel();
        } else if (random.chance(0.5)) {
            spawn(world_, cancel_later(std::move(handle), clock, random.exponential(300us)));
        }
    } else if (random.chance(0.5)) {
        handle.detach();
    }
    operation.completed = world_.now();
    history_.add(key, std::move(operation));
}

/// It may have been sent by then, or have an outcome.
Task<> Workload::cancel_later(AsyncResult<OperationResult> handle, IOPS& clock, Duration delay) {
    co_await Sleep(clock, delay + 1us);
    handle.cancel();
}

Workload::Call Workload::draw_call(SimRandom& random, std::uint64_t client, std::optional<Verb> verb,
                                   std::size_t its_collection) {
    const std::uint64_t id = next_id_++;
    Call call{};
    call.id = id;
    call.verb = verb ? *verb : verbs_[random.below(verbs_.size())];
    if (!verb) {
        call.key = draw_key(call.verb, random);
    } else if (its_collection == 0) {
        call.key = "key" + std::to_string(random.below(plain_keys));
    } else {
        call.key = "key" + std::to_string(random.below(plain_keys_elsewhere)) + "@" + std::to_string(its_collection);
    }
    call.timeout = Duration(static_cast<std::int64_t>(random.between(2'000'000, 400'000'000)));
    call.lock_time = std::chrono::seconds(random.between(1, 2));
    // Far enough away for calendars that leap by days.
    if (random.chance(0.5)) call.expiry = Expiry(std::chrono::hours(24 * random.between(25, 29)));
    KeyOperation& operation = call.operation;
    operation.client = client;
    operation.action = action_of(call.verb);
    if (is_number_key(call.key)) {
        operation.value = std::to_string(random.below(1000));
        operation.delta = static_cast<std::int64_t>(random.below(40)) - 15;
        if (random.chance(0.5)) operation.initial = random.below(100);
    } else {
        operation.value = (call.verb == Verb::append ? "+" : call.key + "#") + std::to_string(id);
        key_of_[id] = call.key;
    }
    const bool knows = random.chance(0.5);
    if (knows && !verb && takes_cas(call.verb)) {
        operation.cas = is_lock_key(call.key) ? locks_[call.key].cas : last_cas_[call.key];
    }
    if (call.verb == Verb::unlock) operation.cas = locks_[call.key].cas;
    if (call.verb == Verb::unlock && operation.cas == 0) operation.cas = 1;  // nobody's
    return call;
}

void Workload::begin(AsyncBucket& bucket, Call& call) {
    check_queue(bucket);
    call.operation.started = world_.now();
    register_.started(call.id, world_.now(), world_.now() + call.timeout, call.key);
    ++report_.operations;
}

void Workload::end(Call& call, const Error& error) {
    register_.completed(call.id, world_.now());
    call.operation.completed = world_.now();
    call.operation.outcome = outcome_of(call, error);
    report_.ambiguous += call.operation.outcome == KeyOutcome::ambiguous;
    report_.not_done += call.operation.outcome == KeyOutcome::not_done;
    report_.succeeded += call.operation.outcome == KeyOutcome::ok;
    if (call.operation.outcome == KeyOutcome::not_done) not_done_.insert(call.id);
}

/// Starts an operation, awaits it and writes down what came of it.
Task<> Workload::operate(AsyncBucket& bucket, Call call) {
    if (call.operation.cas != 0 && is_lock_key(call.key)) {
        locks_[call.key].held = false;
        used_.emplace(call.key, call.operation.cas);
    }
    begin(bucket, call);
    const std::uint64_t era_before = era();
    if (call.verb == Verb::lock) ++being_locked_[call.key];
    const Error error = co_await perform(bucket, call);
    end(call, error);
    if (is_lock_key(call.key)) keep_lock(call, era_before);
    write_down(call);
}

/// Of one multi operation each entry is an operation of its own, which starts and ends with it.
Task<> Workload::operate_on_several(AsyncBucket& bucket, std::vector<Call> calls) {
    const Duration timeout = calls.front().timeout;
    for (Call& call : calls) {
        call.timeout = timeout;
        begin(bucket, call);
    }
    const auto finish = [&]<class T>(const Expected<MultiResult<T>, Error>& outcome) {
        const MultiResult<T> all = outcome ? *outcome : outcome.error().template all_results<T>();
        if (all.size() != calls.size() && !all.empty()) complain("a multi operation lost entries");
        for (std::size_t i = 0; i < calls.size(); ++i) {
            // Without entries none was sent.
            Error error = all.size() == calls.size() ? take(calls[i].operation, all[i].result) : outcome.error();
            end(calls[i], error);
            write_down(calls[i]);
        }
    };
    const std::size_t number = collection_of(calls.front().key);
    std::optional<AsyncCollection> elsewhere;
    if (number != 0) elsewhere.emplace(collection(bucket, number));
    Documents& where = elsewhere ? static_cast<Documents&>(*elsewhere) : bucket;
    if (calls.front().verb == Verb::get) {
        std::vector<std::string> keys;
        for (const Call& call : calls) keys.push_back(document_of(call.key));
        finish(co_await where.get_multi(keys, {.timeout = timeout}).as_expected());
    } else {
        std::vector<std::pair<std::string, std::string>> documents;
        for (const Call& call : calls) documents.emplace_back(document_of(call.key), call.operation.value);
        finish(co_await where.upsert_multi(documents, {.timeout = timeout}).as_expected());
    }
}

void Workload::check_queue(const AsyncBucket& bucket) {
    report_.operations_at_a_time = std::max<std::uint64_t>(report_.operations_at_a_time, bucket.operations());
    if (queue_max_ == 0 || bucket.operations() <= queue_max_ * lines_max_ + handles_max) return;
    complain(std::to_string(bucket.operations()) + " operations under way, with queues of " +
             std::to_string(queue_max_));
}

void Workload::executed(std::string_view key, std::string_view value) {
    const std::size_t mark = value.find_last_of("#+");
    if (mark == std::string_view::npos) return;
    std::uint64_t id = 0;
    const char* const end = value.data() + value.size();
    const auto parsed = std::from_chars(value.data() + mark + 1, end, id);
    const auto maker = key_of_.find(id);
    if (parsed.ec != std::errc{} || parsed.ptr != end || maker == key_of_.end() || document_of(maker->second) != key) {
        return complain("a server was told to write \"" + std::string(value) + "\" to " + std::string(key));
    }
    if (++executions_[id] > 1)
        complain("operation " + std::to_string(id) + " on " + maker->second + " was executed twice");
}

Task<Error> Workload::perform(AsyncBucket& bucket, Call& call) {
    const std::string key = document_of(call.key);
    const std::size_t number = collection_of(call.key);
    if (number == 0) co_return co_await perform_in(bucket, call, key);
    AsyncCollection its_collection = collection(bucket, number);
    co_return co_await perform_in(its_collection, call, key);
}

Task<Error> Workload::perform_in(Documents& bucket, Call& call, const std::string& key) {
    KeyOperation& operation = call.operation;
    const Duration timeout = call.timeout;
    switch (call.verb) {
        case Verb::get:
            co_return take(operation, co_await bucket.get(key, {.timeout = timeout}).as_expected());
        case Verb::upsert:
            co_return take(
                operation,
                co_await bucket.upsert(key, operation.value, {.cas = operation.cas, .timeout = timeout}).as_expected());
        case Verb::insert:
            co_return take(operation, co_await bucket.insert(key, operation.value, {.timeout = timeout}).as_expected());
        case Verb::replace:
            co_return take(operation,
                           co_await bucket.replace(key, operation.value, {.cas = operation.cas, .timeout = timeout})
                               .as_expected());
        case Verb::remove: {
            const Error error =
                take(operation, co_await bucket.remove(key, {.cas = operation.cas, .timeout = timeout}).as_expected());
            operation.got_cas = 0;  // a tombstone's
            co_return error;
        }
        case Verb::append:
            co_return take(
                operation,
                co_await bucket.append(key, operation.value, {.cas = operation.cas, .timeout = timeout}).as_expected());
        default:
            co_return co_await perform_more(bucket, call, key);
    }
}

Task<Error> Workload::perform_more(Documents& bucket, Call& call, const std::string& key) {
    KeyOperation& operation = call.operation;
    const Duration timeout = call.timeout;
    switch (call.verb) {
        case Verb::counter:
            co_return take(
                operation,
                co_await bucket
                    .counter(key, {.delta = operation.delta, .initial = operation.initial, .timeout = timeout})
                    .as_expected());
        case Verb::touch:
            co_return take(operation, co_await bucket.touch(key, call.expiry, {.timeout = timeout}).as_expected());
        case Verb::get_and_touch:
            co_return take(operation,
                           co_await bucket.get_and_touch(key, call.expiry, {.timeout = timeout}).as_expected());
        case Verb::exists:
            co_return take(operation, co_await bucket.exists(key, {.timeout = timeout}).as_expected());
        case Verb::lock:
            co_return take(operation, co_await bucket.lock(key, call.lock_time, {.timeout = timeout}).as_expected());
        default:
            co_return take(operation, co_await bucket.unlock(key, operation.cas, {.timeout = timeout}).as_expected());
    }
}

KeyOutcome Workload::outcome_of(const Call& call, const Error& error) {
    switch (error.code()) {
        case errc::success:
            return KeyOutcome::ok;
        case errc::document_not_found:
            return KeyOutcome::not_found;
        case errc::document_exists:
            return KeyOutcome::exists;
        case errc::cas_mismatch:
            if (call.operation.cas == 0) complain("a CAS mismatch of an operation without CAS: " + error.message());
            return KeyOutcome::cas_mismatch;
        case errc::delta_invalid:
            return KeyOutcome::not_a_number;
        case errc::timeout_after_send:
        case errc::connection_lost_after_send:
            return KeyOutcome::ambiguous;
        case errc::timeout_before_send:
            if (error.may_have_happened()) complain("timeout_before_send that may have happened");
            return KeyOutcome::not_done;
        case errc::document_locked: {
            const auto until = locked_until_.find(call.key);
            if (being_locked_[call.key] == 0 &&
                (until == locked_until_.end() || until->second < call.operation.started)) {
                complain("locked by nobody: " + error.message());
            }
            return KeyOutcome::not_done;
        }
        case errc::collection_not_found:
        case errc::scope_not_found: {
            const std::size_t number = collection_of(call.key);
            if (number == 0 || collections_[number - 1].missing_until < call.operation.started) break;
            return error.may_have_happened() ? KeyOutcome::ambiguous : KeyOutcome::not_done;
        }
        case errc::document_not_locked:
            if (call.verb == Verb::unlock) return KeyOutcome::not_done;
            break;
        default:
            if (std::find(explained_.begin(), explained_.end(), error.code()) != explained_.end()) {
                return error.may_have_happened() ? KeyOutcome::ambiguous : KeyOutcome::not_done;
            }
    }
    complain("an error that nobody can explain: " + error.message());
    return KeyOutcome::ambiguous;
}

/// While somebody holds a lock, nobody else changes the document.
void Workload::keep_lock(const Call& call, std::uint64_t era_before) {
    const KeyOperation& operation = call.operation;
    Lock& lock = locks_[call.key];
    const bool ok = operation.outcome == KeyOutcome::ok;
    const bool others = ok && needs_the_lock(call.verb) && (operation.cas == 0 || operation.cas != lock.cas);
    if (others && lock.held && lock.era == era() && lock.since <= operation.started &&
        operation.completed < lock.until) {
        complain(call.key + " was changed while it was locked: " + to_string(operation));
    }
    if (call.verb != Verb::lock) return;
    --being_locked_[call.key];
    TimePoint& latest = locked_until_[call.key];
    if (ok) {
        latest = std::max(latest, operation.completed + call.lock_time + 1ms);
        // With the calendar turned back, a CAS may be given that a lost lock had, and be used by one who means that.
        const bool judged = locks_hold_ && !used_.contains({call.key, operation.got_cas});
        lock = {operation.got_cas, operation.completed, operation.started + call.lock_time, era_before, judged};
    } else if (operation.outcome == KeyOutcome::ambiguous) {
        latest = TimePoint::max();  // it may still come to be executed
    }
}

void Workload::write_down(Call& call) {
    KeyOperation& operation = call.operation;
    const bool tells_value = operation.action == KeyAction::get || operation.action == KeyAction::get_and_renew;
    if (tells_value && operation.outcome == KeyOutcome::ok) check_value(call.key, operation.got);
    if (call.verb == Verb::unlock) return;
    if (is_lock_key(call.key)) {
        operation.got_cas = 0;
    } else if (operation.got_cas != 0) {
        last_cas_[call.key] = operation.got_cas;
    }
    const bool read_that_failed = operation.action == KeyAction::get && operation.outcome == KeyOutcome::ambiguous;
    if (!read_that_failed) history_.add(call.key, std::move(operation));
}

/// A value names its key, and those who made it: "key5#17+23".
void Workload::check_value(const std::string& key, const std::string& value) {
    const auto wrong = [&] { complain("a read of " + key + " gave \"" + value + "\""); };
    const char* at = value.data();
    const char* const end = at + value.size();
    std::uint64_t number = 0;
    if (is_number_key(key)) {
        const auto parsed = std::from_chars(at, end, number);
        if (parsed.ec != std::errc{} || parsed.ptr != end) wrong();
        return;
    }
    if (!value.starts_with(key + "#")) return wrong();
    at += key.size();
    while (at != end) {
        if (*at != '#' && *at != '+') return wrong();
        const auto parsed = std::from_chars(at + 1, end, number);
        const auto maker = key_of_.find(number);
        if (parsed.ec != std::errc{} || maker == key_of_.end() || maker->second != key) return wrong();
        at = parsed.ptr;
    }
}

Task<> Workload::read_at_last(AsyncBucket& bucket, std::string key) {
    KeyOperation operation{.action = KeyAction::get, .started = world_.now()};
    // A connection that fell silent is noticed by an operation that times out on it, and left.
    auto outcome = co_await read_quietly(bucket, key);
    if (!outcome) outcome = co_await read_quietly(bucket, key);
    if (!outcome) {
        complain("quiet tail: " + key + ": " + outcome.error().message());
        co_return;
    }
    operation.completed = world_.now();
    operation.outcome = outcome->success() ? KeyOutcome::ok : KeyOutcome::not_found;
    if (outcome->success()) {
        operation.got = outcome->owned();
        if (!is_lock_key(key)) operation.got_cas = outcome->cas();
        check_value(key, operation.got);
    }
    history_.add(key, std::move(operation));
}

Task<Expected<ValueResult, Error>> Workload::read_quietly(AsyncBucket& bucket, const std::string& key) {
    const std::string document = document_of(key);
    const std::size_t number = collection_of(key);
    if (number == 0) co_return co_await bucket.get(document, {.timeout = 1s, .quiet = true}).as_expected();
    AsyncCollection its_collection = collection(bucket, number);
    co_return co_await its_collection.get(document, {.timeout = 1s, .quiet = true}).as_expected();
}

Task<> Workload::use_in_quiet(AsyncBucket& bucket, std::string key, bool write, bool connections_end) {
    if (is_lock_key(key) && write) co_return;  // somebody's lock may be left
    Call call{};
    call.id = next_id_++;
    call.verb = write ? Verb::upsert : Verb::exists;
    call.key = std::move(key);
    call.timeout = 1s;
    call.operation.action = action_of(call.verb);
    call.operation.value = is_number_key(call.key) ? "7" : call.key + "#" + std::to_string(call.id);
    call.operation.started = world_.now();
    key_of_[call.id] = call.key;
    register_.started(call.id, world_.now(), world_.now() + call.timeout, call.key);
    const Error error = co_await perform(bucket, call);
    register_.completed(call.id, world_.now());
    call.operation.completed = world_.now();
    call.operation.outcome = outcome_of(call, error);
    const bool lost = error.code() == errc::connection_lost_after_send && write && connections_end;
    const bool full = error.code() == errc::queue_full && queue_max_ != 0;
    if (error && error.code() != errc::document_not_found && !lost && !full)
        complain("in the quiet: " + error.message());
    write_down(call);
}

std::vector<std::string> Workload::complaints(const LinearizabilityOptions& options) const {
    std::vector<std::string> all = register_.complaints();
    for (std::string& line : history_.complaints(options)) all.push_back(std::move(line));
    for (const std::uint64_t id : not_done_) {
        if (executions_.contains(id)) {
            all.push_back("operation " + std::to_string(id) + " promised that nothing had happened, and was executed");
        }
    }
    return all;
}

}  // namespace chaise::testing
