#include "bench/memcached.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

namespace chaise::bench {

std::optional<Cores> two_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 2) return {};
    std::vector<std::size_t> cores;
    for (std::size_t core = 0; core < CPU_SETSIZE && cores.size() < 2; ++core) {
        if (CPU_ISSET(core, &set)) cores.push_back(core);
    }
    return Cores{cores[0], cores[1]};
}

void pin_to(std::size_t core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);
}

Memcached::Memcached(std::optional<std::size_t> core) {
    std::string directory = (std::filesystem::temp_directory_path() / "chaise-bench-XXXXXX").string();
    if (mkdtemp(directory.data()) == nullptr) throw std::runtime_error("no temporary directory");
    const std::string port_file = directory + "/port";

    std::vector<std::string> arguments{"memcached", "-l",   "127.0.0.1", "-p", "-1", "-U", "0",
                                       "-R",        "1000", "-t",        "1",  "-m", "256"};
    if (geteuid() == 0) arguments.insert(arguments.end(), {"-u", "root"});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);

    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        if (core) pin_to(*core);
        setenv("MEMCACHED_PORT_FILENAME", port_file.c_str(), 1);
        dup2(STDERR_FILENO, STDOUT_FILENO);  // our standard output is read by programs
        execvp(argv[0], argv.data());
        _exit(127);
    }
    try {
        if (pid_ < 0) throw std::runtime_error("cannot fork");
        wait_for_port(port_file);
    } catch (...) {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
        std::filesystem::remove_all(directory);
        throw;
    }
    std::filesystem::remove_all(directory);
}

Memcached::~Memcached() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

/// It is written, and renamed to that name, when the server listens: "TCP INET: 12345".
void Memcached::wait_for_port(const std::string& port_file) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < give_up) {
        if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
            pid_ = -1;
            throw std::runtime_error("memcached does not start: is it installed?");
        }
        std::ifstream file(port_file);
        std::string line;
        while (std::getline(file, line)) {
            constexpr std::string_view before = "TCP INET: ";
            if (line.starts_with(before)) {
                connection_string_ = fmt::format("memcached://127.0.0.1:{}", line.substr(before.size()));
                return;
            }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    throw std::runtime_error("memcached does not say its port");
}

}  // namespace chaise::bench
