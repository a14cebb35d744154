// Views, queries, search and analytics of a LocalCluster, by coroutines and by AsyncViewBase; and what goes wrong with
// them. Cases of the seed's tests keep their names where they have some (seed-semantics.md H).

#include <chaise/http.hpp>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

namespace {

/// One request, awaited.
class HttpCall final : HttpReceiver {
public:
    HttpCall(HttpClient& client, HttpClient::Request request) : exchange_(client.start(std::move(request), *this)) {}
    int status = 0;
    std::string body;

    [[nodiscard]] bool await_ready() const noexcept { return over_; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
    void await_resume() const noexcept {}

private:
    void on_head(int code, const HttpHeaders&) override { status = code; }
    void on_body(std::string_view bytes) override { body += bytes; }
    void on_end(const HttpEnd&) override {
        over_ = true;
        if (waiting_) waiting_.resume();
    }
    std::unique_ptr<HttpExchange> exchange_;
    std::coroutine_handle<> waiting_;
    bool over_ = false;
};

class RowsRun : public ClusterRun {
public:
    explicit RowsRun(const LocalClusterOptions& options = {.nodes = 2, .replicas = 1})
        : ClusterRun(options), client_(iops->make_http_client()) {}

    template <class F>
    void operator()(const F& body) {
        ClusterRun::operator()([&](ClusterRun&) -> Task<> { return body(*this); });
    }

