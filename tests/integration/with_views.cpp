// with_views PROGRAM…: runs each with the connection string, user and password of a chaise-cluster that has some beers
// and a view of them.

#include <chaise/chaise.hpp>
#include <chaise/design_documents.hpp>
#include <chaise/epoll.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

#include "support/beers.hpp"
#include "support/cluster_process.hpp"

namespace {

constexpr const char* user = "Administrator";
constexpr const char* password = "password";

}  // namespace

int main(int argc, char** argv) {
    try {
        chaise::testing::ClusterProcess cluster(
            {.arguments = {"--nodes", "2", "--user", user, "--password", password}});
        {
            chaise::EpollLoop loop;
            chaise::AsyncBucket bucket(loop, cluster.connection_string(), {.username = user, .password = password});
            chaise::spawn(loop, chaise::testing::brew(bucket));
            loop.run();
        }
        for (int i = 1; i < argc; ++i) {
            const pid_t child = fork();
            if (child == 0) {
                execl(argv[i], argv[i], cluster.connection_string().c_str(), user, password, nullptr);
                _exit(127);
            }
            int status = 0;
            if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
                std::fprintf(stderr, "%s failed (%d)\n", argv[i], status);
                return 1;
            }
        }
        return argc > 1 && cluster.stop(SIGTERM) == 0 ? 0 : 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "with_views: %s\n", error.what());
        return 1;
    }
}
