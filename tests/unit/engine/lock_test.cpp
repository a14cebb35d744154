// lock, unlock and exists: what is sent, and what the answers mean.

#include "tests/support/answers_at_once.hpp"
#include "tests/unit/engine/script_node.hpp"
#include "tests/unit/engine/session_fixture.hpp"

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using protocol::Status;
using Answer = ScriptNodes::Answer;

namespace {

const std::string no_flags(4, '\0');

/// A bucket on one Couchbase node that answers every operation so.
struct CouchbaseFixture : Fixture {
    explicit CouchbaseFixture(Answer always, bool quiet = false)
        : Fixture({.username = "me", .password = "secret", .quiet = quiet, .retry_strategy = AnswersAtOnce::instance()},
                  "couchbase://node") {
        nodes.map = ScriptNodes::map_of({"node"}, 1);
        nodes.answer = [always](const ScriptNodes::Seen&) { return always; };
        connected();
    }
    Outcome& done(Outcome& outcome) {
        loop.run();
        REQUIRE_FALSE(outcome.pending());
        return outcome;
    }
    Outcome& lock(std::string_view key, std::chrono::seconds time = 15s) {
        return done(track(bucket->lock(key, time)));
    }
    Outcome& unlock(std::string_view key, Cas cas) { return done(track(bucket->unlock(key, cas))); }
    /// What exists() says; it must not fail.
    bool exists(std::string_view key, Cas& cas) {
        std::optional<bool> found;
        bucket->exists(key).set_callbacks(
            [&](ExistsResult result) {
                CHECK(result.success());
                found = result.exists();
                cas = result.cas();
            },
            [&](const Error& error) { FAIL(error.message()); });
        loop.run();
        REQUIRE(found);
        return *found;
    }
    const ScriptNodes::Seen& said() {
        REQUIRE(nodes.seen.size() == 1);
        return nodes.seen.front();
    }

    ScriptNodes nodes{loop};
};

std::string meta(bool deleted, std::size_t size) {
    std::string extras(size, '\0');
    if (size >= 4) extras[3] = deleted ? 1 : 0;
    return extras;
}

}  // namespace

TEST_CASE("lock sends its time and gives the value with the lock's CAS", "[lock]") {
    CouchbaseFixture f({.cas = 77, .extras = no_flags, .value = "the value"});
    const Outcome& outcome = f.lock("k", 7s);
    CHECK(outcome.ok());
    CHECK(outcome.value == "the value");
    CHECK(outcome.cas == 77);
    CHECK(f.said().opcode == Opcode::get_locked);
    CHECK(f.said().key == "k");
    CHECK(f.said().extras == std::string_view("\0\0\0\7", 4));
    CHECK(f.said().cas == 0);
}

TEST_CASE("a lock time from 1 to 30 seconds is sent, another one is refused", "[lock]") {
    for (const auto time : {1s, 30s}) {
        CouchbaseFixture f({.cas = 1, .extras = no_flags});
        CHECK(f.lock("k", time).ok());
        CHECK(protocol::load_be32(f.said().extras.data()) == static_cast<std::uint32_t>(time.count()));
    }
    for (const auto time : {0s, 31s, -1s, std::chrono::seconds::max(), std::chrono::seconds(4294967297)}) {
        CouchbaseFixture f({.cas = 1, .extras = no_flags});
        const Outcome& outcome = f.lock("k", time);
        CHECK(outcome.failed(errc::invalid_argument));
        CHECK_THAT(outcome.error->message(), Catch::Contains("1 to 30 s"));
        CHECK(f.nodes.seen.empty());
    }
}

TEST_CASE("what a lock may meet", "[lock]") {
    const auto fails = [](Status status, errc code) {
        CouchbaseFixture f({.status = status});
        const Outcome& outcome = f.lock("k");
        CHECK(outcome.failed(code));
        CHECK(outcome.error->context().operation == "lock");
        CHECK_FALSE(outcome.error->may_have_happened());
    };
    fails(Status::key_enoent, errc::document_not_found);
    fails(Status::locked, errc::document_locked);
    fails(Status::etmpfail, errc::temporary_failure);
    {
        CouchbaseFixture f({.status = Status::key_enoent}, true);
        const Outcome& outcome = f.lock("k");
        CHECK(outcome.ok());
        CHECK(outcome.rc == errc::document_not_found);
        CHECK(f.done(f.track(f.bucket->lock("k", 15s, {.quiet = false}))).failed(errc::document_not_found));
    }
    {
        CouchbaseFixture f({.extras = ""});  // no flags
        CHECK(f.lock("k").failed(errc::protocol_error));
    }
    {
        CouchbaseFixture f({});
        CHECK(f.lock("").failed(errc::invalid_argument));
        CHECK(f.lock(std::string(251, 'k')).failed(errc::invalid_argument));
        CHECK(f.nodes.seen.empty());
    }
}

TEST_CASE("a locked document refuses mutations", "[lock]") {
    CouchbaseFixture f({.status = Status::locked});
    const auto is_locked = [&](Outcome& outcome) {
        CHECK(f.done(outcome).failed(errc::document_locked));
        CHECK(outcome.error->is(ErrorKind::transient));
    };
    is_locked(f.upsert("k", "v"));
    is_locked(f.upsert("k", "v", {.cas = 5}));
    is_locked(f.track(f.bucket->replace("k", "v")));
    is_locked(f.track(f.bucket->append("k", "v")));
    is_locked(f.track(f.bucket->remove("k")));
    is_locked(f.track(f.bucket->touch("k", 10s)));
    is_locked(f.counter("k"));
}

