#include "cluster/views/view_index.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <unordered_set>

#include "cluster/json/collation.hpp"
#include "cluster/json/json.hpp"
#include "cluster/kv/json_check.hpp"
#include "protocol/base64.hpp"
#include "protocol/json_text.hpp"

namespace chaise::testing {

namespace {

bool before(const ViewRow& a, const ViewRow& b) noexcept {
    const int order = a.order.compare(b.order);
    return order != 0 ? order < 0 : a.id < b.id;
}

// Views index the default collection, whose id is the key's first byte.
std::optional<std::string_view> id_of(const Document& document) noexcept {
    const std::string_view key = document.key;
    if (key.empty() || key[0] != '\0') return std::nullopt;
    return key.substr(1);
}

std::string meta_of(const Document& document, std::string_view id, std::uint16_t vbucket, bool json) {
    std::string meta = R"({"id":)";
    append_json_text(meta, id);
    meta += R"(,"rev":")" + std::to_string(document.revision) + "-" + protocol::json_hex(document.cas) + '"';
    meta += R"(,"seq":)" + std::to_string(document.seqno) + R"(,"vb":)" + std::to_string(vbucket);
    meta += R"(,"expiration":)" + std::to_string(document.expiry) + R"(,"flags":)" + std::to_string(document.flags);
    meta += json ? R"(,"type":"json"})" : R"(,"type":"base64"})";
    return meta;
}

}  // namespace

struct ViewIndex::Changes {
    std::unordered_set<std::string, KeyHash, std::equal_to<>> documents;  // whose rows are replaced
    std::unordered_set<std::uint16_t> vbuckets;                           // which are indexed anew
    std::vector<ViewRows> rows;                                           // of each view
};

ViewIndex::ViewIndex(DesignDocuments::Pointer document, std::string bucket, std::uint64_t salt)
    : document_(std::move(document)), bucket_(std::move(bucket)), script_(salt) {
    for (const ViewDefinition& view : document_->views) {
        std::string error;
        const auto function = script_.compile(view.map, error);
        if (!function) throw std::logic_error("ViewIndex: " + error);  // it was compiled when it was stored
        functions_.push_back(*function);
        rows_.push_back(std::make_shared<ViewRows>());
    }
}

void ViewIndex::update(KvNode& node) {
    drop_inactive(node);
    const auto config = node.bucket_config(bucket_);
    if (!config) return;
    Changes changes;
    changes.rows.resize(rows_.size());
    for (std::size_t i = 0; i < config->map.size(); ++i) {
        const auto vbucket = static_cast<std::uint16_t>(i);
        const VBucket* copy = node.vbucket(bucket_, vbucket);
        if (copy == nullptr || copy->state() != VBucketState::active) continue;
        Progress& progress = progress_[vbucket];
        if (progress.uuid != copy->uuid() || progress.incarnation != copy->incarnation()) {
            if (progress.seqno != 0) changes.vbuckets.insert(vbucket);
            progress = {copy->uuid(), copy->incarnation(), 0};
        }
        if (progress.seqno == copy->high_seqno()) continue;
        const bool first = progress.seqno == 0;
        for (const DocumentPtr& document : copy->changes_since(progress.seqno)) {
            const auto id = id_of(*document);
            if (!id || document->kind != Document::Kind::committed) continue;
            if (!first) changes.documents.emplace(*id);
            if (!document->deleted) map(*document, *id, vbucket, changes);
        }
        progress.seqno = copy->high_seqno();
    }
    apply(changes);
}

void ViewIndex::map(const Document& document, std::string_view id, std::uint16_t vbucket, Changes& changes) {
    std::string value = inflated(document);
    const bool json = is_json(value);
    if (!json) {
        std::string text;
        append_json_text(text, protocol::base64_encode(value));
        value = std::move(text);
    }
    const std::string meta = meta_of(document, id, vbucket, json);
    std::vector<Emitted> emitted;
    for (std::size_t view = 0; view < functions_.size(); ++view) {
        emitted.clear();
        std::string error;
        if (!script_.map(functions_[view], value, meta, emitted, error)) {
            ++failures_;
            last_failure_ = "view `" + document_->views[view].name + "`, document `" + std::string(id) + "`: " + error;
            continue;
        }
        for (Emitted& each : emitted) {
            const auto key = parse_json(each.key);
            if (!key || !is_json(each.value)) continue;  // deeper than the server takes
            changes.rows[view].push_back(
                {collation_key(*key), std::string(id), std::move(each.key), std::move(each.value), vbucket});
        }
    }
}

void ViewIndex::drop_inactive(KvNode& node) {
    Changes changes;
    changes.rows.resize(rows_.size());
    for (auto it = progress_.begin(); it != progress_.end();) {
        const VBucket* copy = node.vbucket(bucket_, it->first);
        if (copy != nullptr && copy->state() == VBucketState::active) {
            ++it;
            continue;
        }
        changes.vbuckets.insert(it->first);
        it = progress_.erase(it);
    }
    apply(changes);
}

void ViewIndex::apply(Changes& changes) {
    const bool removes = !changes.vbuckets.empty() || !changes.documents.empty();
    for (std::size_t view = 0; view < rows_.size(); ++view) {
        ViewRows& fresh = changes.rows[view];
        if (!removes && fresh.empty()) continue;
        std::stable_sort(fresh.begin(), fresh.end(), before);
        ViewRows kept;
        ViewRows& old = *rows_[view];
        const bool alone = rows_[view].use_count() == 1;  // else somebody is still answering from them
        kept.reserve(old.size());
        for (ViewRow& row : old) {
            if (changes.vbuckets.contains(row.vbucket) || changes.documents.contains(row.id)) continue;
            if (alone) {
                kept.push_back(std::move(row));
            } else {
                kept.push_back(row);
            }
        }
        auto merged = std::make_shared<ViewRows>();
        merged->reserve(kept.size() + fresh.size());
        std::merge(std::make_move_iterator(kept.begin()), std::make_move_iterator(kept.end()),
                   std::make_move_iterator(fresh.begin()), std::make_move_iterator(fresh.end()),
                   std::back_inserter(*merged), before);
        rows_[view] = std::move(merged);
    }
}

std::shared_ptr<const ViewRows> ViewIndex::rows(const ViewDefinition& view) const {
    return rows_.at(static_cast<std::size_t>(&view - document_->views.data()));
}

}  // namespace chaise::testing
