// The tables of errors, Expected, Expiry.

#include "bucket/core.hpp"
#include "protocol/status.hpp"
#include "tests/unit/engine/script_loop.hpp"

#include <chaise/error.hpp>
#include <chaise/expected.hpp>
#include <chaise/options.hpp>

#include <catch2/catch.hpp>

#include <set>

using namespace chaise;
using namespace std::chrono_literals;

namespace {

struct ErrorRow {
    errc code;
    int number;
    std::string_view name;
    std::string_view class_name;
    std::string_view text;
    std::function<bool(const Error&)> caught_as_class;
};

template <class E>
bool caught_as(const Error& error) {
    try {
        throw_error(error);
    } catch (const E& caught) {
        return caught.code() == error.code() && caught.what() == error.message();
    } catch (...) {
        return false;
    }
}

const std::vector<ErrorRow> rows = {
#define X(name, number, exception, text) \
    {errc::name, number, #name, #exception, text, [](const Error& error) { return caught_as<exception>(error); }},
    CHAISE_ERRORS(X)
#undef X
};

template <class E>
bool thrown_is(errc code) {
    try {
        throw_error(Error(code));
    } catch (const E&) {
        return true;
    } catch (...) {
        return false;
    }
}

}  // namespace

TEST_CASE("every errc has one number, one name, one text, and is thrown as its class", "[error]") {
    std::set<int> numbers;
    std::set<std::string_view> names;
    for (const ErrorRow& row : rows) {
        INFO(row.name);
        CHECK(numbers.insert(row.number).second);
        CHECK(names.insert(row.name).second);
        CHECK(static_cast<int>(row.code) == row.number);
        CHECK(name(row.code) == row.name);
        CHECK(make_error_code(row.code).message() == row.text);
        CHECK(make_error_code(row.code).category().name() == std::string("chaise"));
        CHECK(row.caught_as_class(Error(row.code)));
        CHECK(caught_as<Exception>(Error(row.code)));
        CHECK(thrown_is<std::exception>(row.code));
        CHECK_THROWS_AS(std::rethrow_exception(make_exception_ptr(Error(row.code))), Exception);
    }
    CHECK(rows.size() >= 57);
    CHECK(name(errc::success) == "success");
    CHECK(name(static_cast<errc>(9999)) == "unknown");
    CHECK(make_error_code(static_cast<errc>(9999)).message() == "unknown error 9999");
    const std::error_code code = errc::document_not_found;  // is_error_code_enum
    CHECK(code == errc::document_not_found);
    CHECK_FALSE(std::error_code(errc::success));
}

TEST_CASE("kind() says exactly which bases catch the exception", "[error]") {
    for (const ErrorRow& row : rows) {
        INFO(row.name << " " << row.class_name);
        const ErrorKind set = kind(row.code);
        CHECK(has_kind(set, ErrorKind::input) == thrown_is<InputError>(row.code));
        CHECK(has_kind(set, ErrorKind::network) == thrown_is<NetworkError>(row.code));
        CHECK(has_kind(set, ErrorKind::fatal) == thrown_is<FatalError>(row.code));
        CHECK(has_kind(set, ErrorKind::transient) == thrown_is<TransientError>(row.code));
        CHECK(has_kind(set, ErrorKind::data) == thrown_is<DataError>(row.code));
        CHECK(has_kind(set, ErrorKind::internal) == thrown_is<InternalFault>(row.code));
    }
    CHECK(kind(errc::success) == ErrorKind::none);
    // The categories of the seed's table G.3.
    CHECK(kind(errc::authentication_failure) == (ErrorKind::input | ErrorKind::fatal));
    CHECK(kind(errc::delta_invalid) == (ErrorKind::input | ErrorKind::data));
    CHECK(kind(errc::value_too_large) == (ErrorKind::input | ErrorKind::data));
    CHECK(kind(errc::document_not_found) == ErrorKind::data);
    CHECK(kind(errc::document_exists) == ErrorKind::data);
    CHECK(kind(errc::not_stored) == ErrorKind::data);
    CHECK(kind(errc::temporary_failure) == ErrorKind::transient);
    CHECK(kind(errc::timeout_before_send) == (ErrorKind::network | ErrorKind::transient));
    CHECK(kind(errc::not_my_vbucket) == (ErrorKind::network | ErrorKind::transient));
    CHECK(kind(errc::host_not_found) == (ErrorKind::input | ErrorKind::network));
    CHECK(kind(errc::bucket_not_found) == (ErrorKind::input | ErrorKind::fatal));
    CHECK(kind(errc::protocol_error) == ErrorKind::network);
    CHECK(kind(errc::invalid_argument) == ErrorKind::input);
    CHECK(kind(errc::internal_server_failure) == ErrorKind::internal);
    CHECK(kind(errc::unsupported_operation) == ErrorKind::none);
}

TEST_CASE("every status of the table has its errc, all others are unknown_status", "[error]") {
    const std::map<std::uint16_t, errc> table = {
#define X(number, name) {number, errc::name},
        CHAISE_STATUS_ERRORS(X)
#undef X
    };
    for (unsigned status = 1; status <= 0xffff; ++status) {
        const auto found = table.find(static_cast<std::uint16_t>(status));
        REQUIRE(errc_of_status(static_cast<std::uint16_t>(status)) ==
                (found == table.end() ? errc::unknown_status : found->second));
    }
    CHECK(errc_of_status(0) == errc::success);
    // Against SDK-RFC 58 as protocol.md 4.7 tells it, by the names of the statuses.
    using protocol::Status;
    const std::vector<std::pair<Status, errc>> known = {
        {Status::key_enoent, errc::document_not_found},
        {Status::key_eexists, errc::cas_mismatch},
        {Status::e2big, errc::value_too_large},
        {Status::einval, errc::invalid_argument},
        {Status::delta_badval, errc::delta_invalid},
        {Status::locked, errc::document_locked},
        {Status::not_locked, errc::document_not_locked},
        {Status::auth_error, errc::authentication_failure},
        {Status::auth_stale, errc::authentication_failure},
        {Status::eaccess, errc::authentication_failure},
        {Status::unknown_command, errc::unsupported_operation},
        {Status::not_supported, errc::unsupported_operation},
        {Status::etmpfail, errc::temporary_failure},
        {Status::ebusy, errc::temporary_failure},
        {Status::enomem, errc::temporary_failure},
        {Status::not_initialized, errc::temporary_failure},
        {Status::einternal, errc::internal_server_failure},
        {Status::unknown_collection, errc::collection_not_found},
        {Status::unknown_scope, errc::scope_not_found},
        {Status::rate_limited_max_commands, errc::rate_limited},
        {Status::scope_size_limit_exceeded, errc::quota_limited},
        {Status::durability_invalid_level, errc::durability_level_not_available},
        {Status::durability_impossible, errc::durability_impossible},
        {Status::sync_write_in_progress, errc::durable_write_in_progress},
        {Status::sync_write_ambiguous, errc::durability_ambiguous},
        {Status::sync_write_re_commit_in_progress, errc::durable_write_re_commit_in_progress},
        {Status::subdoc_path_enoent, errc::path_not_found},
        {Status::subdoc_value_cantinsert, errc::value_invalid},
        {Status::subdoc_num_erange, errc::number_too_big},
    };
    for (const auto& [status, code] : known) CHECK(errc_of_status(static_cast<std::uint16_t>(status)) == code);
}

TEST_CASE("the text of an error says what, where, and whether it may have happened", "[error]") {
    CHECK(Error(errc::cancelled).message() == "cancelled");
    CHECK(Error(errc::timeout_after_send, ErrorContext{.message = "a remark",
                                                       .operation = "upsert",
                                                       .key = "user::42",
                                                       .node = "127.0.0.1:11211",
                                                       .server_text = "busy",
                                                       .opaque = 0x1f,
                                                       .status = std::uint16_t{0x86},
                                                       .time_spent = 2500ms,
                                                       .retries = 2,
                                                       .may_have_happened = true})
              .message() ==
          "upsert \"user::42\" at 127.0.0.1:11211: timeout after the request was sent: a remark (server: busy) "
          "[status 0x86, opaque 0x0000001f, after 2.500 s, 2 retries, may have happened]");
    CHECK(Error(errc::document_not_found, ErrorContext{.operation = "get", .key = "k", .retries = 1}).message() ==
          "get \"k\": document not found [1 retry]");
    CHECK(Error(errc::not_connected, ErrorContext{.node = "h:1"}).message() == "at h:1: not connected");
    // One line, whatever the key holds.
    CHECK(Error(errc::cancelled, ErrorContext{.key = std::string("a\n\"\x01\\\x7f\0b", 8)}).message() ==
          "\"a\\x0a\\x22\\x01\\x5c\\x7f\\x00b\": cancelled");
    CHECK(Error(errc::cancelled, ErrorContext{.key = std::string(100, 'k')}).message() ==
          "\"" + std::string(64, 'k') + "...\": cancelled");
    CHECK(Exception(Error(errc::cancelled)).what() == std::string("cancelled"));
}

TEST_CASE("an Error is cheap to copy and empty only when made so", "[error]") {
    const Error none;
    CHECK_FALSE(none);
    CHECK(none.code() == errc::success);
    CHECK(none.context().message.empty());
    const Error error(errc::queue_full, ErrorContext{.message = "m", .may_have_happened = true});
    const Error copy = error;  // NOLINT
    CHECK(&copy.context() == &error.context());
    CHECK(copy == errc::queue_full);
    CHECK(copy.may_have_happened());
    CHECK(copy.is(ErrorKind::transient));
    CHECK_FALSE(copy.is(ErrorKind::data));
    CHECK(copy.error_code() == errc::queue_full);
}

TEST_CASE("Expected has the members of std::expected that a caller needs", "[expected]") {
    using E = Expected<std::string, int>;
    E good("value");
    E bad{Unexpected<int>(7)};
    CHECK((good && good.has_value()));
    CHECK_FALSE(bad);
    CHECK(*good == "value");
    CHECK(good->size() == 5);
    CHECK(good.value() == "value");
    CHECK_THROWS_AS(bad.value(), BadExpectedAccess);
    CHECK_THROWS_AS(std::as_const(bad).value(), BadExpectedAccess);
    CHECK_THROWS_AS(E(bad).value(), BadExpectedAccess);
    CHECK(bad.error() == 7);
    CHECK(bad.value_or("other") == "other");
    CHECK(E(good).value_or("other") == "value");
    CHECK(E(good).transform([](std::string text) { return text.size(); }).value() == 5);
    CHECK(E(bad).transform([](std::string text) { return text.size(); }).error() == 7);
    CHECK(E(good).and_then([](std::string text) { return E(text + "!"); }).value() == "value!");
    CHECK(E(bad).and_then([](std::string text) { return E(text + "!"); }).error() == 7);
    CHECK(E(bad).or_else([](int code) { return E(std::to_string(code)); }).value() == "7");
    CHECK(E(good).or_else([](int code) { return E(std::to_string(code)); }).value() == "value");
    CHECK(good.transform([](const std::string& text) { return text.size(); }).value() == 5);  // on what is kept, too
    CHECK(*good == "value");
    CHECK(bad.or_else([](int code) { return E(std::to_string(code)); }).value() == "7");
    CHECK(bad.transform_error([](int code) { return std::to_string(code); }).error() == "7");
    CHECK(good.transform_error([](int code) { return std::to_string(code); }).value() == "value");
    CHECK(bad.error_or(1) == 7);
    CHECK(good.error_or(1) == 1);
    CHECK(good == E("value"));
    CHECK_FALSE(good == bad);
    Expected<std::unique_ptr<int>, int> only_moves(std::make_unique<int>(3));
    CHECK(*std::move(only_moves).value() == 3);
    good = bad;
    CHECK(good.error() == 7);
}

namespace {

/// On the wire, or the reason why not.
struct Wire {
    std::optional<std::uint32_t> seconds;
    std::string why;
};

struct WithCore {
    testing::ScriptLoop loop;
    detail::Core* core = new detail::Core(loop.make_iops(), detail::Settings::make("memcached://h", {}));
    ~WithCore() {
        core->close();
        core->drop_share();
    }
    Wire wire(Expiry expiry) {
        Wire out;
        out.seconds = core->wire_expiry(expiry, out.why);
        return out;
    }
};

constexpr std::uint32_t sim_now = 1'700'000'000;

}  // namespace

TEST_CASE("the 30-day trap cannot be fallen into", "[expiry]") {
    WithCore with;
    using days = std::chrono::days;
    CHECK(with.wire(Expiry{}).seconds == 0u);
    CHECK(with.wire(1s).seconds == 1u);
    CHECK(with.wire(10min).seconds == 600u);
    CHECK(with.wire(days(30) - 1s).seconds == 30u * 86400 - 1);
    CHECK(with.wire(days(30)).seconds == sim_now + 30u * 86400);
    CHECK(with.wire(days(30) + 1s).seconds == sim_now + 30u * 86400 + 1);
    CHECK(with.wire(days(40)).seconds == sim_now + 40u * 86400);
    CHECK(with.wire(days(365 * 50)).seconds == sim_now + 50u * 365 * 86400);
    CHECK_FALSE(with.wire(days(365 * 50) + 1s).seconds);
    CHECK(with.wire(WallTime{std::chrono::seconds(sim_now + 5)}).seconds == sim_now + 5);
    CHECK(with.wire(WallTime{std::chrono::seconds(sim_now - 5)}).seconds == sim_now - 5);  // over at once
    CHECK_FALSE(with.wire(WallTime{days(30)}).seconds);                                    // would mean "in 30 days"
    CHECK(with.wire(WallTime{days(30) + 1s}).seconds == 30u * 86400 + 1);
    CHECK(with.wire(std::chrono::sys_seconds{0xfffffffes}).seconds == 0xfffffffe);
    CHECK_FALSE(with.wire(std::chrono::sys_seconds{0xffffffffs}).seconds);
    with.loop.wall = std::chrono::sys_seconds{0xfffffff0s};
    CHECK_THAT(with.wire(days(31)).why, Catch::Contains("2106"));
}

TEST_CASE("fractions of a second are rounded up", "[expiry]") {
    WithCore with;
    CHECK(with.wire(1ns).seconds == 1u);
    CHECK(with.wire(1001ms).seconds == 2u);
    CHECK(with.wire(2000ms).seconds == 2u);
    CHECK(with.wire(std::chrono::duration<double>(2.25)).seconds == 3u);
    CHECK(with.wire(WallTime{std::chrono::seconds(sim_now)} + 1ms).seconds == sim_now + 1);
}

TEST_CASE("an expiry out of range is refused, however far out", "[expiry]") {
    WithCore with;
    using fdays = std::chrono::duration<double, std::ratio<86400>>;
    for (const Expiry expiry :
         {Expiry(0s), Expiry(-1s), Expiry(std::chrono::hours::max()), Expiry(std::chrono::hours::min()),
          Expiry(std::chrono::seconds::max()), Expiry(std::chrono::seconds::min()), Expiry(fdays(1e300)),
          Expiry(fdays(-1e300)), Expiry(fdays(std::numeric_limits<double>::infinity())),
          Expiry(fdays(std::numeric_limits<double>::quiet_NaN())),
          Expiry(std::chrono::sys_time<std::chrono::hours>::max()),
          Expiry(std::chrono::sys_time<std::chrono::hours>::min()), Expiry(WallTime{}), Expiry(WallTime{-1s})}) {
        const Wire wire = with.wire(expiry);
        CHECK_FALSE(wire.seconds);
        CHECK_FALSE(wire.why.empty());
    }
}
