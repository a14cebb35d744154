#pragma once

// A bucket on a cluster of scripts, whose services answer what the test says.

#include "tests/unit/engine/script_cluster.hpp"
#include "tests/unit/engine/script_http.hpp"

#include <chaise/async_view_base.hpp>
#include <chaise/rows.hpp>
#include <chaise/spawn.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::testing {

inline ScriptMap with_services(ScriptMap map) {
    map.services = R"("capi":8092,"n1ql":8093,"fts":8094,"cbas":8095)";
    return map;
}

struct RowsFixture : ClusterFixture {
    explicit RowsFixture(std::vector<std::string> hosts = {"n1", "n2", "n3"})
        : ClusterFixture(with_services(ScriptMap::spread(std::move(hosts)))) {
        loop.run();
    }
    ~RowsFixture() {
        bucket.reset();
        loop.run();
        CHECK(http.open() == 0);
    }

    /// What came of a query.
    struct Got {
        std::vector<std::string> rows;
        std::optional<Error> error;
        bool done = false;
        std::string meta;
        [[nodiscard]] bool failed(errc code) const { return done && error && *error == code; }
        [[nodiscard]] bool ok() const { return done && !error; }
    };
    static Task<> read(Rows rows, Got& got) {
        try {
            for (;;) {
                const Row row = co_await rows.next();
                if (!row) break;
                got.rows.emplace_back(row.json());
            }
        } catch (const Exception& exception) {
            got.error = exception.error();
        }
        got.meta = rows.meta().json();
        got.done = true;
    }
    /// Reads all, in a coroutine of its own.
    Got& run(Rows rows) {
        Got& got = *all.emplace_back(std::make_unique<Got>());
        spawn(loop, read(std::move(rows), got));
        loop.run();
        return got;
    }
    Got& view(const ViewOptions& options = {}) { return run(bucket->view_query("d", "v", options)); }
    Got& query(const QueryOptions& options = {}) { return run(bucket->n1ql_query("SELECT 1", options)); }
    /// The answer to the last request.
    void answer(int status, std::string_view body) {
        ScriptHttp::Asked& last = http.last();
        last.head(status);
        if (last.receiver) last.body(body);
        if (last.receiver) last.end();
        loop.run();
    }
    void break_off(bool sent = true) {
        HttpReceiver* receiver = std::exchange(http.last().receiver, nullptr);
        receiver->on_end({std::make_error_code(std::errc::connection_reset), "reset", sent, true});
        loop.run();
    }

    std::vector<std::unique_ptr<Got>> all;
    ScriptHttp http{loop};
};

}  // namespace chaise::testing
