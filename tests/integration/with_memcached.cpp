// with_memcached PROGRAM…: runs each with the connection string of a memcached that lives as long as they do.

#include "support/memcached_process.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
    try {
        const chaise::testing::MemcachedProcess server;
        for (int i = 1; i < argc; ++i) {
            const pid_t child = fork();
            if (child == 0) {
                execl(argv[i], argv[i], server.connection_string().c_str(), nullptr);
                _exit(127);
            }
            int status = 0;
            if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
                std::fprintf(stderr, "%s failed (%d)\n", argv[i], status);
                return 1;
            }
        }
        return argc > 1 ? 0 : 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "with_memcached: %s\n", error.what());
        return 1;
    }
}