TEST_CASE("unlock sends the lock's CAS", "[lock]") {
    CouchbaseFixture f({});
    CHECK(f.unlock("k", 77).ok());
    CHECK(f.said().opcode == Opcode::unlock_key);
    CHECK(f.said().cas == 77);
    CHECK(f.said().extras.empty());
}

TEST_CASE("what an unlock may meet", "[lock]") {
    const auto fails = [](Status status, errc code) {
        CouchbaseFixture f({.status = status});
        const Outcome& outcome = f.unlock("k", 5);
        CHECK(outcome.failed(code));
        CHECK(outcome.error->context().operation == "unlock");
    };
    fails(Status::locked, errc::cas_mismatch);
    fails(Status::key_eexists, errc::cas_mismatch);
    fails(Status::not_locked, errc::document_not_locked);
    fails(Status::etmpfail, errc::temporary_failure);
    fails(Status::key_enoent, errc::document_not_found);
    CouchbaseFixture f({});
    const Outcome& outcome = f.unlock("k", 0);
    CHECK(outcome.failed(errc::invalid_argument));
    CHECK_THAT(outcome.error->message(), Catch::Contains("CAS"));
    CHECK(f.nodes.seen.empty());
}

TEST_CASE("exists asks for the document's metadata", "[lock]") {
    for (const std::size_t size : {20u, 21u}) {
        CouchbaseFixture f({.cas = 9, .extras = meta(false, size)});
        Cas cas = 0;
        CHECK(f.exists("k", cas));
        CHECK(cas == 9);
        CHECK(f.said().opcode == Opcode::get_meta);
        CHECK(f.said().extras == std::string_view("\2", 1));
    }
    Cas cas = 1;
    {
        CouchbaseFixture f({.cas = 9, .extras = meta(true, 21)});  // a tombstone
        CHECK_FALSE(f.exists("k", cas));
        CHECK(cas == 0);
    }
    {
        CouchbaseFixture f({.status = Status::key_enoent});
        CHECK_FALSE(f.exists("k", cas));
    }
    for (const std::size_t size : {0u, 4u, 19u, 22u}) {
        CouchbaseFixture f({.extras = meta(false, size)});
        CHECK(f.done(f.track(f.bucket->exists("k"))).failed(errc::protocol_error));
    }
    {
        CouchbaseFixture f({.status = Status::etmpfail});
        CHECK(f.done(f.track(f.bucket->exists("k"))).failed(errc::temporary_failure));
        CHECK(f.done(f.track(f.bucket->exists(""))).failed(errc::invalid_argument));
    }
}

TEST_CASE("outcomes that come before their consumers wait for them", "[lock]") {
    CouchbaseFixture f({.cas = 9, .extras = meta(false, 21)});
    {
        auto early = f.bucket->exists("k");
        f.loop.run();
        bool found = false;
        early.set_callbacks([&](ExistsResult result) { found = result.exists() && result.cas() == 9; },
                            [](const Error&) {});
        f.loop.run();
        CHECK(found);
    }
    static_cast<void>(f.bucket->exists("dropped"));
    {
        auto unheard = f.bucket->exists("k");
        auto locked = f.bucket->lock("k", 1s);
        f.loop.run();
    }
    f.loop.run();
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("a connection lost: exists is asked once more, lock and unlock are not", "[lock]") {
    CouchbaseFixture f({.silent = true});
    Outcome& lock = f.track(f.bucket->lock("a", 15s));
    Outcome& unlock = f.track(f.bucket->unlock("b", 5));
    Outcome& exists = f.track(f.bucket->exists("c"));
    f.loop.run();
    REQUIRE(f.nodes.seen.size() == 3);
    f.nodes.answer = [](const ScriptNodes::Seen&) { return Answer{.cas = 3, .extras = meta(false, 21)}; };
    f.link().close();
    f.loop.advance(1s);
    CHECK(lock.failed(errc::connection_lost_after_send));
    CHECK(lock.error->may_have_happened());
    CHECK(unlock.failed(errc::connection_lost_after_send));
    CHECK(exists.ok());
    CHECK(f.nodes.seen.size() == 4);
}

TEST_CASE("plain memcached: no locks, and nothing is sent that would make it lose step", "[lock]") {
    Fixture f;
    f.server.items["there"] = {"value", 0, 55};
    f.connected();
    Outcome& lock = f.track(f.bucket->lock("there", 5s));
    Outcome& unlock = f.track(f.bucket->unlock("there", 55));
    std::vector<std::pair<bool, Cas>> found;
    for (const char* key : {"there", "nowhere"}) {
        f.bucket->exists(key).set_callbacks(
            [&](ExistsResult result) { found.emplace_back(result.exists(), result.cas()); },
            [](const Error& error) { FAIL(error.message()); });
    }
    f.loop.run();
    CHECK(lock.failed(errc::unsupported_operation));
    CHECK(unlock.failed(errc::unsupported_operation));
    CHECK(found == std::vector<std::pair<bool, Cas>>{{true, 55}, {false, 0}});
    REQUIRE(f.server.seen.size() == 2);
    CHECK(f.server.count(Opcode::get) == 2);
}
