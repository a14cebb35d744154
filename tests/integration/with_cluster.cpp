// with_cluster PROGRAM…: runs each against chaise-cluster, with what the tests take from the environment: a bucket, a
// user and a password that no LocalCluster has by itself. Fails also when a program did not use it.

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "support/cluster_process.hpp"

namespace {

constexpr const char* bucket_name = "travel";
constexpr const char* user = "tester";
constexpr const char* password = "secret";

/// Writes that the cluster has been asked for.
std::uint64_t writes(const std::string& connection_string) {
    chaise::EpollLoop loop;
    chaise::AsyncBucket bucket(loop, connection_string,
                               {.bucket = bucket_name, .username = user, .password = password});
    std::uint64_t sum = 0;
    const auto ask = [&]() -> chaise::Task<> {
        const auto stats = co_await bucket.stats();
        for (const auto& [server, count] : stats.stats().at("cmd_set")) sum += std::stoull(count);
    };
    chaise::spawn(loop, ask());
    loop.run();
    return sum;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        chaise::testing::ClusterProcess cluster({.arguments = {"--nodes", "3", "--replicas", "1", "--bucket",
                                                               bucket_name, "--user", user, "--password", password}});
        setenv("CHAISE_TEST_CONNSTR", cluster.connection_string().c_str(), 1);
        setenv("CHAISE_TEST_BUCKET", bucket_name, 1);
        setenv("CHAISE_TEST_USER", user, 1);
        setenv("CHAISE_TEST_PASSWORD", password, 1);
        for (int i = 1; i < argc; ++i) {
            const std::uint64_t before = writes(cluster.connection_string());
            const pid_t child = fork();
            if (child == 0) {
                execl(argv[i], argv[i], nullptr);
                _exit(127);
            }
            int status = 0;
            if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
                std::fprintf(stderr, "%s failed (%d)\n", argv[i], status);
                return 1;
            }
            if (writes(cluster.connection_string()) == before) {
                std::fprintf(stderr, "%s wrote nothing there\n", argv[i]);
                return 1;
            }
        }
        return argc > 1 && cluster.stop(SIGTERM) == 0 ? 0 : 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "with_cluster: %s\n", error.what());
        return 1;
    }
}
