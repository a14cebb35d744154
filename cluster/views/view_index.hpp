#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kv/node.hpp"
#include "cluster/views/design_document.hpp"
#include "cluster/views/script.hpp"

namespace chaise::testing {

struct ViewRow {
    std::string order;  ///< collation_key of the key
    std::string id;
    std::string key;    ///< JSON
    std::string value;  ///< JSON
    std::uint16_t vbucket = 0;
};
/// In order of key and id.
using ViewRows = std::vector<ViewRow>;

/// One node's index of one design document: what its active vbuckets' documents have emitted by the last update.
class ViewIndex {
public:
    /// `salt`: the script's.
    ViewIndex(DesignDocuments::Pointer document, std::string bucket, std::uint64_t salt);

    [[nodiscard]] const DesignDocuments::Pointer& document() const noexcept { return document_; }
    /// Maps what was written since the last time.
    void update(KvNode& node);
    /// Drops what is not the node's to answer for any more.
    void drop_inactive(KvNode& node);
    /// As they are now; later updates make others.
    [[nodiscard]] std::shared_ptr<const ViewRows> rows(const ViewDefinition& view) const;
    /// Documents whose map function failed, and the last such error.
    [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }
    [[nodiscard]] const std::string& last_failure() const noexcept { return last_failure_; }

private:
    struct Progress {
        std::uint64_t uuid = 0;
        std::uint64_t incarnation = 0;
        std::uint64_t seqno = 0;
    };
    struct Changes;
    void map(const Document& document, std::string_view id, std::uint16_t vbucket, Changes& changes);
    void apply(Changes& changes);

    DesignDocuments::Pointer document_;
    std::string bucket_;
    Script script_;
    std::vector<Script::Function> functions_;
    std::map<std::uint16_t, Progress> progress_;
    std::vector<std::shared_ptr<ViewRows>> rows_;  // of each view
    std::uint64_t failures_ = 0;
    std::string last_failure_;
};

}  // namespace chaise::testing
