#pragma once

// Documents whose copies differ, so that it shows whose it is.

#include "tests/unit/engine/script_cluster.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace chaise::testing {

/// n1, n2, n3; the replicas of n1's vbuckets are on n2 and n3.
struct Copies : ClusterFixture {
    explicit Copies(ScriptMap map = ScriptMap::replicated({"n1", "n2", "n3"}, 2), BucketOptions options = {})
        : ClusterFixture(std::move(map), "couchbase://n1,n2", options) {
        key = cluster.key_at("n1");
    }
    /// The copies differ, so that it shows whose it is.
    void fill() {
        cluster.node("n1").items[key] = {"active", 0, 3};
        cluster.node("n2").copies[key] = {"first", 0, 2};
        cluster.node("n3").copies[key] = {"second", 0, 1};
    }
    struct Any : Outcome {
        bool is_replica = false;
    };
    Any& any(GetReplicaOptions options = {}) {
        books.push_back(std::make_unique<Any>());
        Any& book = *books.back();
        bucket->get_replica(key, options)
            .set_callbacks(
                [this, &book](ReplicaResult found) {
                    note(book);
                    book.value = found.owned();
                    book.cas = found.cas();
                    book.rc = found.rc();
                    book.is_replica = found.is_replica();
                },
                [this, &book](const Error& error) {
                    note(book);
                    book.error = error;
                });
        return book;
    }
    struct All : Outcome {
        std::vector<std::string> values;  ///< sorted; a replica's with a star
    };
    All& all(GetAllReplicasOptions options = {}) {
        lists.push_back(std::make_unique<All>());
        All& book = *lists.back();
        bucket->get_all_replicas(key, options)
            .set_callbacks(
                [this, &book](AllReplicasResult found) {
                    note(book);
                    book.cas = found.cas();
                    book.rc = found.rc();
                    for (const ReplicaResult& copy : found) {
                        book.values.push_back(copy.owned() + (copy.is_replica() ? "*" : ""));
                    }
                    std::sort(book.values.begin(), book.values.end());
                },
                [this, &book](const Error& error) {
                    note(book);
                    book.error = error;
                });
        return book;
    }
    [[nodiscard]] std::size_t replica_reads(const std::string& host) const {
        return static_cast<std::size_t>(std::count_if(cluster.seen.begin(), cluster.seen.end(), [&](const auto& one) {
            return one.node == host && one.opcode == protocol::Opcode::get_replica;
        }));
    }

    std::string key;
    std::vector<std::unique_ptr<Any>> books;
    std::vector<std::unique_ptr<All>> lists;
};

}  // namespace chaise::testing
