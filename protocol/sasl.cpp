#include "protocol/sasl.hpp"

#include <array>

namespace chaise::protocol {

namespace {

constexpr char sep = '\x01';
constexpr std::string_view bearer = "auth=Bearer ";

struct MechanismName {
    std::string_view name;
    SaslMechanism mechanism;
};

constexpr std::array mechanism_names = {
    MechanismName{"PLAIN", SaslMechanism::plain},
    MechanismName{"CRAM-MD5", SaslMechanism::cram_md5},
    MechanismName{"SCRAM-SHA1", SaslMechanism::scram_sha1},
    MechanismName{"SCRAM-SHA-1", SaslMechanism::scram_sha1},
    MechanismName{"SCRAM-SHA256", SaslMechanism::scram_sha256},
    MechanismName{"SCRAM-SHA-256", SaslMechanism::scram_sha256},
    MechanismName{"SCRAM-SHA512", SaslMechanism::scram_sha512},
    MechanismName{"SCRAM-SHA-512", SaslMechanism::scram_sha512},
    MechanismName{"OAUTHBEARER", SaslMechanism::oauthbearer},
};

// 0: never.
int rank(SaslMechanism mechanism, SaslPolicy policy) noexcept {
    switch (mechanism) {
        case SaslMechanism::scram_sha512:
            return 5;
        case SaslMechanism::scram_sha256:
            return 4;
        case SaslMechanism::scram_sha1:
            return 3;
        case SaslMechanism::cram_md5:
            return 2;
        case SaslMechanism::plain:
            return policy.tls ? 6 : policy.allow_plain ? 1 : 0;
        case SaslMechanism::oauthbearer:
            return 0;
    }
    return 0;
}

}  // namespace

std::optional<SaslMechanism> sasl_mechanism(std::string_view name) noexcept {
    for (const MechanismName& entry : mechanism_names)
        if (entry.name == name) return entry.mechanism;
    return std::nullopt;
}

std::string_view choose_mechanism(std::string_view listed, SaslPolicy policy) noexcept {
    std::string_view best;
    int best_rank = 0;
    while (!listed.empty()) {
        const std::string_view name = listed.substr(0, listed.find(' '));
        listed.remove_prefix(name.size() < listed.size() ? name.size() + 1 : name.size());
        const auto mechanism = sasl_mechanism(name);
        const int its_rank = mechanism ? rank(*mechanism, policy) : 0;
        if (its_rank <= best_rank) continue;
        best = name;
        best_rank = its_rank;
    }
    return best;
}

std::string plain_message(std::string_view authzid, std::string_view authcid, std::string_view password) {
    std::string message(authzid);
    ((message += '\0') += authcid) += '\0';
    return message += password;
}

std::optional<PlainCredentials> parse_plain_message(std::string_view message) noexcept {
    const std::size_t first = message.find('\0');
    if (first == std::string_view::npos) return std::nullopt;
    const std::size_t second = message.find('\0', first + 1);
    if (second == std::string_view::npos || message.find('\0', second + 1) != std::string_view::npos)
        return std::nullopt;
    return PlainCredentials{message.substr(0, first), message.substr(first + 1, second - first - 1),
                            message.substr(second + 1)};
}

std::string oauthbearer_message(std::string_view user, std::string_view token) {
    std::string message = user.empty() ? "n,," : "n,a=" + scram_escape(user) + ",";
    ((message += sep) += bearer) += token;
    (message += sep) += sep;
    return message;
}

std::optional<OauthbearerCredentials> parse_oauthbearer_message(std::string_view message) {
    OauthbearerCredentials credentials;
    const std::size_t header = message.find(sep);
    if (header == std::string_view::npos || !message.starts_with("n,")) return std::nullopt;
    std::string_view identity = message.substr(2, header - 2);
    if (identity != ",") {
        const auto user = take_attribute(identity, 'a');
        auto name = user && identity.empty() && message[header - 1] == ',' ? scram_unescape(*user) : std::nullopt;
        if (!name) return std::nullopt;
        credentials.user = std::move(*name);
    }
    message.remove_prefix(header + 1);
    if (!message.starts_with(bearer)) return std::nullopt;
    message.remove_prefix(bearer.size());
    const std::size_t end = message.find(sep);
    if (end == std::string_view::npos || message.substr(end) != std::string_view("\x01\x01")) return std::nullopt;
    credentials.token = message.substr(0, end);
    return credentials;
}

}  // namespace chaise::protocol
