#include "tests/unit/engine/script_sasl.hpp"

#include <optional>

namespace chaise::testing {

void ScriptSasl::begin(const Link& link, std::string_view mechanism) {
    const auto password_of = [this](std::string_view name) {
        return name == user_ ? std::optional(password_) : std::nullopt;
    };
    servers_.insert_or_assign(&link, protocol::SaslServer(mechanism, {.password_of = password_of,
                                                                      .nonce = "a-nonce-of-the-server-1234",
                                                                      .salt = "salt-of-16-bytes",
                                                                      .iterations = 4096}));
}

}  // namespace chaise::testing
