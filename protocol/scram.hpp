#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

// The computations and messages of SCRAM (RFC 5802, protocol.md 5.3), shared by both halves.
namespace chaise::protocol {

enum class ScramHash : std::uint8_t { sha1, sha256, sha512 };

inline constexpr std::uint32_t min_scram_iterations = 4096;
inline constexpr std::uint32_t max_scram_iterations = 10'000'000;

[[nodiscard]] std::size_t digest_size(ScramHash hash) noexcept;

/// Remembers salted passwords: with several connections PBKDF2 dominates the time to connect. Holds no password. For
/// one thread; the oldest entries go first.
class ScramKeyCache {
public:
    /// The salted password; empty when the crypto library fails.
    [[nodiscard]] std::string salted_password(ScramHash hash, std::string_view password, std::string_view salt,
                                              std::uint32_t iterations);
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] std::uint64_t computed() const noexcept { return computed_; }  ///< how often PBKDF2 ran

private:
    struct Entry {
        std::string salted;
        std::uint64_t age;
    };
    std::map<std::string, Entry> entries_;
    std::uint64_t computed_ = 0;
};

/// PBKDF2. Empty when the crypto library fails.
[[nodiscard]] std::string scram_salted_password(ScramHash hash, std::string_view password, std::string_view salt,
                                                std::uint32_t iterations);

/// What follows from the salted password and the messages (raw bytes).
struct ScramProof {
    std::string client_key;
    std::string stored_key;
    std::string server_key;
    std::string client_signature;
    std::string client_proof;
    std::string server_signature;
};
/// Nothing when the crypto library fails.
[[nodiscard]] std::optional<ScramProof> scram_proof(ScramHash hash, std::string_view salted_password,
                                                    std::string_view auth_message);

[[nodiscard]] std::string scram_digest(ScramHash hash, std::string_view data);
[[nodiscard]] std::string scram_xor(std::string_view a, std::string_view b);

/// Takes the same time wherever the difference is.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

/// `=` and `,` as =3D and =2C.
[[nodiscard]] std::string scram_escape(std::string_view name);
/// Nothing on any other use of `=`.
[[nodiscard]] std::optional<std::string> scram_unescape(std::string_view text);

/// The attribute at the start of `message` ("r=…"), which is removed with its comma; nothing when it has another name.
[[nodiscard]] std::optional<std::string_view> take_attribute(std::string_view& message, char name) noexcept;

/// Printable, without comma, not empty. Blanks are let through, against RFC 5802: Couchbase's C++ client has them in
/// its nonces ("0x24 0x45 …"), and servers that share that code may.
[[nodiscard]] bool is_scram_nonce(std::string_view nonce) noexcept;

struct ScramServerFirst {
    std::string_view nonce;
    std::string salt;  ///< decoded
    std::uint32_t iterations = 0;
};
/// Checks all but the nonce. On failure `why` says what is wrong.
[[nodiscard]] std::optional<ScramServerFirst> parse_server_first(std::string_view message, std::string& why);

/// Lower case hex, as CRAM-MD5 wants it; empty when the crypto library has no MD5.
[[nodiscard]] std::string hmac_md5_hex(std::string_view key, std::string_view data);

}  // namespace chaise::protocol
