#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/kv/document.hpp"

namespace chaise::testing {

struct FailoverEntry {
    std::uint64_t uuid = 0;
    std::uint64_t seqno = 0;  ///< where this history began
};

/// What one node has persisted of one vbucket.
struct DiskVbucket {
    std::unordered_map<std::string, DocumentPtr, KeyHash, std::equal_to<>> documents;
    std::unordered_map<std::string, DocumentPtr, KeyHash, std::equal_to<>> prepared;
    std::uint64_t persisted_seqno = 0;
    std::vector<FailoverEntry> failover_log;  ///< newest first

    void apply(const DocumentPtr& document) {
        if (document->kind == Document::Kind::prepared) {
            prepared[document->key] = document;
        } else {
            prepared.erase(document->key);
            if (document->kind == Document::Kind::committed) documents[document->key] = document;
        }
    }
};

/// A node's disk: survives the process. By bucket uuid, so that a bucket made again is not the old one.
struct KvDisk {
    std::map<std::string, std::vector<DiskVbucket>> buckets;
};

}  // namespace chaise::testing
