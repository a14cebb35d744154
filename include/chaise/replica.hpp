#pragma once

/// \file
/// Reads from replicas: what they take and what they give.

#include <chaise/options.hpp>
#include <chaise/result.hpp>
#include <chaise/subdocument.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace chaise {

/// A document as one of its copies has it.
class ReplicaResult : public ValueResult {
public:
    ReplicaResult() = default;
    /// Not found, in quiet mode.
    explicit ReplicaResult(errc rc) noexcept : ValueResult(rc) {}
    ReplicaResult(ValueResult value, bool is_replica) noexcept
        : ValueResult(std::move(value)), is_replica_(is_replica) {}

    /// From a replica, which may be older than the active copy; false: from the active copy.
    [[nodiscard]] bool is_replica() const noexcept { return is_replica_; }

private:
    bool is_replica_ = false;
};

/// Paths of a document as one of its copies has them.
class LookupReplicaResult : public SubdocResult {
public:
    LookupReplicaResult() = default;
    /// Not found, in quiet mode.
    explicit LookupReplicaResult(errc rc) noexcept : SubdocResult(rc) {}
    LookupReplicaResult(SubdocResult found, bool is_replica) noexcept
        : SubdocResult(std::move(found)), is_replica_(is_replica) {}

    /// From a replica, which may be older than the active copy; false: from the active copy.
    [[nodiscard]] bool is_replica() const noexcept { return is_replica_; }

private:
    bool is_replica_ = false;
};

/// What each copy has that answered, in the order of the answers; the copies may differ.
template <class Copy>
class AllCopiesResult : public Result {
public:
    AllCopiesResult() = default;
    /// Not found on any of them, in quiet mode: empty.
    explicit AllCopiesResult(errc rc) noexcept : Result(rc, 0) {}
    /// The CAS of the result is that of the active copy, if it answered.
    explicit AllCopiesResult(std::vector<Copy> copies) noexcept : copies_(std::move(copies)) {
        for (const Copy& copy : copies_) {
            if (!copy.is_replica()) cas_ = copy.cas();
        }
    }
    [[nodiscard]] std::size_t size() const noexcept { return copies_.size(); }
    [[nodiscard]] bool empty() const noexcept { return copies_.empty(); }
    [[nodiscard]] auto begin() const noexcept { return copies_.begin(); }
    [[nodiscard]] auto end() const noexcept { return copies_.end(); }
    [[nodiscard]] const Copy& operator[](std::size_t at) const noexcept { return copies_[at]; }

private:
    std::vector<Copy> copies_;
};
/// get_all_replicas
using AllReplicasResult = AllCopiesResult<ReplicaResult>;
/// lookup_in_all_replicas
using LookupAllReplicasResult = AllCopiesResult<LookupReplicaResult>;

/// Which copies may be read.
enum class ReadPreference : std::uint8_t {
    no_preference,  ///< every copy
    /// Only copies on nodes of the bucket's `preferred_server_group`; none there is errc::document_unretrievable.
    selected_server_group,
    /// Copies in that group if there are any, otherwise every copy.
    selected_server_group_or_all_available,
};

/// get_replica, get_replica_multi, lookup_in_replica
struct GetReplicaOptions {
    /// Only this replica, counted from 0; none: any copy, the active one, too.
    std::optional<unsigned> index{};
    /// Not together with `index`. Needs the bucket's `preferred_server_group`.
    ReadPreference read_preference = ReadPreference::no_preference;
    std::optional<Duration> timeout{};
    /// true: a document that no copy has is a result whose success() is false; default: the bucket's `quiet`.
    std::optional<bool> quiet{};
};

/// get_all_replicas, lookup_in_all_replicas
struct GetAllReplicasOptions {
    ReadPreference read_preference = ReadPreference::no_preference;
    std::optional<Duration> timeout{};
    std::optional<bool> quiet{};
};
using LookupInReplicaOptions = GetReplicaOptions;
using LookupInAllReplicasOptions = GetAllReplicasOptions;
static_assert(OperationOptions<GetReplicaOptions> && OperationOptions<GetAllReplicasOptions>);

}  // namespace chaise
