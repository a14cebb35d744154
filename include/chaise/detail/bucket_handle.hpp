#pragma once

// A share of a bucket's core, and the operations as the engine starts them. Not for users.

#include <chaise/async_result.hpp>
#include <chaise/bucket_kind.hpp>
#include <chaise/bucket_options.hpp>
#include <chaise/collections_manifest.hpp>
#include <chaise/design_options.hpp>
#include <chaise/detail/container_call.hpp>
#include <chaise/detail/multi_call.hpp>
#include <chaise/diagnostics.hpp>
#include <chaise/durability.hpp>
#include <chaise/iops.hpp>
#include <chaise/meta.hpp>
#include <chaise/multi.hpp>
#include <chaise/observe.hpp>
#include <chaise/options.hpp>
#include <chaise/pressure.hpp>
#include <chaise/query_options.hpp>
#include <chaise/replica.hpp>
#include <chaise/result.hpp>
#include <chaise/subdocument.hpp>
#include <chaise/view_options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace chaise {
class ViewPage;
}

namespace chaise::detail {

struct KeySlots;
class RowSource;
class ViewPagesState;
/// Of BasicViewPages.
[[nodiscard]] bool more_pages(const ViewPagesState& pages) noexcept;

/// One call of endure_multi, entry by entry.
class EndureCall {
public:
    EndureCall(Core& core, Collection& collection, const EndureMultiOptions& options);
    EndureCall(const EndureCall&) = delete;
    EndureCall& operator=(const EndureCall&) = delete;
    ~EndureCall();
    void add(const EndureElement& element);
    /// The operation's slot.
    [[nodiscard]] Slot& start();

private:
    struct Keys;
    Core& core_;
    Collection& collection_;
    const EndureMultiOptions options_;
    std::unique_ptr<Keys> keys_;
};

/// A share of a bucket's core, and the operations as the engine starts them, on the documents of one collection. The
/// bucket's own share closes the core when it goes; what is left of the core after that answers `errc::shutdown`.
class BucketHandle {
public:
    /// A bucket's, on the default collection.
    BucketHandle(std::unique_ptr<IOPS> iops, std::string_view connection_string, const BucketOptions& options);
    /// A share that closes nothing.
    BucketHandle(const BucketHandle& other) noexcept;
    BucketHandle(BucketHandle&& other) noexcept
        : core_(std::exchange(other.core_, nullptr)), collection_(other.collection_), owner_(other.owner_) {}
    BucketHandle& operator=(BucketHandle other) noexcept {  // what is given up goes now, not when `other` ends
        std::swap(core_, other.core_);
        std::swap(collection_, other.collection_);
        std::swap(owner_, other.owner_);
        return *this;
    }
    ~BucketHandle();

    /// A share that is on the default collection.
    [[nodiscard]] BucketHandle default_collection() const;
    /// A share that is on this collection.
    [[nodiscard]] BucketHandle collection(std::string_view scope, std::string_view name) const;
    [[nodiscard]] std::string_view scope_name() const noexcept;
    [[nodiscard]] std::string_view collection_name() const noexcept;

