#include "protocol/base64.hpp"
#include "protocol/sasl.hpp"

namespace chaise::protocol {

namespace {

bool has_nul(std::string_view text) noexcept { return text.find('\0') != std::string_view::npos; }

ScramHash hash_of(SaslMechanism mechanism) noexcept {
    if (mechanism == SaslMechanism::scram_sha512) return ScramHash::sha512;
    return mechanism == SaslMechanism::scram_sha256 ? ScramHash::sha256 : ScramHash::sha1;
}

SaslResult send(std::string data) { return {SaslResult::Kind::send, std::move(data)}; }
SaslResult done() { return {SaslResult::Kind::done, {}}; }

// "n,," says: no channel binding, no other identity. "biws" is its base64.
constexpr std::string_view gs2_header = "n,,";
constexpr std::string_view channel_binding = "c=biws";

}  // namespace

SaslClient::SaslClient(std::string_view mechanism, std::string_view user, std::string_view password,
                       std::string_view nonce, ScramKeyCache* cache)
    : name_(mechanism),
      user_(user),
      password_(password),
      nonce_(nonce),
      cache_(cache),
      mechanism_(sasl_mechanism(mechanism)) {
    if (mechanism_) hash_ = hash_of(*mechanism_);
}

SaslResult SaslClient::fail(std::string why) {
    state_ = State::over;
    return {SaslResult::Kind::failed, std::move(why)};
}

SaslResult SaslClient::start() {
    if (!mechanism_) return fail("SASL mechanism " + name_ + " is not known");
    if (state_ != State::idle) return fail("this SASL conversation has begun already");
    if (has_nul(user_) || has_nul(password_)) return fail("user and password must not contain NUL");
    switch (*mechanism_) {
        case SaslMechanism::plain:
            state_ = State::sent_all;
            return send(plain_message({}, user_, password_));
        case SaslMechanism::oauthbearer:
            state_ = State::sent_all;
            return send(oauthbearer_message(user_, password_));
        case SaslMechanism::cram_md5:
            state_ = State::cram_challenge;
            return send({});
        case SaslMechanism::scram_sha1:
        case SaslMechanism::scram_sha256:
        case SaslMechanism::scram_sha512:
            break;
    }
    if (!is_scram_nonce(nonce_)) return fail("the client's nonce must be printable and without commas");
    client_first_bare_ = "n=" + scram_escape(user_) + ",r=" + nonce_;
    state_ = State::server_first;
    return send(std::string(gs2_header) + client_first_bare_);
}

SaslResult SaslClient::step(Status status, std::string_view data) {
    if (status != Status::success && status != Status::auth_continue)
        return fail("the server refused the credentials (" + std::string(protocol::name(status)) + ")" +
                    (data.empty() ? "" : ": " + std::string(data)));
    const bool more = status == Status::auth_continue;
    switch (state_) {
        case State::sent_all:
            if (more) return fail("the server asks for more than " + name_ + " has to say");
            state_ = State::over;
            return done();
        case State::cram_challenge:
            if (!more) return fail("the server accepted CRAM-MD5 without a challenge");
            if (std::string digest = hmac_md5_hex(password_, data); !digest.empty()) {
                state_ = State::sent_all;
                return send(user_ + ' ' + digest);
            }
            return fail("HMAC-MD5 is not available");
        case State::server_first:
            if (!more) return fail("the server accepted " + name_ + " before the password was proven");
            return on_server_first(data);
        case State::server_final:
            return on_server_final(status, data);
        case State::confirmed:
            if (more) return fail("the server goes on after the end of " + name_);
            state_ = State::over;
            return done();
        case State::idle:
        case State::over:
            break;
    }
    return fail("no SASL conversation is going on");
}

SaslResult SaslClient::on_server_first(std::string_view data) {
    std::string why;
    const auto first = parse_server_first(data, why);
    if (!first) return fail(std::move(why));
    if (!first->nonce.starts_with(nonce_) || first->nonce.size() == nonce_.size())
        return fail("the server's nonce does not continue the client's");
    const std::string salted = cache_ != nullptr
                                   ? cache_->salted_password(hash_, password_, first->salt, first->iterations)
                                   : scram_salted_password(hash_, password_, first->salt, first->iterations);
    const std::string without_proof = std::string(channel_binding) + ",r=" + std::string(first->nonce);
    const auto proof = scram_proof(hash_, salted, client_first_bare_ + ',' + std::string(data) + ',' + without_proof);
    if (!proof) return fail("the crypto library failed");
    server_signature_ = proof->server_signature;
    state_ = State::server_final;
    return send(without_proof + ",p=" + base64_encode(proof->client_proof));
}

SaslResult SaslClient::on_server_final(Status status, std::string_view data) {
    if (data.starts_with("e=")) return fail("the server says " + std::string(data.substr(2)));
    const auto text = take_attribute(data, 'v');
    const auto signature = text ? base64_decode(*text) : std::nullopt;
    if (!signature) return fail("the server did not sign its answer");
    if (!equal_in_constant_time(*signature, server_signature_)) return fail("the server's signature is wrong");
    if (status == Status::success) {
        state_ = State::over;
        return done();
    }
    // Cyrus: the signature comes as a challenge, and wants an empty answer.
    state_ = State::confirmed;
    return send({});
}

}  // namespace chaise::protocol
