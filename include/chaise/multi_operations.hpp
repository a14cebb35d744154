#pragma once

/// \file
/// The operations of many keys at once, declared once for all faces.

#include <chaise/detail/bucket_handle.hpp>
#include <chaise/multi.hpp>

#include <chrono>
#include <utility>

namespace chaise {

/// Every multi operation of a bucket or a collection: one call, any number of entries, one outcome.
///
/// The entries are any input range (a container, a span, a view, one that makes its elements as it goes) of what the
/// operation says; entry structs carry options of their own (multi.hpp), and what they leave open is the call's.
/// Keys and values are copied before the call returns.
///
/// Each entry is an operation as its single form makes it: its own result or error, with the call's timeout, on the
/// node that holds its key, in the order given; keys that are given twice are asked for twice. The outcome comes once,
/// after the last entry's: a MultiResult if no entry has an error, otherwise the first error in the caller's order,
/// with the whole MultiResult attached: `error.all_results<T>()`, also of the exception.
///
/// All or nothing is sent: an entry that is refused (bad key, value or expiry, `queue_full` at its node) refuses the
/// call with that one error, and so does an empty range (invalid_argument). cancel() ends the entries that are under
/// way, and the error, `errc::cancelled`, has what the others came to. Each entry counts in operations() and against
/// the bounds of its node.
template <class Face>
class MultiOperations {
public:
    /// Elements: keys, or entries of another MultiResult. Gives their values. quiet: what is not there is a result.
    template <detail::MultiRange<detail::ReadKey> Range, class... Extra>
    auto get_multi(Range&& range, QuietMultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.template multi<ValueResult, detail::ReadKey>(
                              detail::common_of(detail::OperationKind::get, options), range),
                          std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadKey> Range, detail::FaceArgument<QuietMultiOptions> Extra>
    auto get_multi(Range&& range, Extra&& extra) {
        return get_multi(range, QuietMultiOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: keys, pairs of key and Expiry, or TouchEntry; `expiry` is of those that name none.
    template <detail::MultiRange<detail::ReadTouch> Range, class... Extra>
    auto get_and_touch_multi(Range&& range, Expiry expiry, QuietMultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(
            handle_.template multi<ValueResult, detail::ReadTouch>(
                detail::common_of(detail::OperationKind::get_and_touch, options), range, {.expiry = expiry}),
            std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadTouch> Range, detail::FaceArgument<QuietMultiOptions> Extra>
    auto get_and_touch_multi(Range&& range, Expiry expiry, Extra&& extra) {
        return get_and_touch_multi(range, expiry, QuietMultiOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: pairs of key and value (a `std::map<std::string, std::string>`), or StoreEntry.
    template <detail::MultiRange<detail::ReadStore> Range, class... Extra>
    auto upsert_multi(Range&& range, StoreMultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(
            handle_.template multi<OperationResult, detail::ReadStore>(
                detail::common_of(detail::OperationKind::upsert, options), range,
                {.expiry = options.expiry, .flags = options.flags, .preserve_expiry = options.preserve_expiry}),
            std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadStore> Range, detail::FaceArgument<StoreMultiOptions> Extra>
    auto upsert_multi(Range&& range, Extra&& extra) {
        return upsert_multi(range, StoreMultiOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: pairs of key and value, or InsertEntry.
    template <detail::MultiRange<detail::ReadInsert> Range, class... Extra>
    auto insert_multi(Range&& range, StoreMultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(
            handle_.template multi<OperationResult, detail::ReadInsert>(
                detail::common_of(detail::OperationKind::insert, options), range,
                {.expiry = options.expiry, .flags = options.flags, .preserve_expiry = options.preserve_expiry}),
            std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadInsert> Range, detail::FaceArgument<StoreMultiOptions> Extra>
    auto insert_multi(Range&& range, Extra&& extra) {
        return insert_multi(range, StoreMultiOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: pairs of key and value, or StoreEntry.
    template <detail::MultiRange<detail::ReadStore> Range, class... Extra>
    auto replace_multi(Range&& range, StoreMultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(
            handle_.template multi<OperationResult, detail::ReadStore>(
                detail::common_of(detail::OperationKind::replace, options), range,
                {.expiry = options.expiry, .flags = options.flags, .preserve_expiry = options.preserve_expiry}),
            std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadStore> Range, detail::FaceArgument<StoreMultiOptions> Extra>
    auto replace_multi(Range&& range, Extra&& extra) {
        return replace_multi(range, StoreMultiOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: pairs of key and value, or ConcatEntry.
    template <detail::MultiRange<detail::ReadConcat> Range, class... Extra>
    auto append_multi(Range&& range, ConcatMultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.template multi<OperationResult, detail::ReadConcat>(
                              detail::common_of(detail::OperationKind::append, options), range),
                          std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadConcat> Range, detail::FaceArgument<ConcatMultiOptions> Extra>
    auto append_multi(Range&& range, Extra&& extra) {
        return append_multi(range, ConcatMultiOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: pairs of key and value, or ConcatEntry.
    template <detail::MultiRange<detail::ReadConcat> Range, class... Extra>
    auto prepend_multi(Range&& range, ConcatMultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.template multi<OperationResult, detail::ReadConcat>(
                              detail::common_of(detail::OperationKind::prepend, options), range),
                          std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadConcat> Range, detail::FaceArgument<ConcatMultiOptions> Extra>
    auto prepend_multi(Range&& range, Extra&& extra) {
        return prepend_multi(range, ConcatMultiOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: keys, pairs of key and CAS or of key and result, CasEntry, or entries of another MultiResult: then
    /// each is removed only if it still has the CAS of that result, which must have one. quiet as for get_multi.
    template <detail::MultiRange<detail::ReadKeyOrCas> Range, class... Extra>
    auto remove_multi(Range&& range, RemoveMultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.template multi<OperationResult, detail::ReadKeyOrCas>(
                              detail::common_of(detail::OperationKind::remove, options), range),
                          std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadKeyOrCas> Range, detail::FaceArgument<RemoveMultiOptions> Extra>
    auto remove_multi(Range&& range, Extra&& extra) {
        return remove_multi(range, RemoveMultiOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: keys, pairs of key and delta, or CounterEntry; what they leave open is the call's.
    template <detail::MultiRange<detail::ReadCounter> Range, class... Extra>
    auto counter_multi(Range&& range, CounterMultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.template multi<ValueResult, detail::ReadCounter>(
                              detail::common_of(detail::OperationKind::counter, options), range,
                              {.expiry = options.expiry,
                               .preserve_expiry = options.preserve_expiry,
                               .delta = options.delta,
                               .initial = options.initial}),
                          std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadCounter> Range, detail::FaceArgument<CounterMultiOptions> Extra>
    auto counter_multi(Range&& range, Extra&& extra) {
        return counter_multi(range, CounterMultiOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: keys, pairs of key and Expiry, or TouchEntry; `expiry` is of those that name none (default: never).
    template <detail::MultiRange<detail::ReadTouch> Range, class... Extra>
    auto touch_multi(Range&& range, Expiry expiry = {}, MultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.template multi<OperationResult, detail::ReadTouch>(
                              detail::common_of(detail::OperationKind::touch, options), range, {.expiry = expiry}),
                          std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadTouch> Range, detail::FaceArgument<MultiOptions> Extra>
    auto touch_multi(Range&& range, Expiry expiry, Extra&& extra) {
        return touch_multi(range, expiry, MultiOptions{}, std::forward<Extra>(extra));
    }
    template <detail::MultiRange<detail::ReadTouch> Range, detail::FaceArgument<Expiry> Extra>
        requires detail::FaceArgument<Extra, MultiOptions>
    auto touch_multi(Range&& range, Extra&& extra) {
        return touch_multi(range, Expiry{}, MultiOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: keys, pairs of key and seconds, or LockEntry; `lock_time` (1 to 30 s) is of those that name none.
    template <detail::MultiRange<detail::ReadLock> Range, class... Extra>
    auto lock_multi(Range&& range, std::chrono::seconds lock_time, QuietMultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.template multi<ValueResult, detail::ReadLock>(
                              detail::common_of(detail::OperationKind::lock, options), range, {.lock_time = lock_time}),
                          std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadLock> Range, detail::FaceArgument<QuietMultiOptions> Extra>
    auto lock_multi(Range&& range, std::chrono::seconds lock_time, Extra&& extra) {
        return lock_multi(range, lock_time, QuietMultiOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: the MultiResult of lock_multi, pairs of key and CAS or of key and result, or CasEntry.
    template <detail::MultiRange<detail::ReadCas> Range, class... Extra>
    auto unlock_multi(Range&& range, MultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.template multi<OperationResult, detail::ReadCas>(
                              detail::common_of(detail::OperationKind::unlock, options), range),
                          std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadCas> Range, detail::FaceArgument<MultiOptions> Extra>
    auto unlock_multi(Range&& range, Extra&& extra) {
        return unlock_multi(range, MultiOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: keys, or entries of another MultiResult.
    template <detail::MultiRange<detail::ReadKey> Range, class... Extra>
    auto exists_multi(Range&& range, MultiOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.template multi<ExistsResult, detail::ReadKey>(
                              detail::common_of(detail::OperationKind::exists, options), range),
                          std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadKey> Range, detail::FaceArgument<MultiOptions> Extra>
    auto exists_multi(Range&& range, Extra&& extra) {
        return exists_multi(range, MultiOptions{}, std::forward<Extra>(extra));
    }

protected:
    MultiOperations(Face face, detail::BucketHandle handle) : face_(std::move(face)), handle_(std::move(handle)) {}
    ~MultiOperations() = default;
    MultiOperations(const MultiOperations&) = default;
    MultiOperations(MultiOperations&&) noexcept = default;
    MultiOperations& operator=(const MultiOperations&) = default;
    MultiOperations& operator=(MultiOperations&&) noexcept = default;

    Face face_;
    detail::BucketHandle handle_;
};

}  // namespace chaise
