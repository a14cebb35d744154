#pragma once

// A document on three scripted nodes, and who has persisted it.

#include "tests/unit/engine/script_cluster.hpp"

#include <chaise/durability.hpp>
#include <chaise/multi.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chaise::testing {

/// OBSERVE_SEQNO's answer, format 0.
inline std::string seqno_answer(std::uint16_t vbucket, std::uint64_t uuid, std::uint64_t persisted,
                                std::uint64_t current) {
    std::string value(27, '\0');
    protocol::store_be16(value.data() + 1, vbucket);
    protocol::store_be64(value.data() + 3, uuid);
    protocol::store_be64(value.data() + 11, persisted);
    protocol::store_be64(value.data() + 19, current);
    return value;
}
/// Format 1: a failover since.
inline std::string failover_answer(std::uint16_t vbucket, std::uint64_t old, std::uint64_t last,
                                   std::uint64_t current) {
    std::string value = seqno_answer(vbucket, 0xdead, current, current) + std::string(16, '\0');
    value[0] = 1;
    protocol::store_be64(value.data() + 27, old);
    protocol::store_be64(value.data() + 35, last);
    return value;
}

/// n1, n2, n3, each vbucket with two replicas.
struct Endured : ClusterFixture {
    explicit Endured(ScriptMap map = ScriptMap::replicated({"n1", "n2", "n3"}, 2))
        : ClusterFixture(std::move(map), "couchbase://n1,n2") {
        key = cluster.key_at("n1");
        put(protocol::ObserveState::found, {}, {});
        connected();
    }
    using Where = std::optional<protocol::ObserveState>;
    /// The document on its active node and its replicas.
    void put(Where active, Where first, Where second, Cas cas = 5) {
        const auto place = [&](auto& items, Where state) {
            items.erase(key);
            if (state) items[key] = {"v", 0, cas, 0, *state};
        };
        place(cluster.node("n1").items, active);
        place(cluster.node("n2").copies, first);
        place(cluster.node("n3").copies, second);
    }
    struct Book : Outcome {
        OperationResult result;
    };
    Book& book(AsyncResult<OperationResult> operation) {
        books.push_back(std::make_unique<Book>());
        Book& one = *books.back();
        operation.set_callbacks(
            [this, &one](OperationResult result) {
                note(one);
                one.cas = result.cas();
                one.rc = result.rc();
                one.result = result;
            },
            [this, &one](const Error& error) {
                note(one);
                one.error = error;
            });
        return one;
    }
    Book& endure(EndureOptions options) { return book(bucket->endure(key, options)); }
    struct Many : Outcome {
        MultiResult<OperationResult> all;
    };
    template <class Range>
    Many& endure_all(const Range& range, EndureMultiOptions options = {}) {
        lists.push_back(std::make_unique<Many>());
        Many& one = *lists.back();
        bucket->endure_multi(range, options)
            .set_callbacks(
                [this, &one](MultiResult<OperationResult> all) {
                    note(one);
                    one.all = std::move(all);
                },
                [this, &one](const Error& error) {
                    note(one);
                    one.error = error;
                    one.all = error.all_results<OperationResult>();
                });
        return one;
    }

    std::string key;
    std::vector<std::unique_ptr<Book>> books;
    std::vector<std::unique_ptr<Many>> lists;
};

}  // namespace chaise::testing
