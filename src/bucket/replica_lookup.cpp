// lookup_in of any copy of a document, or of all of them.

#include "bucket/replica_read.hpp"
#include "bucket/subdocument.hpp"

#include <chaise/detail/bucket_handle.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise::detail {

namespace {

class ReplicaLookup final : public CopiesOf<SubdocResult, LookupReplicaResult> {
public:
    ReplicaLookup(std::string_view key, const LookupSpecs& specs, const CopyChoice& choice, bool quiet)
        : CopiesOf(key, choice, quiet) {
        std::size_t bytes = 0;
        for (std::size_t i = 0; i < specs.size(); ++i) bytes += specs[i].path.size();
        paths_.reserve(bytes);  // what is in it stays where it is
        std::vector<LookupSpec> own;
        for (std::size_t i = 0; i < specs.size(); ++i) {
            LookupSpec& spec = own.emplace_back(specs[i]);
            const std::size_t at = paths_.size();
            paths_ += spec.path;
            spec.path = std::string_view(paths_).substr(at);
        }
        specs_ = LookupSpecs(own);
    }

protected:
    [[nodiscard]] std::string_view capability() const noexcept override { return "subdoc.ReplicaRead"; }
    void ask(Core& core, Slot& whole, std::uint16_t vbucket, std::uint8_t copy, Duration left) override {
        const WireLookup wire(specs_);
        Slot& part = core.add_part(whole, OperationKind::lookup_in, protocol::Opcode::subdoc_multi_lookup);
        part.idempotent = true;
        part.copy = copy;
        part.xattr_specs = wire.xattr_specs;
        protocol::MultiLookupRequest request{.key = about(), .specs = wire.view()};
        if (copy != 0) request.doc_flags = protocol::doc_flag::replica_read;
        request.context.vbucket = vbucket;
        core.submit_by(core.router().route(vbucket, copy), part, left, about(), request);
    }

private:
    std::string paths_;
    LookupSpecs specs_;
};

Slot& start_replica_lookup(Core& core, Collection& collection, OperationKind kind, std::string_view key,
                           const LookupSpecs& specs, const CopyChoice& choice, std::optional<bool> quiet,
                           std::optional<Duration> timeout) {
    Slot& slot = core.acquire(&collection, kind, protocol::Opcode::subdoc_multi_lookup);
    if (!check_couchbase(core, slot, key, "replicas") || !check_key(core, slot, key) ||
        !check_choice(core, slot, key, choice)) {
        return slot;
    }
    if (std::string fault = fault_of(specs); !fault.empty()) {
        core.reject(slot, errc::invalid_argument, key, std::move(fault));
        return slot;
    }
    core.submit_when_open(
        slot, std::make_unique<ReplicaLookup>(key, specs, choice, quiet.value_or(core.settings().quiet)), timeout);
    return slot;
}

}  // namespace

AsyncResult<LookupReplicaResult> BucketHandle::lookup_in_replica(std::string_view key, const LookupSpecs& specs,
                                                                 const LookupInReplicaOptions& options) {
    return AsyncResult<LookupReplicaResult>(&start_replica_lookup(
        *core_, *collection_, OperationKind::lookup_in_replica, key, specs,
        {.index = options.index, .preference = options.read_preference}, options.quiet, options.timeout));
}

AsyncResult<LookupAllReplicasResult> BucketHandle::lookup_in_all_replicas(std::string_view key,
                                                                          const LookupSpecs& specs,
                                                                          const LookupInAllReplicasOptions& options) {
    return AsyncResult<LookupAllReplicasResult>(
        &start_replica_lookup(*core_, *collection_, OperationKind::lookup_in_all_replicas, key, specs,
                              {.preference = options.read_preference, .all = true}, options.quiet, options.timeout));
}

}  // namespace chaise::detail