    Task<> design(std::string name, std::string text) {
        const Endpoint at = cluster().service_endpoint(LocalService::views, 0);
        HttpCall call(*client_, {.method = "PUT",
                                 .host = at.address,
                                 .port = at.port,
                                 .target = "/default/_design/" + name,
                                 .username = access.user,
                                 .password = access.password,
                                 .headers = {{"Content-Type", "application/json"}},
                                 .body = std::move(text)});
        co_await call;
        INFO(call.body);
        REQUIRE(call.status == 201);
    }
    /// doc00 … with n, even and a name; and views on them.
    Task<> documents(int count) {
        for (int i = 0; i < count; ++i) {
            const std::string number = std::to_string(i);
            const std::string key = (i < 10 ? "doc0" : "doc") + number;
            const std::string value = R"({"n":)" + number + R"(,"even":)" + (i % 2 ? "false" : "true") + "}";
            co_await bucket().upsert(key, value);
        }
        co_await design("d",
                        R"({"views":{"by_n":{"map":"function(doc, meta) { emit(doc.n, null); }"},)"
                        R"("sum":{"map":"function(doc, meta) { emit([doc.even, doc.n], doc.n); }","reduce":"_sum"}}})");
    }

private:
    std::unique_ptr<HttpClient> client_;
};

struct Answer {
    Strings rows;
    std::optional<Error> error;
    RowsMeta meta;
};

Task<Answer> read(Rows rows) {
    Answer out;
    try {
        while (auto row = co_await rows.next()) out.rows.emplace_back(row.json());
    } catch (const Exception& exception) {
        out.error = exception.error();
    }
    out.meta = rows.meta();
    co_return out;
}

/// The documents of the rows, in one word.
Task<std::string> ids(Rows rows) {
    std::string out;
    while (auto row = co_await rows.next()) out += row.docid().value_or("-").substr(3);
    co_return out;
}

}  // namespace

TEST_CASE("rows: a view, asked in every way") {
    RowsRun run;
    run([](RowsRun& r) -> Task<> {
        co_await r.documents(12);
        AsyncBucket& bucket = r.bucket();
        auto rows = bucket.view_query("d", "by_n", {.stale = Stale::updated});
        int n = 0;
        while (auto row = co_await rows.next()) {
            CHECK(row.key() == std::to_string(n));
            CHECK(row.value() == "null");
            ++n;
        }
        CHECK(n == 12);
        CHECK(rows.meta().total_rows() == 12);
        const auto ask = [&](const ViewOptions& options) { return ids(bucket.view_query("d", "by_n", options)); };
        CHECK_AWAIT(co_await ask({.descending = true, .limit = 2}) == "1110");
        CHECK_AWAIT(co_await ask({.limit = 2, .skip = 3}) == "0304");
        CHECK_AWAIT(co_await ask({.key = "7"}) == "07");
        CHECK_AWAIT(co_await ask({.keys = "[3, 1, 99]"}) == "0301");
        CHECK_AWAIT(co_await ask({.startkey = "9", .endkey = "11"}) == "091011");
        CHECK_AWAIT(co_await ask({.startkey = "9", .endkey = "11", .inclusive_end = false}) == "0910");
        CHECK_AWAIT(co_await ask({.mapkey_range = {"2", "3"}, .dockey_range = {"doc02", "doc03"}}) == "0203");
        std::string many = "[5";
        for (int i = 100; i < 900; ++i) many += "," + std::to_string(i);
        many += ",6]";
        CHECK_AWAIT(co_await ask({.keys = many}) == "0506");
        CHECK_AWAIT(co_await ask({.stale = Stale::ok, .limit = 0}) == "");

        const auto summed = co_await read(bucket.view_query("d", "sum", {.stale = Stale::updated}));
        CHECK(summed.rows == Strings{R"({"key":null,"value":66})"});
        const auto grouped = co_await read(bucket.view_query("d", "sum", {.group_level = 1}));
        CHECK(grouped.rows == Strings{R"({"key":[false],"value":36})", R"({"key":[true],"value":30})"});
        const auto debug = co_await read(bucket.view_query("d", "by_n", {.debug = true}));
        CHECK_FALSE(debug.meta.debug_info().empty());
        const auto mapped = co_await read(bucket.view_query("d", "sum", {.key = "[true,4]", .reduce = false}));
        CHECK(mapped.rows == Strings{R"({"id":"doc04","key":[true,4],"value":4})"});
    });
}

TEST_CASE("rows: documents with the rows") {
    RowsRun run;
    run([](RowsRun& r) -> Task<> {
        co_await r.documents(60);
        AsyncBucket& bucket = r.bucket();
        CHECK_AWAIT(co_await ids(bucket.view_query("d", "by_n", {.stale = Stale::updated, .limit = 1})) == "00");
        co_await bucket.remove("doc07");
        auto rows = bucket.view_query("d", "by_n", {.stale = Stale::ok, .include_docs = true});
        int n = 0;
        while (auto row = co_await rows.next()) {
            REQUIRE(row.doc());
            REQUIRE(row.doc()->has_value());
            const ValueResult& doc = **row.doc();
            CHECK(doc.success() == (n != 7));
            if (n != 7) CHECK(doc.value().find("\"n\":" + std::to_string(n) + ",") != std::string_view::npos);
            ++n;
        }
        CHECK(n == 60);
    });
}

TEST_CASE("rows: what a view query may hear of errors") {
    RowsRun run;
    run([](RowsRun& r) -> Task<> {
        co_await r.documents(20);
        AsyncBucket& bucket = r.bucket();
        const auto error = [&](Rows rows) -> Task<Error> {
            const Answer answer = co_await read(std::move(rows));
            co_return answer.error.value_or(Error());
        };
        const Error design = co_await error(bucket.view_query("none", "by_n"));
        CHECK(design == errc::design_document_not_found);
        CHECK(design.context().http_status == 404);
        CHECK_FALSE(design.context().server_text.empty());
        CHECK_AWAIT(co_await error(bucket.view_query("d", "none")) == errc::view_not_found);
        CHECK_AWAIT(co_await error(bucket.view_query("d", "by_n", {.group = true})) == errc::invalid_argument);
        CHECK_AWAIT(co_await error(bucket.view_query("d", "by_n", {.start_range = "[1]"})) ==
                    errc::design_document_not_found);
        CHECK_AWAIT(co_await error(bucket.view_query("d", "by_n", {.raw = "stale=maybe"})) == errc::invalid_argument);

        r.cluster().add_service_fault(LocalService::views, {.times = 2, .status = 500, .body = "oops"});
        CHECK_AWAIT(co_await error(bucket.view_query("d", "by_n")) == errc::http_failure);
        r.cluster().clear_service_faults();

        // A node is dead: its part is missing, and told.
        r.cluster().kill_node(1);
        const auto partial = co_await read(bucket.view_query("d", "by_n", {.stale = Stale::updated}));
        REQUIRE(partial.error);
        CHECK(*partial.error == errc::view_failure);
        CHECK(partial.rows.size() < 20);
        const auto told = co_await read(bucket.view_query("d", "by_n", {.on_error = OnViewError::continue_}));
        CHECK_FALSE(told.error);
        CHECK_FALSE(told.meta.errors().empty());
    });
}

TEST_CASE("rows: nodes that fail, answers in crumbs, answers that break off") {
    RowsRun run;
    run([](RowsRun& r) -> Task<> {
        co_await r.documents(40);
        AsyncBucket& bucket = r.bucket();
        const auto whole = co_await read(bucket.view_query("d", "by_n", {.stale = Stale::updated}));
        REQUIRE(whole.rows.size() == 40);
        const auto same = [&](const ViewOptions& options = {}) -> Task<bool> {
            const auto answer = co_await read(bucket.view_query("d", "by_n", options));
            if (answer.error) WARN(answer.error->message());
            co_return !answer.error && answer.rows == whole.rows;
        };
        for (const std::size_t piece : {1u, 7u, 100u}) {
            r.cluster().add_service_fault(LocalService::views, {.piece = piece});
            CHECK_AWAIT(co_await same());
        }
        r.cluster().add_service_fault(LocalService::views, {.times = 1, .status = 503, .body = "busy"});
        CHECK_AWAIT(co_await same());
        r.cluster().add_service_fault(LocalService::views, {.times = 1, .cut = 0});
        CHECK_AWAIT(co_await same());
        r.cluster().add_service_fault(LocalService::views, {.times = 1, .cut = 10});
        CHECK_AWAIT(co_await same());
        r.cluster().add_service_fault(LocalService::views, {.times = 10, .cut = 0});  // curl tries once more by itself
        const auto dead = co_await read(bucket.view_query("d", "by_n"));
        REQUIRE(dead.error);
        CHECK(*dead.error == errc::connection_lost_after_send);
        CHECK_FALSE(dead.error->may_have_happened());
        r.cluster().clear_service_faults();

        // Behind some rows: they were given, nobody else is asked.
        r.cluster().add_service_fault(LocalService::views, {.piece_delay = 2ms, .piece = 200, .cut = 1000});
        const auto cut = co_await read(bucket.view_query("d", "by_n"));
        REQUIRE(cut.error);
        CHECK(*cut.error == errc::connection_lost_after_send);
        CHECK(cut.rows.size() > 5);
        CHECK(cut.rows.size() < 40);
        CHECK(std::equal(cut.rows.begin(), cut.rows.end(), whole.rows.begin()));

        r.cluster().add_service_fault(LocalService::views, {.delay = 10s});
        const auto late = co_await read(bucket.view_query("d", "by_n", {.timeout = 50ms}));
        REQUIRE(late.error);
        CHECK(*late.error == errc::timeout_after_send);
        CHECK_AWAIT(co_await same());

        // A node that has no vbuckets sends elsewhere.
        r.cluster().add_node();
        for (int i = 0; i < 6; ++i) CHECK_AWAIT(co_await same());
    });
}

TEST_CASE("rows: an answer of many megabytes, read slowly, and left in the middle") {
    RowsRun run({.nodes = 1});
    run([](RowsRun& r) -> Task<> {
        std::string body = R"({"results":[)";
        const std::string row = "\"" + std::string(4000, 'r') + "\"";
        constexpr int count = 5000;
        for (int i = 0; i < count; ++i) body += (i ? "," : "") + row;
        r.cluster().script_query("big", body + R"(],"status":"success"})");
        auto rows = r.bucket().n1ql_query("big");
        int n = 0;
        while (auto one = co_await rows.next()) {
            if (n % 1000 == 0) co_await r.sleep(5ms);
            if (one.json() != row) FAIL("row " << n);
            ++n;
        }
        CHECK(n == count);
        // Left in the middle, the connection goes with it.
        auto left = r.bucket().n1ql_query("big");
        const Row first = co_await left.next();
        CHECK(first.json() == row);
    });
}

namespace {

class Collector : public AsyncViewBase {
public:
    Collector(ViewCall call, Strings& events, std::coroutine_handle<>& waiting)
        : AsyncViewBase(std::move(call)), events_(events), waiting_(waiting) {}

private:
    void on_rows(std::span<const Row> rows) override {
        for (const Row& row : rows) events_.emplace_back(row.key());
    }
    void on_error(const Error& error) override { events_.emplace_back(name(error.code())); }
    void on_done() override {
        events_.emplace_back("done");
        std::exchange(waiting_, nullptr).resume();
    }
    Strings& events_;
    std::coroutine_handle<>& waiting_;
};

}  // namespace

TEST_CASE("rows: AsyncViewBase, to the end and with an error") {
    RowsRun run;
    run([](RowsRun& r) -> Task<> {
        co_await r.documents(3);
        Strings events;
        std::coroutine_handle<> waiting;
        struct Wait {
            std::coroutine_handle<>& waiting;
            [[nodiscard]] bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> who) const noexcept { waiting = who; }
            void await_resume() const noexcept {}
        };
        auto view = r.bucket().query<Collector>("d", "by_n", {.stale = Stale::updated}, events, waiting);
        view->start();
        co_await Wait{waiting};
        CHECK(events == Strings{"0", "1", "2", "done"});
        events.clear();
        auto none = r.bucket().query<Collector>("d", "none", {}, events, waiting);
        none->start();
        co_await Wait{waiting};
        CHECK(events == Strings{"view_not_found", "done"});
    });
}

