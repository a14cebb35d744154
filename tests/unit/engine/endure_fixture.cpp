#include "tests/unit/engine/endure_fixture.hpp"

#include "protocol/byte_order.hpp"

#include <utility>

namespace chaise::testing {

std::string seqno_answer(std::uint16_t vbucket, std::uint64_t uuid, std::uint64_t persisted, std::uint64_t current) {
    std::string value(27, '\0');
    protocol::store_be16(value.data() + 1, vbucket);
    protocol::store_be64(value.data() + 3, uuid);
    protocol::store_be64(value.data() + 11, persisted);
    protocol::store_be64(value.data() + 19, current);
    return value;
}

std::string failover_answer(std::uint16_t vbucket, std::uint64_t old, std::uint64_t last, std::uint64_t current) {
    std::string value = seqno_answer(vbucket, 0xdead, current, current) + std::string(16, '\0');
    value[0] = 1;
    protocol::store_be64(value.data() + 27, old);
    protocol::store_be64(value.data() + 35, last);
    return value;
}

Endured::Endured(ScriptMap map) : ClusterFixture(std::move(map), "couchbase://n1,n2") {
    key = cluster.key_at("n1");
    put(protocol::ObserveState::found, {}, {});
    connected();
}

Endured::~Endured() = default;

void Endured::put(Where active, Where first, Where second, Cas cas) {
    const auto place = [&](auto& items, Where state) {
        items.erase(key);
        if (state) items[key] = {"v", 0, cas, 0, *state};
    };
    place(cluster.node("n1").items, active);
    place(cluster.node("n2").copies, first);
    place(cluster.node("n3").copies, second);
}

Endured::Book& Endured::book(AsyncResult<OperationResult> operation) {
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

Endured::Book& Endured::endure(EndureOptions options) { return book(bucket->endure(key, options)); }

Endured::Many& Endured::follow(AsyncResult<MultiResult<OperationResult>> operation) {
    lists.push_back(std::make_unique<Many>());
    Many& one = *lists.back();
    operation.set_callbacks(
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

}  // namespace chaise::testing
