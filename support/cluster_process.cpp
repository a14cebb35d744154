#include "support/cluster_process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace chaise::testing {

ClusterProcess::ClusterProcess(const Options& options) {
    const std::string program =
        std::filesystem::canonical("/proc/self/exe").parent_path().append("chaise-cluster").string();
    std::vector<std::string> arguments{program};
    arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);

    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        if (options.core >= 0) {
            cpu_set_t set;
            CPU_ZERO(&set);
            CPU_SET(static_cast<std::size_t>(options.core), &set);
            sched_setaffinity(0, sizeof set, &set);
        }
        dup2(ends[1], STDOUT_FILENO);
        execv(argv[0], argv.data());
        _exit(127);
    }
    close(ends[1]);
    output_ = ends[0];
    if (pid_ < 0) {
        close(output_);
        throw std::runtime_error("cannot fork");
    }
    for (char c = 0; read(output_, &c, 1) == 1 && c != '\n';) connection_string_ += c;
    if (!connection_string_.starts_with("couchbase://")) {
        kill();
        close(output_);
        throw std::runtime_error(program + " does not start");
    }
}

ClusterProcess::~ClusterProcess() {
    kill();
    close(output_);
}

void ClusterProcess::kill() noexcept {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(std::exchange(pid_, -1), nullptr, 0);
}

int ClusterProcess::stop(int signal) {
    if (pid_ <= 0) throw std::runtime_error("it has ended");
    ::kill(pid_, signal);
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string ClusterProcess::printed_later() {
    std::string text;
    char buffer[256];
    for (ssize_t size = 0; (size = read(output_, buffer, sizeof buffer)) > 0;) {
        text.append(buffer, static_cast<std::size_t>(size));
    }
    return text;
}

}  // namespace chaise::testing
