#include "support/memcached_process.hpp"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace chaise::testing {

MemcachedProcess::MemcachedProcess(Options options) {
    directory_ = (std::filesystem::temp_directory_path() / "chaise-memcached-XXXXXX").string();
    if (mkdtemp(directory_.data()) == nullptr) throw std::runtime_error("no temporary directory");
    try {
        if (!options.mechanisms.empty()) write_sasl_files(options);
        start(options);
        wait_for_port();
    } catch (...) {
        kill();
        std::filesystem::remove_all(directory_);
        throw;
    }
}

MemcachedProcess::~MemcachedProcess() {
    kill();
    std::filesystem::remove_all(directory_);
}

void MemcachedProcess::kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

void MemcachedProcess::pause() const {
    ::kill(pid_, SIGSTOP);
    waitpid(pid_, nullptr, WUNTRACED);  // until it has stopped: it may be answering on another core
}
void MemcachedProcess::resume() const { ::kill(pid_, SIGCONT); }

void MemcachedProcess::start(const Options& options) {
    std::vector<std::string> arguments{"memcached", "-l", "127.0.0.1", "-p", "-1", "-U", "0", "-t", "1"};
    if (geteuid() == 0) arguments.insert(arguments.end(), {"-u", "root"});
    if (!options.mechanisms.empty()) arguments.emplace_back("-S");
    arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const std::string port_file = directory_ + "/port";

    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ != 0) {
        if (pid_ < 0) throw std::runtime_error("cannot fork");
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    if (options.core >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(static_cast<std::size_t>(options.core), &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    setenv("MEMCACHED_PORT_FILENAME", port_file.c_str(), 1);
    setenv("SASL_CONF_PATH", directory_.c_str(), 1);
    dup2(STDERR_FILENO, STDOUT_FILENO);  // programs read our standard output
    execvp(argv[0], argv.data());
    _exit(127);
}

void MemcachedProcess::write_sasl_files(const Options& options) const {
    std::ofstream(directory_ + "/memcached.conf") << "mech_list: " << options.mechanisms << "\n"
                                                  << "pwcheck_method: auxprop\n"
                                                  << "auxprop_plugin: sasldb\n"
                                                  << "sasldb_path: " << directory_ << "/sasldb2\n";
    const std::size_t at = options.user.find('@');
    if (at == std::string::npos) throw std::runtime_error("a SASL user needs a realm");
    const std::string command = "/usr/sbin/saslpasswd2 -p -c -f " + directory_ + "/sasldb2 -u " +
                                options.user.substr(at + 1) + " -a memcached " + options.user.substr(0, at);
    FILE* pipe = popen(command.c_str(), "w");
    if (!pipe) throw std::runtime_error("cannot run saslpasswd2");
    std::fputs(options.password.c_str(), pipe);
    if (pclose(pipe) != 0) throw std::runtime_error("saslpasswd2 failed");
}

/// The file is written, and renamed to that name, when the server listens: "TCP INET: 12345".
void MemcachedProcess::wait_for_port() {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < give_up) {
        if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
            pid_ = -1;
            throw std::runtime_error("memcached does not start: is it installed?");
        }
        std::ifstream file(directory_ + "/port");
        std::string line;
        while (std::getline(file, line)) {
            constexpr std::string_view before = "TCP INET: ";
            if (!line.starts_with(before)) continue;
            port_ = std::stoi(line.substr(before.size()));
            connection_string_ = "memcached://127.0.0.1:" + std::to_string(port_);
            return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    throw std::runtime_error("memcached does not say its port");
}

}  // namespace chaise::testing
