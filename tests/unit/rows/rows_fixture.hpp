#pragma once

// A bucket on a cluster of scripts, whose services answer what the test says.

#include "tests/unit/engine/cluster_fixture.hpp"
#include "tests/unit/engine/script_http.hpp"

#include <chaise/async_view_base.hpp>
#include <chaise/rows.hpp>
#include <chaise/spawn.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::testing {

ScriptMap with_services(ScriptMap map);

struct RowsFixture : ClusterFixture {
    explicit RowsFixture(std::vector<std::string> hosts = {"n1", "n2", "n3"});
    ~RowsFixture();

    /// What came of a query.
    struct Got {
        std::vector<std::string> rows;
        std::optional<Error> error;
        bool done = false;
        std::string meta;
        [[nodiscard]] bool failed(errc code) const { return done && error && *error == code; }
        [[nodiscard]] bool ok() const { return done && !error; }
    };
    static Task<> read(Rows rows, Got& got);
    /// Reads all, in a coroutine of its own.
    Got& run(Rows rows);
    Got& view(const ViewOptions& options = {}) { return run(bucket->view_query("d", "v", options)); }
    Got& query(const QueryOptions& options = {}) { return run(bucket->n1ql_query("SELECT 1", options)); }
    /// The answer to the last request.
    void answer(int status, std::string_view body);
    void break_off(bool sent = true);

    std::vector<std::unique_ptr<Got>> all;
    ScriptHttp http{loop};
};

}  // namespace chaise::testing
