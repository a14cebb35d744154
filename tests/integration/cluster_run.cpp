#include "cluster_run.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>

namespace chaise::testing {

BucketOptions ClusterAccess::with(BucketOptions options) const {
    options.bucket = bucket;
    options.username = user;
    options.password = password;
    if (!options.retry_strategy) options.retry_strategy = AnswersAtOnce::instance();
    return options;
}

const std::optional<ClusterAccess>& other_cluster() {
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

bool skipped_elsewhere(const char* why) {
    if (!other_cluster()) return false;
    std::printf("skipped on %s: \"%s\": %s\n", other_cluster()->connection_string.c_str(),
                Catch::getResultCapture().getCurrentTestName().c_str(), why);
    return true;
}

ClusterRun::ClusterRun(const LocalClusterOptions& cluster, const BucketOptions& options) : iops(loop.make_iops()) {
    if (other_cluster()) {
        access = *other_cluster();
        prefix_ = "chaise-test:" + std::to_string(getpid()) + ':' + std::to_string(std::random_device()()) + ':';
    } else {
        local_.emplace(loop, cluster);
        access = {local_->connection_string(), cluster.username, cluster.password, cluster.bucket};
    }
    bucket_.emplace(loop, access.connection_string, access.with(options));
}

ClusterRun::~ClusterRun() = default;

std::string ClusterRun::key(std::string_view name) {
    std::string key = prefix_ + std::string(name);
    if (!local_) keys_.push_back(key);
    return key;
}

Task<> ClusterRun::clean() {
    AsyncBucket cleaner(loop, access.connection_string, access.with());
    for (const std::string& key : keys_) co_await cleaner.remove(key, {.quiet = true}).as_expected();
}

}  // namespace chaise::testing
