// chaise-bench: what operations cost, and what they would cost without chaise.

#include "bench/client.hpp"
#include "bench/compare.hpp"
#include "bench/report.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>

namespace {

using namespace chaise::bench;

struct Arguments {
    Target target;
    std::string op = "get";
    std::size_t size = 256;
    std::size_t depth = 100;
    double seconds = 3;
    std::uint64_t operations = 0;
    std::string face = "callback";
    bool blocking = false;
    bool json = false;
    std::string server = "memcached";
    std::size_t nodes = 1;
    std::size_t rounds = 15;
    double turn = 0.4;
};

const std::map<std::string, Op> ops{{"get", Op::get}, {"mixed", Op::mixed}, {"set", Op::set}};

void add_workload(CLI::App& app, Arguments& arguments) {
    app.add_option("--op", arguments.op, "get, set, or mixed (9 gets to 1 set)")
        ->capture_default_str()
        ->check(CLI::IsMember({"get", "set", "mixed"}));
    app.add_option("--size", arguments.size, "bytes of a value")
        ->capture_default_str()
        ->check(CLI::Range(0, 1'000'000));
    app.add_option("--depth", arguments.depth, "operations in flight")
        ->capture_default_str()
        ->check(CLI::Range(1, 65'536));
    app.add_flag("--json", arguments.json, "print JSON, and nothing else");
}

void add_measurement(CLI::App& app, Arguments& arguments) {
    app.add_option("--connstr", arguments.target.connection_string,
                   "where: memcached://host:port, couchbase://host:port")
        ->required();
    app.add_option("--user", arguments.target.username, "authenticate as");
    app.add_option("--password", arguments.target.password, "with this password");
    app.add_option("--bucket", arguments.target.bucket, "of a cluster; if the connection string names none: default");
    auto* seconds =
        app.add_option("--seconds", arguments.seconds, "how long")->capture_default_str()->check(CLI::PositiveNumber);
    app.add_option("--operations", arguments.operations, "so many operations, however long they take")
        ->check(CLI::PositiveNumber)
        ->excludes(seconds);
    add_workload(app, arguments);
}

std::chrono::nanoseconds nanoseconds(double seconds) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
}

void measure(const Case& each, const Arguments& arguments) {
    Workload workload(ops.at(arguments.op), arguments.size, arguments.depth);
    preload(arguments.target, workload);
    const auto client = each.make(arguments.target, workload);
    Meter meter({.operations = arguments.operations,
                 .time = nanoseconds(arguments.seconds),
                 .warm_up = warm_up_operations(arguments.target, workload)});
    client->run(meter);
    const CaseReport report{each.name, {meter.measurement()}};
    fmt::print("{}", arguments.json ? as_json(report) : as_text({report}));
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    CLI::App app("What chaise's operations cost: time, CPU, allocations, system calls.", "chaise-bench");
    app.require_subcommand(1);

    CLI::App& run = *app.add_subcommand("run", "measure one face of chaise");
    add_measurement(run, arguments);
    std::vector<std::string> names;
    for (const Case& face : faces()) names.emplace_back(face.name);
    run.add_option("--face", arguments.face, "how operations are waited for")
        ->capture_default_str()
        ->check(CLI::IsMember(names));

    CLI::App& floor = *app.add_subcommand("floor", "the same work by a raw socket client, with nothing of chaise");
    add_measurement(floor, arguments);
    floor.add_flag("--blocking", arguments.blocking, "wait in recv instead of epoll");

    CLI::App& comparison =
        *app.add_subcommand("compare", "start a server, let floor and faces take turns; medians and ratios");
    comparison
        .add_option("--server", arguments.server, "memcached, or cluster: the chaise-cluster beside this program")
        ->capture_default_str()
        ->check(CLI::IsMember({"memcached", "cluster"}));
    CLI::Option* nodes = comparison.add_option("--nodes", arguments.nodes, "of the cluster")
                             ->capture_default_str()
                             ->check(CLI::Range(1, 64));
    add_workload(comparison, arguments);
    comparison.add_option("--rounds", arguments.rounds, "turns of each case")
        ->capture_default_str()
        ->check(CLI::Range(1, 1000));
    comparison.add_option("--seconds", arguments.turn, "of one case in one round")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    CLI11_PARSE(app, argc, argv);

    try {
        if (comparison.parsed()) {
            const bool cluster = arguments.server == "cluster";
            if (nodes->count() != 0 && !cluster) throw std::invalid_argument("--nodes is for --server cluster");
            const auto reports = compare({.server = cluster ? Server::cluster : Server::memcached,
                                          .nodes = arguments.nodes,
                                          .op = ops.at(arguments.op),
                                          .size = arguments.size,
                                          .depth = arguments.depth,
                                          .rounds = arguments.rounds,
                                          .turn = nanoseconds(arguments.turn)});
            fmt::print("{}", arguments.json ? as_json(reports) : as_text(reports));
        } else if (floor.parsed()) {
            measure({"floor", arguments.blocking ? &make_blocking_floor : &make_floor}, arguments);
        } else {
            for (const Case& face : faces()) {
                if (face.name == arguments.face) measure(face, arguments);
            }
        }
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "chaise-bench: {}\n", error.what());
        return 1;
    }
}
