#pragma once

#include "tests/unit/engine/script_cluster.hpp"
#include "tests/unit/engine/session_fixture.hpp"

#include <cstddef>
#include <string_view>

namespace chaise::testing {

/// A bucket on a scripted cluster.
struct ClusterFixture : Fixture {
    static BucketOptions signed_in(BucketOptions options);
    explicit ClusterFixture(ScriptMap map = ScriptMap::spread({"n1", "n2", "n3"}),
                            std::string_view where = "couchbase://n1", BucketOptions options = {});
    ~ClusterFixture();

    /// How many requests of that kind came, to any node or to this one.
    [[nodiscard]] std::size_t asked(protocol::Opcode opcode, std::string_view node = {}) const;
    /// Nothing is left when all that was held is answered.
    void check_clean(std::size_t operations = 0);

    ScriptCluster cluster;
};

}  // namespace chaise::testing
