#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/scram.hpp"
#include "protocol/status.hpp"

// SASL (protocol.md 5) without I/O: strings in, strings out.
namespace chaise::protocol {

enum class SaslMechanism : std::uint8_t { plain, cram_md5, scram_sha1, scram_sha256, scram_sha512, oauthbearer };

/// Both spellings of SCRAM: "SCRAM-SHA-1" (Cyrus, RFC) and "SCRAM-SHA1" (Couchbase). Nothing when not known.
[[nodiscard]] std::optional<SaslMechanism> sasl_mechanism(std::string_view name) noexcept;

struct SaslPolicy {
    bool allow_plain = false;  ///< send the password itself over a connection that is not encrypted
    bool tls = false;          ///< encrypted: PLAIN is preferred, as users kept outside the server need it
};

/// The best of `listed` (names separated by spaces) as it is spelled there; empty when the policy allows none. Without
/// TLS: SCRAM by strength, CRAM-MD5, then PLAIN if allowed. OAUTHBEARER is never chosen: it takes a token, not a
/// password.
[[nodiscard]] std::string_view choose_mechanism(std::string_view listed, SaslPolicy policy) noexcept;

/// PLAIN's message. The parts must not contain NUL.
[[nodiscard]] std::string plain_message(std::string_view authzid, std::string_view authcid, std::string_view password);
struct PlainCredentials {
    std::string_view authzid, authcid, password;
};
[[nodiscard]] std::optional<PlainCredentials> parse_plain_message(std::string_view message) noexcept;

/// OAUTHBEARER's message; `user` may be empty.
[[nodiscard]] std::string oauthbearer_message(std::string_view user, std::string_view token);
struct OauthbearerCredentials {
    std::string user;
    std::string_view token;
};
[[nodiscard]] std::optional<OauthbearerCredentials> parse_oauthbearer_message(std::string_view message);

/// What to do next.
struct SaslResult {
    enum class Kind : std::uint8_t { send, done, failed };
    Kind kind = Kind::failed;
    std::string data{};  ///< send: the value of SASL_AUTH (first) or SASL_STEP; failed: why
};

/// The client's half of one conversation:
///
///     SaslClient client(mechanism, user, password, nonce);
///     result = client.start();                         // send: SASL_AUTH(client.mechanism(), result.data)
///     result = client.step(status, value_of_response)  // send: SASL_STEP(client.mechanism(), result.data); done;
///     failed
class SaslClient {
public:
    /// `mechanism` as the server spells it. `password` is the token for OAUTHBEARER. `nonce`: at least 18 random bytes
    /// in hex or base64 (SCRAM only). `cache` may be shared by conversations of one thread, and must outlive this.
    SaslClient(std::string_view mechanism, std::string_view user, std::string_view password, std::string_view nonce,
               ScramKeyCache* cache = nullptr);

    [[nodiscard]] std::string_view mechanism() const noexcept { return name_; }
    [[nodiscard]] SaslResult start();
    /// `status` of the response: success, auth_continue, or an error, which fails. Done is said only when the server
    /// has proven that it knows the password too, where the mechanism can do that.
    [[nodiscard]] SaslResult step(Status status, std::string_view data);

private:
    enum class State : std::uint8_t { idle, sent_all, cram_challenge, server_first, server_final, confirmed, over };

    [[nodiscard]] SaslResult fail(std::string why);
    [[nodiscard]] SaslResult on_server_first(std::string_view data);
    [[nodiscard]] SaslResult on_server_final(Status status, std::string_view data);

    std::string name_;
    std::string user_;
    std::string password_;
    std::string nonce_;
    ScramKeyCache* cache_;
    std::optional<SaslMechanism> mechanism_;
    ScramHash hash_ = ScramHash::sha1;
    State state_ = State::idle;
    std::string client_first_bare_;
    std::string server_signature_;
};

struct SaslServerOptions {
    /// The password (or token) of a user; nothing when there is no such user.
    std::function<std::optional<std::string>(std::string_view user)> password_of;
    std::string nonce;  ///< the server's part; for CRAM-MD5 the challenge
    std::string salt;   ///< raw bytes
    std::uint32_t iterations = 4096;
    bool cyrus = false;  ///< memcached's form: the server's signature with AUTH_CONTINUE, and one more, empty step
    ScramKeyCache* keys = nullptr;  ///< remembers what was computed; none: computed each time
};

/// The server's half: for simulated servers and tests.
class SaslServer {
public:
    struct Reply {
        Status status = Status::auth_error;  ///< success, auth_continue or auth_error
        std::string data{};
    };

    SaslServer(std::string_view mechanism, SaslServerOptions options);
    /// The value of SASL_AUTH, then of each SASL_STEP.
    [[nodiscard]] Reply step(std::string_view data);
    /// Whose conversation it is; known when it succeeds.
    [[nodiscard]] const std::string& user() const noexcept { return user_; }

private:
    enum class State : std::uint8_t { start, cram_answer, client_final, confirm, over };

    [[nodiscard]] Reply refuse();
    [[nodiscard]] Reply check_password(std::string_view user, std::string_view password);
    [[nodiscard]] Reply on_cram_answer(std::string_view data);
    [[nodiscard]] Reply on_client_first(std::string_view data);
    [[nodiscard]] Reply on_client_final(std::string_view data);

    SaslServerOptions options_;
    std::optional<SaslMechanism> mechanism_;
    ScramHash hash_ = ScramHash::sha1;
    State state_ = State::start;
    std::string user_;
    std::string password_;
    std::string gs2_header_;
    std::string client_first_bare_;
    std::string server_first_;
    std::string nonce_;
};

}  // namespace chaise::protocol
