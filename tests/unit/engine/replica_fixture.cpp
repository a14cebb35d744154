#include "tests/unit/engine/replica_fixture.hpp"

#include <algorithm>
#include <utility>

namespace chaise::testing {

Copies::Copies(ScriptMap map, BucketOptions options) : ClusterFixture(std::move(map), "couchbase://n1,n2", options) {
    key = cluster.key_at("n1");
}

Copies::~Copies() = default;

void Copies::fill() {
    cluster.node("n1").items[key] = {"active", 0, 3};
    cluster.node("n2").copies[key] = {"first", 0, 2};
    cluster.node("n3").copies[key] = {"second", 0, 1};
}

Copies::Any& Copies::any(GetReplicaOptions options) {
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

Copies::All& Copies::all(GetAllReplicasOptions options) {
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

std::size_t Copies::replica_reads(const std::string& host) const {
    return static_cast<std::size_t>(std::count_if(cluster.seen.begin(), cluster.seen.end(), [&](const auto& one) {
        return one.node == host && one.opcode == protocol::Opcode::get_replica;
    }));
}

}  // namespace chaise::testing
