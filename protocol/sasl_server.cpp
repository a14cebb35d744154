#include "protocol/base64.hpp"
#include "protocol/sasl.hpp"

namespace chaise::protocol {

SaslServer::SaslServer(std::string_view mechanism, SaslServerOptions options)
    : options_(std::move(options)), mechanism_(sasl_mechanism(mechanism)) {
    if (mechanism_ == SaslMechanism::scram_sha256) hash_ = ScramHash::sha256;
    if (mechanism_ == SaslMechanism::scram_sha512) hash_ = ScramHash::sha512;
}

SaslServer::Reply SaslServer::refuse() {
    state_ = State::over;
    return {Status::auth_error, {}};
}

SaslServer::Reply SaslServer::check_password(std::string_view user, std::string_view password) {
    const auto expected = options_.password_of(user);
    if (!expected || !equal_in_constant_time(*expected, password)) return refuse();
    user_ = user;
    state_ = State::over;
    return {Status::success, {}};
}

SaslServer::Reply SaslServer::step(std::string_view data) {
    if (!mechanism_) return refuse();
    switch (state_) {
        case State::start:
            break;
        case State::cram_answer:
            return on_cram_answer(data);
        case State::client_final:
            return on_client_final(data);
        case State::confirm:
            state_ = State::over;
            return {data.empty() ? Status::success : Status::auth_error, {}};
        case State::over:
            return refuse();
    }
    switch (*mechanism_) {
        case SaslMechanism::plain: {
            const auto credentials = parse_plain_message(data);
            return credentials ? check_password(credentials->authcid, credentials->password) : refuse();
        }
        case SaslMechanism::oauthbearer: {
            const auto credentials = parse_oauthbearer_message(data);
            return credentials ? check_password(credentials->user, credentials->token) : refuse();
        }
        case SaslMechanism::cram_md5:
            if (!data.empty()) return refuse();
            state_ = State::cram_answer;
            return {Status::auth_continue, options_.nonce};
        case SaslMechanism::scram_sha1:
        case SaslMechanism::scram_sha256:
        case SaslMechanism::scram_sha512:
            break;
    }
    return on_client_first(data);
}

SaslServer::Reply SaslServer::on_cram_answer(std::string_view data) {
    const std::size_t space = data.rfind(' ');
    if (space == std::string_view::npos) return refuse();
    const auto password = options_.password_of(data.substr(0, space));
    if (!password) return refuse();
    const std::string digest = hmac_md5_hex(*password, options_.nonce);
    if (digest.empty() || !equal_in_constant_time(digest, data.substr(space + 1))) return refuse();
    user_ = data.substr(0, space);
    state_ = State::over;
    return {Status::success, {}};
}

SaslServer::Reply SaslServer::on_client_first(std::string_view data) {
    // "y,,": the client could do channel binding and believes that we cannot, which is right. "p=…": we cannot.
    if (!data.starts_with("n,,") && !data.starts_with("y,,")) return refuse();
    gs2_header_ = data.substr(0, 3);
    client_first_bare_ = data.substr(3);
    std::string_view rest = client_first_bare_;
    const auto name = take_attribute(rest, 'n');
    auto user = name ? scram_unescape(*name) : std::nullopt;
    const auto nonce = take_attribute(rest, 'r');
    if (!user || !nonce || !is_scram_nonce(*nonce)) return refuse();
    auto password = options_.password_of(*user);
    if (!password) return refuse();
    user_ = std::move(*user);
    password_ = std::move(*password);
    nonce_ = std::string(*nonce) + options_.nonce;
    server_first_ = "r=" + nonce_ + ",s=" + base64_encode(options_.salt) + ",i=" + std::to_string(options_.iterations);
    state_ = State::client_final;
    return {Status::auth_continue, server_first_};
}

SaslServer::Reply SaslServer::on_client_final(std::string_view data) {
    const std::size_t proof_at = data.rfind(",p=");
    if (proof_at == std::string_view::npos) return refuse();
    const std::string_view without_proof = data.substr(0, proof_at);
    const auto proof = base64_decode(data.substr(proof_at + 3));
    if (!proof || without_proof != "c=" + base64_encode(gs2_header_) + ",r=" + nonce_) return refuse();
    const std::string salted =
        options_.keys != nullptr ? options_.keys->salted_password(hash_, password_, options_.salt, options_.iterations)
                                 : scram_salted_password(hash_, password_, options_.salt, options_.iterations);
    const auto expected =
        scram_proof(hash_, salted, client_first_bare_ + ',' + server_first_ + ',' + std::string(without_proof));
    if (!expected) return refuse();
    // As a server would that stores only the stored key: the proof must give back the client key.
    const std::string client_key = scram_xor(*proof, expected->client_signature);
    if (proof->size() != digest_size(hash_) ||
        !equal_in_constant_time(scram_digest(hash_, client_key), expected->stored_key))
        return refuse();
    state_ = options_.cyrus ? State::confirm : State::over;
    return {options_.cyrus ? Status::auth_continue : Status::success, "v=" + base64_encode(expected->server_signature)};
}

}  // namespace chaise::protocol
