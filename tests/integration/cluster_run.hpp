#pragma once

// Tests against a Couchbase cluster: a LocalCluster on the test's own loop, or any other one that the environment
// names: CHAISE_TEST_CONNSTR, CHAISE_TEST_USER, CHAISE_TEST_PASSWORD, CHAISE_TEST_BUCKET. There each test says what it
// skips.

#include <chaise/testing/local_cluster.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/answers_at_once.hpp"
#include "tests/support/code_of.hpp"
#include "tests/support/run.hpp"

namespace chaise::testing {

/// How a cluster is reached.
struct ClusterAccess {
    std::string connection_string;
    std::string user = "Administrator";
    std::string password = "password";
    std::string bucket = "default";

    [[nodiscard]] BucketOptions with(BucketOptions options = {}) const;
};

/// The cluster that the environment names, if it does.
const std::optional<ClusterAccess>& other_cluster();

/// Against another cluster this part of the test is left out, and says so: `if (skipped_elsewhere("why")) return;`
[[nodiscard]] bool skipped_elsewhere(const char* why);

/// A loop, a cluster, and a bucket on it.
class ClusterRun {
public:
    explicit ClusterRun(const LocalClusterOptions& cluster = {}, const BucketOptions& options = {});
    ~ClusterRun();
    ClusterRun(const ClusterRun&) = delete;
    ClusterRun& operator=(const ClusterRun&) = delete;

    /// Runs `body(*this)`, a coroutine, until it ends. Elsewhere it then removes what `key` has named.
    template <class F>
    void operator()(const F& body) {
        const auto whole = [&]() -> Task<> {
            co_await body(*this);
            if (!local_) co_await clean();
        };
        spawn(loop, whole());
        loop.run();
    }

    /// A key that nobody else uses.
    [[nodiscard]] std::string key(std::string_view name);
    [[nodiscard]] AsyncBucket& bucket() { return *bucket_; }
    /// Null elsewhere.
    [[nodiscard]] LocalCluster* local() { return local_ ? &*local_ : nullptr; }
    /// For tests that run on a LocalCluster only.
    [[nodiscard]] LocalCluster& cluster() { return local_.value(); }
    [[nodiscard]] Sleep sleep(Duration time) { return Sleep(*iops, time); }

    EpollLoop loop;
    std::unique_ptr<IOPS> iops;
    ClusterAccess access;

private:
    Task<> clean();

    std::string prefix_;
    std::vector<std::string> keys_;
    std::optional<LocalCluster> local_;
    std::optional<AsyncBucket> bucket_;
};

/// The same with 1, 2 and 4 nodes; elsewhere once, with what is there.
template <class F>
void on_clusters(const BucketOptions& options, const F& body) {
    if (other_cluster()) {
        ClusterRun run({}, options);
        run(body);
        return;
    }
    for (const std::size_t nodes : {1u, 2u, 4u}) {
        CAPTURE(nodes);
        ClusterRun run({.nodes = nodes, .replicas = nodes > 1 ? 1u : 0u}, options);
        run(body);
    }
}
template <class F>
void on_clusters(const F& body) {
    on_clusters(BucketOptions{}, body);
}

}  // namespace chaise::testing
