// chaise-bench as programs call it. What it counts may be asserted, what it times may not.

#include "support/cluster_process.hpp"
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

/// The cases of `compare --json`, in order, each looked at.
template <class Check>
void check_comparison(const std::string& arguments, Check&& check) {
    INFO(arguments);
    const Ended ended = chaise_bench("compare --json " + arguments);
    REQUIRE(ended.status == 0);
    simdjson::dom::parser parser;
    simdjson::dom::array cases;
    REQUIRE(parser.parse(ended.output)["cases"].get(cases) == simdjson::SUCCESS);
    std::vector<std::string> names;
    for (const simdjson::dom::element found : cases) {
        names.emplace_back(std::string_view(found["name"]));
        INFO(names.back());
        check_case(found);
        check(found);
    }
    CHECK(names == expected_names());
}

TEST_CASE("compare --json: all cases, no allocation, at depth 1 three system calls to an operation") {
    check_comparison("--rounds 1 --seconds 0.2 --depth 1", [](const simdjson::dom::element& found) {
        CHECK(number(found, "syscalls_per_op") > 1.9);
        CHECK(number(found, "syscalls_per_op") < 3.01);  // a timer may fire once
    });
}

TEST_CASE("compare --server cluster --json: no allocation; one write to a node in a turn") {
    check_comparison("--server cluster --rounds 1 --seconds 0.2 --op mixed",
                     [](const simdjson::dom::element& found) { CHECK(number(found, "syscalls_per_op") < 0.5); });
    check_comparison("--server cluster --nodes 3 --rounds 1 --seconds 0.2",
                     [](const simdjson::dom::element& found) { CHECK(number(found, "syscalls_per_op") < 1); });
}

TEST_CASE("compare for people: a line for each case, and ratios") {
    const Ended ended = chaise_bench("compare --rounds 2 --seconds 0.05 --depth 20 --op mixed --size 1000");
    REQUIRE(ended.status == 0);
    for (const std::string& name : expected_names()) CHECK(ended.output.find("\n" + name) != std::string::npos);
    CHECK(ended.output.find("callback / floor: ") != std::string::npos);
    CHECK(ended.output.find("await / callback: ") != std::string::npos);
}

void check_run(const std::string& name, const std::string& target) {
    INFO(name << " " << target);
    const std::string what = name == "floor" ? "floor" : "run --face " + name;
    const Ended ended =
        chaise_bench(fmt::format("{} {} --op mixed --depth 50 --operations 20000 --json", what, target));
    REQUIRE(ended.status == 0);
    simdjson::dom::parser parser;
    simdjson::dom::element found;
    REQUIRE(parser.parse(ended.output).get(found) == simdjson::SUCCESS);
    CHECK(std::string_view(found["name"]) == name);
    check_case(found);
    CHECK(number(found, "p999_us") >= number(found, "p99_us"));
    CHECK(number(found, "syscalls_per_op") < 3);
}

TEST_CASE("run and floor measure a server that is there") {
    const chaise::testing::MemcachedProcess server({.arguments = {"-R", "1000", "-m", "256"}});
    for (const std::string& name : expected_names()) check_run(name, "--connstr " + server.connection_string());
}

TEST_CASE("run authenticates to memcached") {
    const chaise::testing::MemcachedProcess server({.arguments = {"-R", "1000", "-m", "256"},
                                                    .mechanisms = "scram-sha-256",
                                                    .user = "ada@chaise",
                                                    .password = "lovelace"});
    const std::string target = "--connstr " + server.connection_string() + " --user ada@chaise --password ";
    check_run("callback", target + "lovelace");
    CHECK(chaise_bench("run --operations 100 " + target + "byron 2>&1").status == 1);
    // The floor says so, rather than measure what the server refuses.
    const Ended floor = chaise_bench("floor --operations 100 " + target + "lovelace 2>&1");
    CHECK(floor.status == 1);
    CHECK(floor.output.find("cannot authenticate") != std::string::npos);
}

TEST_CASE("run and floor measure a cluster, as a user of it, in a bucket of it") {
    const chaise::testing::ClusterProcess cluster(
        {.arguments = {"--nodes", "2", "--user", "ada", "--password", "lovelace", "--bucket", "engine"}});
    const std::string where = "--connstr " + cluster.connection_string();
    for (const std::string& name : expected_names()) {
        check_run(name, where + " --user ada --password lovelace --bucket engine");
    }
    for (const char* what : {"run", "floor"}) {
        INFO(what);
        const auto refused = [&](const std::string& who, std::string_view words) {
            const Ended ended = chaise_bench(fmt::format("{} --operations 100 {} {} 2>&1", what, where, who));
            INFO(ended.output);
            CHECK(ended.status == 1);
            CHECK(ended.output.find(words) != std::string::npos);
        };
        refused("--user ada --password byron --bucket engine", "refused the username or the password");
        refused("--user ada --password lovelace --bucket loom", "bucket \"loom\" does not exist");
    }
    CHECK(chaise_bench("floor --blocking --operations 100 " + where +
                       " --user ada --password lovelace --bucket engine 2>&1")
              .status == 1);  // it waits for one node only
}

TEST_CASE("what cannot be measured is an error") {
    CHECK(chaise_bench("run --connstr memcached://127.0.0.1:1 --seconds 0.1 2>&1").status == 1);
    CHECK(chaise_bench("floor --connstr memcached://127.0.0.1:1 --seconds 0.1 2>&1").status == 1);
    CHECK(chaise_bench("run --connstr memcached://127.0.0.1:1 --face fibre 2>&1").status != 0);
    CHECK(chaise_bench("compare --rounds 0 2>&1").status != 0);
    CHECK(chaise_bench("compare --nodes 3 2>&1").status != 0);  // of memcached there is one
    CHECK(chaise_bench("compare --server cluster --nodes 0 2>&1").status != 0);
    CHECK(chaise_bench("compare --server redis 2>&1").status != 0);
}