    [[nodiscard]] AsyncResult<ValueResult> get(std::string_view key, const GetOptions& options);
    [[nodiscard]] AsyncResult<ValueResult> get_and_touch(std::string_view key, Expiry expiry,
                                                         const GetAndTouchOptions& options);
    [[nodiscard]] AsyncResult<OperationResult> store(OperationKind kind, std::string_view key, std::string_view value,
                                                     const StoreOptions& options);
    [[nodiscard]] AsyncResult<OperationResult> concat(OperationKind kind, std::string_view key, std::string_view value,
                                                      const ConcatOptions& options);
    [[nodiscard]] AsyncResult<OperationResult> remove(std::string_view key, const RemoveOptions& options);
    [[nodiscard]] AsyncResult<OperationResult> touch(std::string_view key, Expiry expiry, const TouchOptions& options);
    [[nodiscard]] AsyncResult<ValueResult> lock(std::string_view key, std::chrono::seconds lock_time,
                                                const LockOptions& options);
    [[nodiscard]] AsyncResult<OperationResult> unlock(std::string_view key, Cas cas, const UnlockOptions& options);
    [[nodiscard]] AsyncResult<ExistsResult> exists(std::string_view key, const ExistsOptions& options);
    [[nodiscard]] AsyncResult<ValueResult> counter(std::string_view key, const CounterOptions& options);
    [[nodiscard]] AsyncResult<SubdocResult> lookup_in(std::string_view key, const LookupSpecs& specs,
                                                      const LookupInOptions& options);
    [[nodiscard]] AsyncResult<SubdocResult> mutate_in(std::string_view key, const MutateSpecs& specs,
                                                      const MutateInOptions& options);
    [[nodiscard]] AsyncResult<OperationResult> container_change(const ContainerCall& call);
    [[nodiscard]] AsyncResult<ValueResult> container_value(const ContainerCall& call);
    [[nodiscard]] AsyncResult<SizeResult> container_size(const ContainerCall& call);
    [[nodiscard]] AsyncResult<ExistsResult> container_question(const ContainerCall& call);
    /// One operation of many entries: `defaults` and what Reader reads from each element of the range.
    template <class T, class Reader, class Range>
    [[nodiscard]] AsyncResult<MultiResult<T>> multi(const MultiCommon& common, Range&& range,
                                                    const MultiInput& defaults = {}) {
        std::size_t expected = 0;
        if constexpr (std::ranges::sized_range<Range>) expected = static_cast<std::size_t>(std::ranges::size(range));
        MultiCall call(*core_, *collection_, common, expected);
        for (const auto& element : range) {
            MultiInput entry = defaults;
            Reader::read(entry, element);
            if (!call.add(entry)) break;
        }
        return AsyncResult<MultiResult<T>>(&call.finish());
    }
    [[nodiscard]] AsyncResult<ReplicaResult> get_replica(std::string_view key, const GetReplicaOptions& options);
    [[nodiscard]] AsyncResult<AllReplicasResult> get_all_replicas(std::string_view key,
                                                                  const GetAllReplicasOptions& options);
    [[nodiscard]] AsyncResult<LookupReplicaResult> lookup_in_replica(std::string_view key, const LookupSpecs& specs,
                                                                     const LookupInReplicaOptions& options);
    [[nodiscard]] AsyncResult<LookupAllReplicasResult> lookup_in_all_replicas(
        std::string_view key, const LookupSpecs& specs, const LookupInAllReplicasOptions& options);
    [[nodiscard]] AsyncResult<ObserveResult> observe(std::string_view key, const ObserveOptions& options);
    template <class Range>
    [[nodiscard]] AsyncResult<MultiResult<ObserveResult>> observe_multi(Range&& range, const ObserveOptions& options) {
        std::vector<std::string> keys;
        for (const auto& element : range) {
            MultiInput entry;
            ReadKey::read(entry, element);
            keys.emplace_back(entry.key);
        }
        return observe_keys(std::move(keys), options);
    }
    [[nodiscard]] AsyncResult<OperationResult> endure(std::string_view key, const EndureOptions& options);
    template <class Range>
    [[nodiscard]] AsyncResult<MultiResult<OperationResult>> endure_multi(Range&& range,
                                                                         const EndureMultiOptions& options) {
        EndureCall call(*core_, *collection_, options);
        for (const auto& one : range) {
            EndureElement element;
            ReadEndure::read(element, one);
            call.add(element);
        }
        return AsyncResult<MultiResult<OperationResult>>(&call.start());
    }
    [[nodiscard]] DurabilityScope durability(CopyCount persist_to, CopyCount replicate_to,
                                             const DurabilityOptions& options) {
        return DurabilityScope(*core_, persist_to, replicate_to, options);
    }
    [[nodiscard]] AsyncResult<MetaResult> get_meta(std::string_view key, const GetMetaOptions& options);
    [[nodiscard]] AsyncResult<StatsResult> key_stats(std::string_view key, const StatsOptions& options);
    [[nodiscard]] AsyncResult<RandomKeyResult> get_random_key(const ServerOptions& options);
    [[nodiscard]] AsyncResult<PingResult> ping(const PingOptions& options);
    [[nodiscard]] DiagnosticsResult diagnostics(const DiagnosticsOptions& options) const;
    [[nodiscard]] std::vector<std::string> server_nodes() const;
    [[nodiscard]] AsyncResult<StatsResult> stats(std::vector<std::string> groups, const StatsOptions& options);
    /// An operation that ends with this error; of many entries: by the kind of one.
    [[nodiscard]] Slot& refuse(OperationKind kind, std::string_view key, errc code, std::string message);
    [[nodiscard]] Slot& refuse_multi(OperationKind kind, std::string_view key, errc code, std::string message);
    [[nodiscard]] AsyncResult<VersionResult> version(const ServerOptions& options);
    [[nodiscard]] AsyncResult<OperationResult> server(OperationKind kind, const ServerOptions& options);
    [[nodiscard]] AsyncResult<ManifestResult> collections_manifest(const ServerOptions& options);
    [[nodiscard]] AsyncResult<OperationResult> place(const PlaceOptions& options);
    [[nodiscard]] std::unique_ptr<RowSource> view_query(std::string_view design, std::string_view view,
                                                        const ViewOptions& options);
    [[nodiscard]] std::shared_ptr<ViewPagesState> view_pages(std::string_view design, std::string_view view,
                                                             std::uint64_t size, const ViewOptions& options) const;
    [[nodiscard]] static AsyncResult<ViewPage> view_page(const std::shared_ptr<ViewPagesState>& pages);
    [[nodiscard]] std::unique_ptr<RowSource> n1ql_query(std::string_view statement, const QueryOptions& options);
    [[nodiscard]] AsyncResult<HttpResult> design_create(std::string_view name, std::string_view json,
                                                        const DesignOptions& options);
    [[nodiscard]] AsyncResult<HttpResult> design_get(std::string_view name, const DesignOptions& options);
    [[nodiscard]] AsyncResult<HttpResult> design_remove(std::string_view name, const DesignOptions& options);
    [[nodiscard]] AsyncResult<HttpResult> design_publish(std::string_view name, const DesignOptions& options);
    [[nodiscard]] AsyncResult<DesignListResult> design_list(const DesignOptions& options);
    [[nodiscard]] AsyncResult<HttpResult> design_wait(std::string_view name, const DesignOptions& options);
    [[nodiscard]] std::unique_ptr<RowSource> analytics_query(std::string_view statement,
                                                             const AnalyticsOptions& options);
    [[nodiscard]] std::unique_ptr<RowSource> search_query(std::string_view index, std::string_view body,
                                                          const SearchOptions& options);
    [[nodiscard]] Pressure pressure() const;
    [[nodiscard]] AsyncResult<OperationResult> close(const CloseOptions& options);
    void on_unobserved(std::function<void(const Error&)> handler);
    [[nodiscard]] IOPS& iops() const noexcept;
    [[nodiscard]] const std::string& name() const noexcept;
    [[nodiscard]] bool closed() const noexcept;
    [[nodiscard]] BucketKind kind() const noexcept;
    [[nodiscard]] std::optional<unsigned> configured_replicas() const noexcept;
    [[nodiscard]] std::string describe() const;
    [[nodiscard]] bool connected() const noexcept;
    [[nodiscard]] std::size_t operations() const noexcept;

private:
    BucketHandle(Core& core, Collection& collection) noexcept;
    /// Where an operation on a document gets its slot from.
    [[nodiscard]] KeySlots keys() noexcept;
    [[nodiscard]] Slot& container(const ContainerCall& call);
    [[nodiscard]] AsyncResult<MultiResult<ObserveResult>> observe_keys(std::vector<std::string> keys,
                                                                       const ObserveOptions& options);

    Core* core_ = nullptr;
    Collection* collection_ = nullptr;
    bool owner_ = false;
};

/// An argument that the face gets, not options in disguise.
template <class Extra, class Options>
concept FaceArgument = !std::is_convertible_v<Extra&&, Options>;

}  // namespace chaise::detail
