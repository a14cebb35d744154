#pragma once

// SASL as the scripted servers speak it: one conversation for each connection.

#include "protocol/sasl.hpp"

#include <map>
#include <string>
#include <string_view>

namespace chaise::testing {

struct Link;

class ScriptSasl {
public:
    /// The one user there is; both must outlive it, and may change.
    ScriptSasl(const std::string& user, const std::string& password) : user_(user), password_(password) {}

    /// SASL_AUTH names a mechanism: what the connection said before is forgotten.
    void begin(const Link& link, std::string_view mechanism);
    /// What comes of the data of SASL_AUTH, or of SASL_STEP.
    [[nodiscard]] auto step(const Link& link, std::string_view data) { return servers_.at(&link).step(data); }

private:
    const std::string& user_;
    const std::string& password_;
    std::map<const Link*, protocol::SaslServer> servers_;
};

}  // namespace chaise::testing
