#pragma once

// A memcached 1.6 without sockets: bytes in, bytes out. It answers as the real one does (protocol.md 2.9), to the byte;
// tests/unit/cluster compares the two.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/memcached/store.hpp"
#include "protocol/frame.hpp"
#include "protocol/sasl.hpp"

namespace chaise::testing {

struct MemcachedUser {
    std::string name;
    std::string password;
};

struct MemcachedOptions {
    std::size_t item_size_max = 1024 * 1024;
    std::string version = "1.6.18";
    /// Not empty: as with -S, nothing but VERSION and SASL before authentication.
    std::vector<MemcachedUser> users{};
    std::vector<std::string> mechanisms{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN"};
    std::uint32_t scram_iterations = 4096;
};

class MemcachedEngine;

/// One request as it came, before it is executed. Views are valid until the connection is fed.
struct MemcachedRequest {
    protocol::Opcode opcode{};
    std::uint32_t opaque = 0;
    std::uint64_t cas = 0;
    std::uint32_t body = 0;  ///< as announced
    std::string_view extras{};
    std::string_view key{};
    std::string_view value{};  ///< only of commands that take one
};

/// One client of an engine, which must outlive it.
class MemcachedConnection {
public:
    explicit MemcachedConnection(MemcachedEngine& engine) noexcept;
    MemcachedConnection(const MemcachedConnection&) = delete;
    MemcachedConnection& operator=(const MemcachedConnection&) = delete;
    ~MemcachedConnection();

    void feed(std::string_view bytes);
    /// The next request, if it is whole, without executing it.
    [[nodiscard]] const MemcachedRequest* peek();
    /// Executes at most one request and appends what it answers. False: more bytes are needed, or it is closing.
    bool step(UnixSeconds now, std::string& out);
    /// What peek() showed is not executed.
    void skip();
    /// Close when what was answered is sent; nothing is executed any more.
    [[nodiscard]] bool closing() const noexcept { return closing_; }
    void close() noexcept { closing_ = true; }
    [[nodiscard]] std::size_t buffered() const noexcept { return input_.size() - start_; }
    [[nodiscard]] bool authenticated() const noexcept { return authenticated_; }

private:
    friend class MemcachedEngine;

    // Refuses what follows: it is thrown away as it comes, then the answer is given.
    void swallow(std::uint64_t bytes) noexcept { swallow_ = bytes; }
    [[nodiscard]] bool takes_value(const MemcachedRequest& request) const noexcept;
    void consume(std::size_t bytes) noexcept;

    MemcachedEngine& engine_;
    std::string input_;
    std::size_t start_ = 0;
    MemcachedRequest request_;
    std::size_t request_size_ = 0;  // 0: none is parsed
    std::uint64_t swallow_ = 0;
    std::string answer_after_swallow_;
    bool closing_ = false;
    bool authenticated_ = false;
    std::optional<protocol::SaslServer> sasl_;
};

class MemcachedEngine {
public:
    explicit MemcachedEngine(MemcachedOptions options = {});

    [[nodiscard]] MemcachedStore& store() noexcept { return store_; }
    [[nodiscard]] const MemcachedOptions& options() const noexcept { return options_; }
    /// Requests executed, of any kind.
    [[nodiscard]] std::uint64_t executed() const noexcept { return executed_; }
    [[nodiscard]] std::uint64_t connections() const noexcept { return connections_; }
    /// What SASL nonces are made of; a server sets it from its IOPS. Default: a hash of a counter.
    void set_random(std::function<std::uint64_t()> random) { random_ = std::move(random); }

private:
    friend class MemcachedConnection;

    void execute(MemcachedConnection& connection, const MemcachedRequest& request, UnixSeconds now, std::string& out);
    void execute_store(MemcachedConnection& connection, const MemcachedRequest& request, UnixSeconds now,
                       std::string& out);
    void execute_get(const MemcachedRequest& request, UnixSeconds now, std::string& out);
    void execute_counter(const MemcachedRequest& request, UnixSeconds now, std::string& out);
    void execute_sasl(MemcachedConnection& connection, const MemcachedRequest& request, std::string& out);
    void execute_stat(const MemcachedRequest& request, UnixSeconds now, std::string& out);
    [[nodiscard]] std::string nonce();

    MemcachedOptions options_;
    MemcachedStore store_;
    std::uint64_t executed_ = 0;
    std::uint64_t connections_ = 0;
    std::uint64_t total_connections_ = 0;
    std::function<std::uint64_t()> random_;
    std::uint64_t draws_ = 0;
};

/// The short English text that memcached puts into an error's body.
[[nodiscard]] std::string_view memcached_error_text(protocol::Status status) noexcept;

}  // namespace chaise::testing
