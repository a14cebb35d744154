#pragma once

// A document on three scripted nodes, and who has persisted it.

#include "tests/unit/engine/cluster_fixture.hpp"

#include <chaise/durability.hpp>
#include <chaise/multi.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace chaise::testing {

/// OBSERVE_SEQNO's answer, format 0.
std::string seqno_answer(std::uint16_t vbucket, std::uint64_t uuid, std::uint64_t persisted, std::uint64_t current);
/// Format 1: a failover since.
std::string failover_answer(std::uint16_t vbucket, std::uint64_t old, std::uint64_t last, std::uint64_t current);

/// n1, n2, n3, each vbucket with two replicas.
struct Endured : ClusterFixture {
    explicit Endured(ScriptMap map = ScriptMap::replicated({"n1", "n2", "n3"}, 2));
    ~Endured();
    using Where = std::optional<protocol::ObserveState>;
    /// The document on its active node and its replicas.
    void put(Where active, Where first, Where second, Cas cas = 5);
    struct Book : Outcome {
        OperationResult result;
    };
    Book& book(AsyncResult<OperationResult> operation);
    Book& endure(EndureOptions options);
    struct Many : Outcome {
        MultiResult<OperationResult> all;
    };
    template <class Range>
    Many& endure_all(const Range& range, EndureMultiOptions options = {}) {
        return follow(bucket->endure_multi(range, options));
    }
    Many& follow(AsyncResult<MultiResult<OperationResult>> operation);

    std::string key;
    std::vector<std::unique_ptr<Book>> books;
    std::vector<std::unique_ptr<Many>> lists;
};

}  // namespace chaise::testing
