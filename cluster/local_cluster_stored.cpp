// What the nodes of a LocalCluster have.

#include <array>

#include "cluster/kv/document.hpp"
#include "cluster/local/local_cluster_impl.hpp"
#include "protocol/leb128.hpp"
#include "protocol/vbucket.hpp"

namespace chaise::testing {

namespace {

std::optional<StoredDocument> stored_document(const Document* document) {
    if (document == nullptr || document->deleted || document->kind != Document::Kind::committed) return std::nullopt;
    return StoredDocument{.value = inflated(*document),
                          .flags = document->flags,
                          .expiry = document->expiry,
                          .cas = document->cas,
                          .seqno = document->seqno,
                          .bytes = document->value.size()};
}

/// As nodes keep it: behind its collection's id.
std::string stored_key(std::string_view key, std::uint32_t collection = 0) {
    std::array<char, protocol::max_leb128_size> id;
    return std::string(id.data(), protocol::store_leb128(id.data(), collection)).append(key);
}

std::optional<std::uint32_t> collection_id(const BucketConfig& config, std::string_view scope,
                                           std::string_view collection) {
    for (const auto& its_scope : config.manifest.scopes) {
        if (its_scope.name != scope) continue;
        for (const auto& one : its_scope.collections) {
            if (one.name == collection) return one.uid;
        }
    }
    return std::nullopt;
}

}  // namespace

KeyPlacement LocalCluster::placement(std::string_view key, std::string_view bucket) const {
    return impl_->ask([&] {
        const auto config = impl_->bucket(impl_->bucket_name(bucket));
        KeyPlacement placement;
        if (config->settings.type == BucketType::memcached) {
            const std::ptrdiff_t node = server_on_ring(*config, key);
            if (node != no_node) placement.active = static_cast<std::size_t>(node);
            return placement;
        }
        placement.vbucket = protocol::vbucket_of(key, static_cast<std::uint32_t>(config->map.size()));
        const VbucketRow& row = config->row(placement.vbucket);
        for (std::size_t i = 0; i < row.size(); ++i) {
            if (row[i] == no_node) continue;
            const auto node = static_cast<std::size_t>(row[i]);
            if (i == 0) {
                placement.active = node;
            } else {
                placement.replicas.push_back(node);
            }
        }
        return placement;
    });
}

std::optional<StoredDocument> LocalCluster::stored(std::size_t node, std::string_view key,
                                                   std::string_view bucket) const {
    impl_->check_node(node);
    return impl_->ask([&]() -> std::optional<StoredDocument> {
        const std::string name = impl_->bucket_name(bucket);
        const VBucket* copy = impl_->copy(node, name, key);
        return copy != nullptr ? stored_document(copy->peek(stored_key(key))) : std::nullopt;
    });
}

std::optional<StoredDocument> LocalCluster::stored_in(std::string_view scope, std::string_view collection,
                                                      std::size_t node, std::string_view key,
                                                      std::string_view bucket) const {
    impl_->check_node(node);
    return impl_->ask([&]() -> std::optional<StoredDocument> {
        const std::string name = impl_->bucket_name(bucket);
        const auto id = collection_id(*impl_->bucket(name), scope, collection);
        const VBucket* copy = id ? impl_->copy(node, name, key) : nullptr;
        return copy != nullptr ? stored_document(copy->peek(stored_key(key, *id))) : std::nullopt;
    });
}

std::optional<StoredDocument> LocalCluster::persisted(std::size_t node, std::string_view key,
                                                      std::string_view bucket) const {
    impl_->check_node(node);
    return impl_->ask([&]() -> std::optional<StoredDocument> {
        const auto config = impl_->bucket(impl_->bucket_name(bucket));
        const auto& disk = impl_->state().disk(node).buckets;
        const auto found = disk.find(config->uuid);
        const auto vbucket = protocol::vbucket_of(key, static_cast<std::uint32_t>(config->map.size()));
        if (found == disk.end() || found->second.size() <= vbucket) return std::nullopt;
        const auto& documents = found->second[vbucket].documents;
        const auto document = documents.find(stored_key(key));
        return document != documents.end() ? stored_document(document->second.get()) : std::nullopt;
    });
}

void LocalCluster::on_executed(
    std::function<void(std::size_t node, std::uint8_t opcode, std::string_view key, std::string_view value)> witness) {
    impl_->call([&] {
        if (!witness) return impl_->state().set_witness(nullptr);
        impl_->state().set_witness([witness = std::move(witness)](NodeId node, protocol::Opcode opcode,
                                                                  std::string_view key, std::string_view value) {
            witness(node, static_cast<std::uint8_t>(opcode), key, value);
        });
    });
}

}  // namespace chaise::testing
