#include "tests/unit/rows/rows_fixture.hpp"

#include <catch2/catch.hpp>

#include <utility>

namespace chaise::testing {

ScriptMap with_services(ScriptMap map) {
    map.services = R"("capi":8092,"n1ql":8093,"fts":8094,"cbas":8095)";
    return map;
}

RowsFixture::RowsFixture(std::vector<std::string> hosts)
    : ClusterFixture(with_services(ScriptMap::spread(std::move(hosts)))) {
    loop.run();
}

RowsFixture::~RowsFixture() {
    bucket.reset();
    loop.run();
    CHECK(http.open() == 0);
}

Task<> RowsFixture::read(Rows rows, Got& got) {
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

RowsFixture::Got& RowsFixture::run(Rows rows) {
    Got& got = *all.emplace_back(std::make_unique<Got>());
    spawn(loop, read(std::move(rows), got));
    loop.run();
    return got;
}

void RowsFixture::answer(int status, std::string_view body) {
    ScriptHttp::Asked& last = http.last();
    last.head(status);
    if (last.receiver) last.body(body);
    if (last.receiver) last.end();
    loop.run();
}

void RowsFixture::break_off(bool sent) {
    HttpReceiver* receiver = std::exchange(http.last().receiver, nullptr);
    receiver->on_end({std::make_error_code(std::errc::connection_reset), "reset", sent, true});
    loop.run();
}

}  // namespace chaise::testing
