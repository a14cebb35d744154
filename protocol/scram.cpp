#include "protocol/scram.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "protocol/base64.hpp"

namespace chaise::protocol {

namespace {

constexpr std::size_t cache_capacity = 64;

const EVP_MD* algorithm(ScramHash hash) noexcept {
    switch (hash) {
        case ScramHash::sha1:
            return EVP_sha1();
        case ScramHash::sha256:
            return EVP_sha256();
        case ScramHash::sha512:
            return EVP_sha512();
    }
    return nullptr;
}

// The library takes bytes as unsigned char; these two casts are all that is between.
const unsigned char* bytes(std::string_view text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) noexcept { return reinterpret_cast<unsigned char*>(text.data()); }

std::string hmac(const EVP_MD* md, std::string_view key, std::string_view data) {
    std::string out(EVP_MAX_MD_SIZE, '\0');
    unsigned int size = 0;
    if (HMAC(md, key.data(), static_cast<int>(key.size()), bytes(data), data.size(), bytes(out), &size) == nullptr)
        return {};
    out.resize(size);
    return out;
}

void append_field(std::string& to, std::string_view field) { (to += std::to_string(field.size()) += ':') += field; }

}  // namespace

std::size_t digest_size(ScramHash hash) noexcept {
    switch (hash) {
        case ScramHash::sha1:
            return 20;
        case ScramHash::sha256:
            return 32;
        case ScramHash::sha512:
            return 64;
    }
    return 0;
}

std::string scram_salted_password(ScramHash hash, std::string_view password, std::string_view salt,
                                  std::uint32_t iterations) {
    std::string out(digest_size(hash), '\0');
    if (PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes(salt),
                          static_cast<int>(salt.size()), static_cast<int>(iterations), algorithm(hash),
                          static_cast<int>(out.size()), bytes(out)) != 1)
        return {};
    return out;
}

std::string ScramKeyCache::salted_password(ScramHash hash, std::string_view password, std::string_view salt,
                                           std::uint32_t iterations) {
    std::string key = std::to_string(static_cast<int>(hash)) + ',' + std::to_string(iterations) + ',';
    append_field(key, salt);
    append_field(key, password);
    std::string id = scram_digest(ScramHash::sha256, key);
    OPENSSL_cleanse(key.data(), key.size());
    if (const auto found = entries_.find(id); found != entries_.end()) return found->second.salted;
    ++computed_;
    std::string salted = scram_salted_password(hash, password, salt, iterations);
    if (salted.empty() || id.empty()) return salted;
    if (entries_.size() >= cache_capacity) {
        const auto oldest = std::min_element(entries_.begin(), entries_.end(),
                                             [](const auto& a, const auto& b) { return a.second.age < b.second.age; });
        entries_.erase(oldest);
    }
    entries_.emplace(std::move(id), Entry{salted, computed_});
    return salted;
}

std::string scram_digest(ScramHash hash, std::string_view data) {
    std::string out(digest_size(hash), '\0');
    unsigned int size = 0;
    if (EVP_Digest(data.data(), data.size(), bytes(out), &size, algorithm(hash), nullptr) != 1) return {};
    return out;
}

std::string scram_xor(std::string_view a, std::string_view b) {
    std::string out(std::min(a.size(), b.size()), '\0');
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(a[i] ^ b[i]);
    return out;
}

std::optional<ScramProof> scram_proof(ScramHash hash, std::string_view salted_password, std::string_view auth_message) {
    const EVP_MD* md = algorithm(hash);
    ScramProof proof;
    proof.client_key = hmac(md, salted_password, "Client Key");
    proof.stored_key = scram_digest(hash, proof.client_key);
    proof.client_signature = hmac(md, proof.stored_key, auth_message);
    proof.client_proof = scram_xor(proof.client_key, proof.client_signature);
    proof.server_key = hmac(md, salted_password, "Server Key");
    proof.server_signature = hmac(md, proof.server_key, auth_message);
    if (proof.client_proof.size() != digest_size(hash) || proof.server_signature.size() != digest_size(hash))
        return std::nullopt;
    return proof;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string scram_escape(std::string_view name) {
    std::string out;
    for (const char c : name) {
        if (c == '=')
            out += "=3D";
        else if (c == ',')
            out += "=2C";
        else
            out += c;
    }
    return out;
}

std::optional<std::string> scram_unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '=') {
            out += text[i];
            continue;
        }
        const std::string_view code = text.substr(i + 1, 2);
        if (code != "3D" && code != "2C") return std::nullopt;
        out += code == "3D" ? '=' : ',';
        i += 2;
    }
    return out;
}

std::optional<std::string_view> take_attribute(std::string_view& message, char name) noexcept {
    if (message.size() < 2 || message[0] != name || message[1] != '=') return std::nullopt;
    const std::size_t end = message.find(',');
    const std::string_view value = message.substr(2, end == std::string_view::npos ? end : end - 2);
    message.remove_prefix(end == std::string_view::npos ? message.size() : end + 1);
    return value;
}

bool is_scram_nonce(std::string_view nonce) noexcept {
    return !nonce.empty() &&
           std::all_of(nonce.begin(), nonce.end(), [](char c) { return c >= ' ' && c <= '~' && c != ','; });
}

std::optional<ScramServerFirst> parse_server_first(std::string_view message, std::string& why) {
    const auto refuse = [&why](const char* text) {
        why = text;
        return std::nullopt;
    };
    if (message.starts_with("m=")) return refuse("the server demands an extension that is not known");
    if (message.starts_with("e=")) {
        why = "the server says " + std::string(message.substr(2));
        return std::nullopt;
    }
    ScramServerFirst first;
    const auto nonce = take_attribute(message, 'r');
    if (!nonce || !is_scram_nonce(*nonce)) return refuse("the server's first message has no nonce");
    first.nonce = *nonce;
    const auto salt_text = take_attribute(message, 's');
    auto salt = salt_text ? base64_decode(*salt_text) : std::nullopt;
    if (!salt || salt->empty()) return refuse("the server's first message has no salt");
    first.salt = std::move(*salt);
    const auto count = take_attribute(message, 'i');
    if (!count) return refuse("the server's first message has no iteration count");
    const auto end = std::from_chars(count->data(), count->data() + count->size(), first.iterations);
    if (end.ec != std::errc{} || end.ptr != count->data() + count->size())
        return refuse("the server's iteration count is no number");
    if (first.iterations < min_scram_iterations) return refuse("the server's iteration count is too low");
    if (first.iterations > max_scram_iterations) return refuse("the server's iteration count is too high");
    return first;
}

std::string hmac_md5_hex(std::string_view key, std::string_view data) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string hex;
    for (const char c : hmac(EVP_md5(), key, data)) {
        hex += digits[static_cast<unsigned char>(c) >> 4];
        hex += digits[static_cast<unsigned char>(c) & 15u];
    }
    return hex;
}

}  // namespace chaise::protocol
