#pragma once

// Tests against a Couchbase cluster: a LocalCluster on the test's own loop, or any other one that the environment
// names: CHAISE_TEST_CONNSTR, CHAISE_TEST_USER, CHAISE_TEST_PASSWORD, CHAISE_TEST_BUCKET. There each test says what it
// skips.

#include <chaise/testing/local_cluster.hpp>

#include <catch2/catch.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
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

    [[nodiscard]] BucketOptions with(BucketOptions options = {}) const {
        options.bucket = bucket;
        options.username = user;
        options.password = password;
        if (!options.retry_strategy) options.retry_strategy = AnswersAtOnce::instance();
        return options;
    }
};

/// The cluster that the environment names, if it does.
inline const std::optional<ClusterAccess>& other_cluster() {
    static const std::optional<ClusterAccess> other = []() -> std::optional<ClusterAccess> {
        const char* where = std::getenv("CHAISE_TEST_CONNSTR");
        if (!where || !*where) return std::nullopt;
        ClusterAccess access{.connection_string = where};
        if (const char* user = std::getenv("CHAISE_TEST_USER")) access.user = user;
        if (const char* password = std::getenv("CHAISE_TEST_PASSWORD")) access.password = password;
        if (const char* bucket = std::getenv("CHAISE_TEST_BUCKET")) access.bucket = bucket;
        return access;
    }();
    return other;
}

/// Against another cluster this part of the test is left out, and says so: `if (skipped_elsewhere("why")) return;`
[[nodiscard]] inline bool skipped_elsewhere(const char* why) {
    if (!other_cluster()) return false;
    std::printf("skipped on %s: \"%s\": %s\n", other_cluster()->connection_string.c_str(),
                Catch::getResultCapture().getCurrentTestName().c_str(), why);
    return true;
}

/// A loop, a cluster, and a bucket on it.
class ClusterRun {
public:
    explicit ClusterRun(const LocalClusterOptions& cluster = {}, const BucketOptions& options = {})
        : iops(loop.make_iops()) {
        if (other_cluster()) {
            access = *other_cluster();
            prefix_ = "chaise-test:" + std::to_string(getpid()) + ':' + std::to_string(std::random_device()()) + ':';
        } else {
            local_.emplace(loop, cluster);
            access = {local_->connection_string(), cluster.username, cluster.password, cluster.bucket};
        }
        bucket_.emplace(loop, access.connection_string, access.with(options));
    }

    /// Runs `body(*this)`, a coroutine, until it ends. Elsewhere it then removes what `key` has named.
    template <class F>
    void operator()(const F& body) {
        const auto whole = [&]() -> Task<> {
            co_await body(*this);
            if (local_) co_return;
            AsyncBucket cleaner(loop, access.connection_string, access.with());
            for (const std::string& key : keys_) co_await cleaner.remove(key, {.quiet = true}).as_expected();
        };
        spawn(loop, whole());
        loop.run();
    }

    /// A key that nobody else uses.
    [[nodiscard]] std::string key(std::string_view name) {
        std::string key = prefix_ + std::string(name);
        if (!local_) keys_.push_back(key);
        return key;
    }
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