TEST_CASE("rows: SQL++") {
    RowsRun run;
    run([](RowsRun& r) -> Task<> {
        co_await r.documents(20);
        AsyncBucket& bucket = r.bucket();
        const auto ask = [&](std::string_view statement, const QueryOptions& options = {}) {
            return read(bucket.n1ql_query(statement, options));
        };
        const auto plain = co_await ask("SELECT n FROM default WHERE n >= 17 ORDER BY n");
        CHECK_FALSE(plain.error);
        CHECK(plain.rows.size() == 3);
        CHECK(RowsMeta(plain.meta).member("status") == "\"success\"");
        const auto positional =
            co_await ask("SELECT RAW n FROM default WHERE n < $1 ORDER BY n", {.positional = "[2]"});
        CHECK(positional.rows == Strings{"0", "1"});
        const auto named =
            co_await ask("SELECT RAW n FROM default USE KEYS $k", {.named = R"({"k":["doc05","doc03"]})"});
        CHECK(named.rows == Strings{"5", "3"});
        const auto all = co_await ask("SELECT 1 AS one", {.scan_consistency = ScanConsistency::request_plus,
                                                          .readonly = true,
                                                          .metrics = true,
                                                          .profile = QueryProfile::timings,
                                                          .client_context_id = "mine",
                                                          .scan_wait = 1s,
                                                          .scan_cap = 10,
                                                          .pipeline_batch = 10,
                                                          .pipeline_cap = 10,
                                                          .max_parallelism = 2,
                                                          .timeout = 5s});
        CHECK_FALSE(all.error);
        CHECK(all.rows.size() == 1);
        CHECK_FALSE(RowsMeta(all.meta).metrics().empty());
        CHECK(RowsMeta(all.meta).member("clientContextID") == "\"mine\"");

        MutationState state;
        const auto stored = co_await bucket.upsert("doc99", R"({"n":99})");
        state.add(stored);
        const auto seen = co_await ask("SELECT RAW n FROM default WHERE n = 99", {.consistent_with = &state});
        CHECK(seen.rows == Strings{"99"});

        const auto wrong = co_await ask("SELECT FROM WHERE");
        REQUIRE(wrong.error);
        CHECK(*wrong.error == errc::parsing_failure);
        CHECK(wrong.error->context().server_code == 3000);
        const auto nowhere = co_await ask("SELECT * FROM nowhere");
        REQUIRE(nowhere.error);
        CHECK(*nowhere.error == errc::collection_not_found);

        for (int i = 0; i < 3; ++i) {
            if (i == 2) r.cluster().forget_prepared_statements();
            const auto prepared =
                co_await ask("SELECT RAW n FROM default WHERE n = $1", {.positional = "[4]", .adhoc = false});
            CHECK_FALSE(prepared.error);
            CHECK(prepared.rows == Strings{"4"});
        }
    });
}

TEST_CASE("rows: search and analytics, by script") {
    RowsRun run;
    run([](RowsRun& r) -> Task<> {
        r.cluster().script(
            LocalService::search, "/api/index/hotels/query",
            R"({"status":{"total":1,"failed":0,"successful":1},"hits":[{"id":"h1"},{"id":"h2"}],"total_hits":2})");
        r.cluster().script(LocalService::analytics, "SELECT a", R"({"results":[{"a":1}],"status":"success"})");
        const auto hits = co_await read(r.bucket().search_query("hotels", R"({"query":{"match":"x"}})", {.limit = 2}));
        CHECK(hits.rows == Strings{R"({"id":"h1"})", R"({"id":"h2"})"});
        CHECK(hits.meta.member("total_hits") == "2");
        const auto rows = co_await read(r.bucket().analytics_query("SELECT a", {.priority = true}));
        CHECK(rows.rows == Strings{R"({"a":1})"});
    });
}
