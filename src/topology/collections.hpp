#pragma once

#include "protocol/cluster_map.hpp"
#include "protocol/frame.hpp"
#include "topology/collection.hpp"

#include <chaise/error.hpp>
#include <chaise/iops.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace chaise::detail {

class Core;
struct CollectionId;

/// The collections that a bucket's user has named, and the search for their ids: COLLECTIONS_GET_ID, once for all
/// requests that wait for it, and again when a node does not know the id (protocol.md 4.5). A node may be behind the
/// others: what it denies is believed only of a manifest as new as the newest that was heard of, and when every
/// connected node says so.
class Collections {
public:
    explicit Collections(Core& core);
    Collections(const Collections&) = delete;
    Collections& operator=(const Collections&) = delete;
    ~Collections();

    [[nodiscard]] Collection& default_collection() noexcept { return default_; }
    [[nodiscard]] Collection& find(std::string_view scope, std::string_view name);

    /// Before requests are led by it: ids of a bucket that was made anew begin at the beginning, as its manifests do.
    void map_comes(const protocol::ClusterMap& map) noexcept;
    /// There is a cluster map, perhaps the first: questions can be asked.
    void map_came(const protocol::ClusterMap& map);
    /// A request was put into the collection's line.
    void joined(Collection& collection);
    /// The answer to a request was UNKNOWN_COLLECTION: it goes once more, when it is known with which id.
    void unknown(Slot& slot, const protocol::Frame& frame);
    /// A request in whose body the id stands was answered so: the next ones wait until it is known anew.
    void doubt(Collection& collection);
    /// All ids are of a bucket that is there no more, or of one that has none now.
    void forget_ids() noexcept;
    /// Where requests wait for ids.
    [[nodiscard]] std::vector<Line*> lines();
    /// The answer to the engine's own question; one of both is set.
    void answered(Collection& collection, const CollectionId* id, const Error* error);
    /// Why a request in its line was not sent.
    [[nodiscard]] std::string why_waiting(Collection& collection) const;
    /// Everything that waits for an id ends with this error.
    void fail_all(errc code, const std::string& message);
    void close() noexcept;
    void lose_loop() noexcept { loop_gone_ = true; }

private:
    void heard_of(std::uint64_t manifest_uid) noexcept;
    /// Somebody waits for its id.
    [[nodiscard]] bool awaited(Collection& collection);
    void search(Collection& collection);
    void ask(Collection& collection);
    void pause(Collection& collection);
    /// Those that wait end with it; with `begun_by`, those that had begun by then.
    void give_up(Collection& collection, errc code, const std::string& message, TimePoint begun_by = TimePoint::max());
    void denied(Collection& collection, const Error& error);
    void arm();
    void on_timer();

    Core& core_;
    Collection default_;
    std::map<std::string, std::unique_ptr<Collection>, std::less<>> named_;  ///< by path
    std::unique_ptr<TimerEvent> timer_;
    std::uint64_t newest_ = 0;  ///< manifest heard of
    std::string bucket_uuid_;
    bool loop_gone_ = false;
};

/// What COLLECTIONS_GET_ID gives.
struct CollectionId {
    std::uint64_t manifest_uid;
    std::uint32_t id;
};

}  // namespace chaise::detail
