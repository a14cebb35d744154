// The scripts that the simulated memcached passes, against the real one (Debian's memcached 1.6): what is simulated is
// what is there. Started here on a Unix socket, ended by its process id.

#include "memcached_script.hpp"

#include "cluster/memcached/engine.hpp"

#include <catch2/catch.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

class RealMemcached : public ScriptTarget {
public:
    explicit RealMemcached(std::vector<std::string> arguments = {}) {
        char name[] = "/tmp/chaise-memcached-XXXXXX";
        if (mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
        directory_ = name;
        path_ = directory_ + "/socket";
        // Without a configuration, Debian's refuses to start with -S.
        std::ofstream(directory_ + "/memcached.conf") << "mech_list: PLAIN CRAM-MD5\npwcheck_method: auxprop\n"
                                                         "auxprop_plugin: sasldb\nsasldb_path: "
                                                      << directory_ << "/sasldb2\n";
        std::vector<std::string> all{"memcached", "-B", "binary", "-s", path_, "-t", "1", "-m", "64"};
        if (geteuid() == 0) all.insert(all.end(), {"-u", "root"});
        all.insert(all.end(), arguments.begin(), arguments.end());
        std::vector<char*> argv;
        for (std::string& argument : all) argv.push_back(argument.data());
        argv.push_back(nullptr);
        pid_ = fork();
        if (pid_ < 0) throw std::runtime_error("fork");
        if (pid_ == 0) {
            setenv("SASL_CONF_PATH", directory_.c_str(), 1);
            execvp(argv[0], argv.data());
            _exit(127);
        }
        for (int i = 0; i < 200; ++i) {
            if (try_connect()) return;
            std::this_thread::sleep_for(20ms);
        }
        throw std::runtime_error("memcached did not start (is it installed?)");
    }
    ~RealMemcached() override {
        disconnect();
        kill(pid_, SIGTERM);
        waitpid(pid_, nullptr, 0);
        std::filesystem::remove_all(directory_);
    }
    void connect() override {
        disconnect();
        if (!try_connect()) throw std::runtime_error("connect");
    }
    std::string exchange(const std::string& bytes, const std::function<bool(std::string_view)>& done,
                         bool& closed) override {
        std::string got;
        std::size_t sent = 0;
        const auto limit = std::chrono::steady_clock::now() + 5s;
        while (!done(got)) {
            if (std::chrono::steady_clock::now() > limit) return got;
            pollfd waiting{socket_, static_cast<short>(sent < bytes.size() ? POLLIN | POLLOUT : POLLIN), 0};
            if (poll(&waiting, 1, 200) <= 0) continue;
            if ((waiting.revents & POLLOUT) != 0) {
                const ssize_t n = send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n > 0) sent += static_cast<std::size_t>(n);
                if (n < 0 && errno != EAGAIN) sent = bytes.size();
            }
            if ((waiting.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
                char buffer[65536];
                const ssize_t n = recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
                if (n > 0) {
                    got.append(buffer, static_cast<std::size_t>(n));
                } else if (n == 0 || errno != EAGAIN) {
                    closed = true;
                    return got;
                }
            }
        }
        return got;
    }
    void wait(int seconds) override { std::this_thread::sleep_for(std::chrono::seconds{seconds}); }

private:
    bool try_connect() {
        socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
        disconnect();
        return false;
    }
    void disconnect() {
        if (socket_ >= 0) close(socket_);
        socket_ = -1;
    }

    std::string directory_;
    std::string path_;
    pid_t pid_ = -1;
    int socket_ = -1;
};

}  // namespace

TEST_CASE("the real memcached answers as the script says", "[memcached]") {
    RealMemcached target;
    const auto complaints = run_script(target, memcached_script());
    for (const std::string& complaint : complaints) FAIL_CHECK(complaint);
    CHECK(complaints.empty());
}

TEST_CASE("the real memcached with SASL, before authentication", "[memcached]") {
    RealMemcached target{{"-S"}};
    const auto complaints = run_script(target, unauthenticated_script());
    for (const std::string& complaint : complaints) FAIL_CHECK(complaint);
    CHECK(complaints.empty());
}
