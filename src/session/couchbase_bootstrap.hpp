#pragma once

#include "bucket/settings.hpp"
#include "protocol/frame.hpp"
#include "protocol/sasl.hpp"
#include "protocol/session_responses.hpp"

#include <chaise/error.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::detail {

/// What is said on a new connection to a Couchbase node before requests may flow, in two flights (protocol.md 3.2):
/// HELLO, GET_ERROR_MAP, SASL_LIST_MECHS and the first message of the best mechanism; then, when that is answered, the
/// proof of the password with SELECT_BUCKET and GET_CLUSTER_CONFIG behind it. Bytes in, bytes out.
class CouchbaseBootstrap {
public:
    enum class Progress { more, done, failed };

    /// What a connection says of itself, and what is known already.
    struct Identity {
        std::uint64_t client_id = 0;      ///< random, one for all connections of a bucket
        std::uint64_t connection_id = 0;  ///< random, of this connection
        /// Of the map that one has: the node need not send it again.
        std::optional<protocol::ConfigRevision> known_map{};
        /// There are maps from elsewhere: a node that gives none is of use all the same.
        bool maps_elsewhere = false;
        /// PBKDF2 once for all connections; may be null, and must outlive the conversation.
        protocol::ScramKeyCache* keys = nullptr;
    };
    /// `nonce`: printable, without commas, at least 18 characters, used once.
    CouchbaseBootstrap(const Settings& settings, std::string nonce, const Identity& identity);

    /// What to send is appended to `out`.
    [[nodiscard]] Progress start(std::string& out);
    /// Pushes (magic 0x82) are skipped: the map is asked for at the end anyway.
    [[nodiscard]] Progress on_frame(const protocol::Frame& frame, std::string& out);

    // When failed:
    [[nodiscard]] errc error() const noexcept { return error_; }
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
    /// Nothing is wrong with what the user wrote; the same may go well in a while.
    [[nodiscard]] bool temporary() const noexcept { return temporary_; }

    /// What to say when the connection ended, or its bytes made no sense, in the middle: `why` as the transport or the
    /// parser says it, `unparsed` what had arrived and was no frame.
    [[nodiscard]] std::string reason_of_loss(std::string_view why, std::string_view unparsed = {}) const;

    /// The other side has answered HELLO: it is a Couchbase server. One that lets go instead is hardly one.
    [[nodiscard]] bool greeted() const noexcept { return !steps_.empty() && steps_.front().answered; }

    // When done:
    [[nodiscard]] const protocol::FeatureSet& features() const noexcept { return features_; }
    /// Answer to GET_CLUSTER_CONFIG; empty: the known map is the current one.
    [[nodiscard]] const std::string& config() const noexcept { return config_; }
    /// False: it does not know the question.
    [[nodiscard]] bool gives_maps() const noexcept { return gives_maps_; }
    /// Nothing if the node has none that can be read.
    [[nodiscard]] const std::optional<protocol::ErrorMap>& error_map() const noexcept { return error_map_; }
    /// "0123456789abcdef/fedcba9876543210", as the server logs it.
    [[nodiscard]] const std::string& connection_name() const noexcept { return connection_name_; }

private:
    /// A request that was sent, and how it went.
    struct Step {
        protocol::Opcode opcode{};
        bool answered = false;
        bool given_up = false;  ///< its answer no longer matters
    };

    template <class Request>
    void send(std::string& out, protocol::Opcode opcode, Request request);
    Progress fail(errc error, std::string reason, bool temporary = false);
    /// Any failure that has no meaning of its own in this place.
    Progress fail_by_status(const protocol::Frame& frame, std::string_view what);
    Progress begin_sasl(std::string_view mechanism, std::string& out);
    void send_bucket(std::string& out);

    [[nodiscard]] bool wants(protocol::Feature feature) const noexcept;
    Progress on_answer(const protocol::Frame& frame, std::string& out);
    Progress on_hello(const protocol::Frame& frame);
    Progress on_mechanisms(const protocol::Frame& frame, std::string& out);
    Progress on_sasl(const protocol::Frame& frame, std::string& out);
    Progress on_sasl_refused(std::string_view why, std::string& out);
    Progress on_select_bucket(const protocol::Frame& frame);
    Progress on_cluster_config(const protocol::Frame& frame);
    [[nodiscard]] bool all_answered() const noexcept;
    [[nodiscard]] bool temporary_status(protocol::Status status) const noexcept;

    const Settings& settings_;
    std::string nonce_;
    Identity identity_;
    std::string connection_name_;
    std::vector<Step> steps_;  ///< the opaque tells which
    std::optional<protocol::SaslClient> sasl_;
    std::string mechanism_;
    std::optional<std::string> listed_;   ///< mechanisms, as the server lists them
    std::optional<std::string> refused_;  ///< SASL_AUTH failed before the list came: what the server added
    std::optional<std::string> held_;     ///< SASL_STEP's value, to be sent when all else is answered
    bool second_mechanism_ = false;
    bool bucket_sent_ = false;
    bool told_known_map_ = false;
    bool gives_maps_ = true;
    bool authenticated_ = false;
    protocol::FeatureSet features_;
    std::optional<protocol::ErrorMap> error_map_;
    std::string config_;
    errc error_ = errc::success;
    std::string reason_;
    bool temporary_ = false;
};

}  // namespace chaise::detail
