#pragma once

// Documents whose copies differ, so that it shows whose it is.

#include "tests/unit/engine/cluster_fixture.hpp"

#include <memory>
#include <string>
#include <vector>

namespace chaise::testing {

/// n1, n2, n3; the replicas of n1's vbuckets are on n2 and n3.
struct Copies : ClusterFixture {
    explicit Copies(ScriptMap map = ScriptMap::replicated({"n1", "n2", "n3"}, 2), BucketOptions options = {});
    ~Copies();
    /// The copies differ, so that it shows whose it is.
    void fill();
    struct Any : Outcome {
        bool is_replica = false;
    };
    Any& any(GetReplicaOptions options = {});
    struct All : Outcome {
        std::vector<std::string> values;  ///< sorted; a replica's with a star
    };
    All& all(GetAllReplicasOptions options = {});
    [[nodiscard]] std::size_t replica_reads(const std::string& host) const;

    std::string key;
    std::vector<std::unique_ptr<Any>> books;
    std::vector<std::unique_ptr<All>> lists;
};

}  // namespace chaise::testing
