// chaise-bench as programs call it. What it counts may be asserted, what it times may not.

#include "support/memcached_process.hpp"

#include <fmt/format.h>
#include <simdjson.h>
#include <catch2/catch.hpp>

#include <sys/wait.h>

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Ended {
    int status;
    std::string output;
};

Ended chaise_bench(const std::string& arguments) {
    const std::string command = fmt::format("'{}' {}", CHAISE_BENCH_PROGRAM, arguments);
    FILE* const pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string output;
    char chunk[4096];
    while (const std::size_t size = std::fread(chunk, 1, sizeof chunk, pipe)) output.append(chunk, size);
    const int status = pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

std::vector<std::string> expected_names() {
    std::vector<std::string> names{"floor", "callback", "await"};
#ifdef CHAISE_BENCH_ASIO
    names.emplace_back("asio");
#endif
    return names;
}

double number(const simdjson::dom::element& object, const char* field) {
    INFO(field);
    double value = -1;
    REQUIRE(object[field].get(value) == simdjson::SUCCESS);
    return value;
}

void check_case(const simdjson::dom::element& found) {
    CHECK(number(found, "ops_per_s") > 0);
    CHECK(number(found, "cpu_ns_per_op") > 0);
    CHECK(number(found, "p50_us") > 0);
    CHECK(number(found, "p99_us") >= number(found, "p50_us"));
    CHECK(number(found, "allocs_per_op") == 0);
}

}  // namespace

TEST_CASE("compare --json: all cases, no allocation, at depth 1 three system calls to an operation") {
    const Ended ended = chaise_bench("compare --rounds 1 --seconds 0.2 --depth 1 --json");
    REQUIRE(ended.status == 0);
    simdjson::dom::parser parser;
    simdjson::dom::array cases;
    REQUIRE(parser.parse(ended.output)["cases"].get(cases) == simdjson::SUCCESS);
    std::vector<std::string> names;
    for (const simdjson::dom::element found : cases) {
        names.emplace_back(std::string_view(found["name"]));
        INFO(names.back());
        check_case(found);
        CHECK(number(found, "syscalls_per_op") > 1.9);
        CHECK(number(found, "syscalls_per_op") < 3.01);  // a timer may fire once
    }
    CHECK(names == expected_names());
}

TEST_CASE("compare for people: a line for each case, and ratios") {
    const Ended ended = chaise_bench("compare --rounds 2 --seconds 0.05 --depth 20 --op mixed --size 1000");
    REQUIRE(ended.status == 0);
    for (const std::string& name : expected_names()) CHECK(ended.output.find("\n" + name) != std::string::npos);
    CHECK(ended.output.find("callback / floor: ") != std::string::npos);
    CHECK(ended.output.find("await / callback: ") != std::string::npos);
}

TEST_CASE("run and floor measure a server that is there") {
    const chaise::testing::MemcachedProcess server({.arguments = {"-R", "1000", "-m", "256"}});
    for (const std::string& name : expected_names()) {
        INFO(name);
        const std::string what = name == "floor" ? "floor" : "run --face " + name;
        const Ended ended = chaise_bench(fmt::format("{} --connstr {} --op mixed --depth 50 --operations 20000 --json",
                                                     what, server.connection_string()));
        REQUIRE(ended.status == 0);
        simdjson::dom::parser parser;
        simdjson::dom::element found;
        REQUIRE(parser.parse(ended.output).get(found) == simdjson::SUCCESS);
        CHECK(std::string_view(found["name"]) == name);
        check_case(found);
        CHECK(number(found, "p999_us") >= number(found, "p99_us"));
        CHECK(number(found, "syscalls_per_op") < 3);
    }
}

TEST_CASE("what cannot be measured is an error") {
    CHECK(chaise_bench("run --connstr memcached://127.0.0.1:1 --seconds 0.1 2>&1").status == 1);
    CHECK(chaise_bench("floor --connstr memcached://127.0.0.1:1 --seconds 0.1 2>&1").status == 1);
    CHECK(chaise_bench("run --connstr memcached://127.0.0.1:1 --face fibre 2>&1").status != 0);
    CHECK(chaise_bench("compare --rounds 0 2>&1").status != 0);
}
