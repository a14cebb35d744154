#pragma once

// The conversation behind make_kv_conversation().

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/kv/node.hpp"
#include "cluster/net/conversation.hpp"
#include "protocol/feature.hpp"
#include "protocol/request_decoder.hpp"
#include "protocol/response_encoder.hpp"
#include "protocol/sasl.hpp"
#include "protocol/subdocument_decoder.hpp"

namespace chaise::testing {

class KvConnection final : public Conversation, private ConfigWatcher, private SyncWriteListener {
public:
    KvConnection(KvNode& node, Outlet& outlet);
    KvConnection(const KvConnection&) = delete;
    KvConnection& operator=(const KvConnection&) = delete;
    ~KvConnection() override;

    std::size_t on_bytes(std::string_view bytes) override;

private:
    using Status = protocol::Status;
    using Opcode = protocol::Opcode;
    using Feature = protocol::Feature;

    /// What an answer needs to know of its request.
    struct Origin {
        Opcode opcode{};
        std::uint32_t opaque = 0;
        TimePoint start{};
        bool returns_value = false;  ///< of a write: GAT
        bool counter = false;
        Status success = Status::success;  // of a sub-document mutation
        std::uint8_t datatype = protocol::datatype::raw;
        std::string value{};
    };
    /// One request under execution.
    struct Command {
        const protocol::Frame& frame;
        Origin origin;
        KvTime time;
        std::string_view key{};  ///< with the collection prefix
        VBucket* vbucket = nullptr;
        WriteOptions write{};
    };
    struct Answer {
        Status status = Status::success;
        std::uint64_t cas = 0;
        std::uint8_t datatype = protocol::datatype::raw;
        std::string_view extras{};
        std::string_view key{};
        std::string_view value{};
    };

    // ---- the flow -----------------------------------------------------------------------------------------------
    [[nodiscard]] bool may_start(const protocol::Frame& frame) const noexcept;
    void execute(const protocol::Frame& frame);
    void dispatch(Command& command);
    /// On a memcached bucket.
    [[nodiscard]] bool on_memcached_bucket() const noexcept;
    void answer(const Origin& origin, const Answer& answer);
    void succeed(const Command& command) { answer(command.origin, {}); }
    /// With the error context that a client with XERROR gets; the status degraded for one without.
    void fail(const Origin& origin, Status status, std::string_view context = {}, bool manifest = false);
    void refuse(const Command& command, protocol::RequestError error) {
        fail(command.origin, Status::einval, name(error));
    }
    void not_my_vbucket(const Command& command);
    void flush_output();
    void close();
    void on_config(const std::string& bucket) override;
    void on_sync_write(std::uint64_t ticket, const KvOutcome& outcome) override;
    void tell_outcomes();

    // ---- the connection -------------------------------------------------------------------------------------------
    void hello(Command& command);
    void sasl(Command& command);
    void sasl_reply(const Command& command, const protocol::SaslServer::Reply& reply);
    void select_bucket(Command& command);
    void get_cluster_config(Command& command);
    void get_error_map(Command& command);
    void list_buckets(Command& command);
    void collection_id(Command& command);
    void scope_id(Command& command);
    void stat(Command& command);
    [[nodiscard]] bool may_use(std::string_view bucket) const noexcept;
    void push_config(std::string_view bucket);

    // ---- documents ------------------------------------------------------------------------------------------------
    [[nodiscard]] bool frame_infos(Command& command);
    /// Checks what all data commands have in common; false: it is answered.
    [[nodiscard]] bool locate(Command& command, const protocol::RequestContext& context, VBucketState state);
    [[nodiscard]] std::uint32_t expiry(const Command& command, std::uint32_t wire) const;
    void get(Command& command);
    void store(Command& command);
    void concat(Command& command);
    void remove(Command& command);
    void counter(Command& command);
    void touch(Command& command);
    void get_and_touch(Command& command);
    void get_locked(Command& command);
    void unlock(Command& command);
    void get_meta(Command& command);
    void subdocument(Command& command);
    void subdocument_lookup(Command& command, const protocol::DecodedSubdoc& request);
    void subdocument_mutation(Command& command, const protocol::DecodedSubdoc& request);
    void send_document(const Origin& origin, const KvOutcome& outcome, std::string_view key = {});
    void finish(const Command& command, const KvOutcome& outcome);
    void finish(const Origin& origin, const KvOutcome& outcome);

    // ---- vbuckets -------------------------------------------------------------------------------------------------
    void observe(Command& command);
    void observe_seqno(Command& command);
    void seqno_persistence(Command& command);
    void failover_log(Command& command);
    void all_seqnos(Command& command);
    void random_key(Command& command);

    [[nodiscard]] bool has(Feature feature) const noexcept { return features_.contains(feature); }
    [[nodiscard]] protocol::RequestDecodeOptions decoding() const noexcept { return {has(Feature::collections)}; }
    [[nodiscard]] std::uint8_t datatype_out(std::uint8_t datatype) const noexcept;
    [[nodiscard]] std::uint8_t json_datatype() const noexcept;
    [[nodiscard]] std::string random_hex(std::size_t words);

    KvNode& node_;
    Outlet& outlet_;
    protocol::FeatureSet features_;
    std::string agent_;
    std::optional<protocol::SaslServer> sasl_;
    std::string mechanism_;                         // of sasl_
    std::string user_;                              // empty: not authenticated
    std::string bucket_;                            // empty: none
    std::optional<protocol::ConfigRevision> seen_;  // newest map that was sent for bucket_
    std::string out_;
    std::string scratch_;   // a key that gets its prefix here
    std::string inflated_;  // what a client without Snappy is sent
    std::map<std::uint64_t, Origin> pending_;
    std::vector<std::pair<std::uint64_t, KvOutcome>> outcomes_;
    std::unique_ptr<TimerEvent> timer_;
    std::uint32_t pushes_ = 0;
    bool refused_ = false;  // bytes wait until nothing is pending
    bool closing_ = false;
};

}  // namespace chaise::testing
