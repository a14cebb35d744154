#include "tests/unit/engine/cluster_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <utility>

namespace chaise::testing {

BucketOptions ClusterFixture::signed_in(BucketOptions options) {
    if (options.username.empty()) options.username = "me";
    if (options.password.empty()) options.password = "secret";
    return options;
}

ClusterFixture::ClusterFixture(ScriptMap map, std::string_view where, BucketOptions options)
    : Fixture(signed_in(options), where), cluster(loop, std::move(map)) {}

ClusterFixture::~ClusterFixture() { bucket.reset(); }

std::size_t ClusterFixture::asked(protocol::Opcode opcode, std::string_view node) const {
    return static_cast<std::size_t>(std::count_if(cluster.seen.begin(), cluster.seen.end(), [&](const auto& one) {
        return one.opcode == opcode && (node.empty() || one.node == node);
    }));
}

void ClusterFixture::check_clean(std::size_t operations) {
    for (auto& [host, node] : cluster.nodes()) node.hold = false;
    cluster.answer_all();
    loop.run();
    CHECK(bucket->operations() == operations);
    CHECK(unobserved.empty());
}

}  // namespace chaise::testing
