#pragma once

/// \file
/// Operations on documents of a type of one's own: `bucket.typed<User>()`.
///
/// ```
/// auto users = bucket.typed<User>();            // by DefaultTranscoder, or bucket.typed<User>(transcoder)
/// co_await users.upsert("ann", ann);
/// User found = (co_await users.get("ann")).value();
/// ```

#include <chaise/async_result.hpp>
#include <chaise/detail/bucket_handle.hpp>
#include <chaise/multi.hpp>
#include <chaise/transcoder.hpp>

#include <chrono>
#include <concepts>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace chaise {

/// A document, decoded.
template <class T>
class TypedResult : public Result {
public:
    TypedResult() = default;
    /// Not found, in quiet mode.
    explicit TypedResult(errc rc) : Result(rc, 0) {}
    TypedResult(T value, std::uint32_t flags, Cas cas)
        : Result(errc::success, cas), value_(std::move(value)), flags_(flags) {}

    /// \throws std::bad_optional_access when success() is false.
    [[nodiscard]] const T& value() const& { return value_.value(); }
    [[nodiscard]] T&& value() && { return std::move(value_).value(); }
    [[nodiscard]] std::uint32_t flags() const noexcept { return flags_; }

private:
    std::optional<T> value_;
    std::uint32_t flags_ = 0;
};

namespace detail {

/// What becomes of the results of a typed operation. The transcoder's type is forgotten.
template <class T>
class Decoding {
public:
    using Run = Coded<T> (*)(const void* transcoder, const ValueResult& result);
    Decoding(Run run, const void* transcoder, const char* operation, std::string_view key)
        : run_(run), transcoder_(transcoder), operation_(operation), key_(key) {}

    [[nodiscard]] Expected<TypedResult<T>, Error> operator()(const ValueResult& from) const {
        return decode(from, operation_, key_);
    }
    [[nodiscard]] Error operator()(Error error) const { return error; }

    [[nodiscard]] Expected<MultiResult<TypedResult<T>>, Error> operator()(const MultiResult<ValueResult>& from) const {
        auto all = decode_all(from);
        for (const auto& entry : all->entries) {
            if (entry.result) continue;
            ErrorContext context = entry.result.error().context();
            context.operation += "_multi";
            return Unexpected<Error>(attached(entry.result.error().code(), std::move(context), std::move(all)));
        }
        return MultiResult<TypedResult<T>>(std::move(all));
    }
    /// With what the entries came to, decoded.
    [[nodiscard]] Error of_multi(const Error& error) const {
        const auto all = error.all_results<ValueResult>();
        if (all.empty()) return error;
        return attached(error.code(), error.context(), decode_all(all));
    }

private:
    using All = MultiData<TypedResult<T>>;

    static Error attached(errc code, ErrorContext context, std::shared_ptr<const All> all) {
        context.all_results = std::move(all);
        return Error(code, std::move(context));
    }
    [[nodiscard]] Expected<TypedResult<T>, Error> decode(const ValueResult& from, std::string_view operation,
                                                         std::string_view key) const {
        if (!from.success()) return TypedResult<T>(from.rc());
        std::string why;
        try {
            Coded<T> value = run_(transcoder_, from);
            if (value) return TypedResult<T>(*std::move(value), from.flags(), from.cas());
            why = std::move(value).error();
        } catch (const std::exception& thrown) {
            why = thrown.what();
        }
        return Unexpected<Error>(Error(
            errc::decoding_failure,
            ErrorContext{.message = std::move(why), .operation = std::string(operation), .key = std::string(key)}));
    }
    [[nodiscard]] std::shared_ptr<All> decode_all(const MultiResult<ValueResult>& from) const {
        auto all = std::make_shared<All>();
        all->entries.reserve(from.size());
        for (const auto& entry : from) {
            auto result = entry.result ? decode(*entry.result, operation_, entry.key)
                                       : Expected<TypedResult<T>, Error>(Unexpected<Error>(entry.result.error()));
            if (!result) {
                ++all->failed;
            } else if (result->success()) {
                ++all->succeeded;
            }
            all->entries.emplace_back(all->keep(entry.key), std::move(result));
        }
        return all;
    }

    Run run_;
    const void* transcoder_;
    const char* operation_;
    std::string key_;
};

template <class T>
struct TypedSource {
    using type = ValueResult;
    using value = T;
    static Error error(const Decoding<T>&, Error error) { return error; }
};
template <class T>
struct TypedSource<MultiResult<TypedResult<T>>> {
    using type = MultiResult<ValueResult>;
    using value = T;
    static Error error(const Decoding<T>& decode, const Error& error) { return decode.of_multi(error); }
};
template <class T>
struct TypedSource<TypedResult<T>> : TypedSource<T> {};

/// Stands between the operation and the consumer of what is decoded.
template <class R, class C>
class DecodingConsumer {
public:
    using Source = TypedSource<R>;
    template <class... Args>
    explicit DecodingConsumer(Decoding<typename Source::value> decode, Args&&... args)
        : decode_(std::move(decode)), consumer_(std::forward<Args>(args)...) {}

    void on_result(typename Source::type&& from) && {
        Expected<R, Error> result = decode_(from);
        if (result) {
            std::move(consumer_).on_result(*std::move(result));
        } else {
            std::move(consumer_).on_error(std::move(result).error());
        }
    }
    void on_error(Error&& error) && { std::move(consumer_).on_error(Source::error(decode_, std::move(error))); }
    void on_abandoned() && {
        if constexpr (requires { std::move(consumer_).on_abandoned(); }) std::move(consumer_).on_abandoned();
    }

private:
    Decoding<typename Source::value> decode_;
    C consumer_;
};

/// `as_expected`: also what the throwing form is made of.
template <class R, bool throwing>
class DecodingAwaiter : public AwaiterBase<typename TypedSource<R>::type> {
public:
    using Source = TypedSource<R>;
    using Decode = Decoding<typename Source::value>;
    /// `decode` lies in the AsyncResult, which outlives the await.
    DecodingAwaiter(Slot* slot, const Decode& decode) noexcept
        : AwaiterBase<typename Source::type>(slot), decode_(&decode) {}
    auto await_resume() {
        Expected<R, Error> result = take();
        if constexpr (throwing) {
            if (!result) throw_error(std::move(result).error());
            return R(*std::move(result));
        } else {
            return result;
        }
    }

private:
    Expected<R, Error> take() {
        if (!this->has_result()) return Unexpected<Error>(Source::error(*decode_, this->take_error()));
        return (*decode_)(this->take_result());
    }
    const Decode* decode_;
};

/// The AsyncResult of a typed operation: that of the operation, and how its result is decoded: when the outcome comes,
/// in the consumer's own call. A consumer that decodes nothing costs nothing.
template <class R>
class DecodingResult {
    using Source = typename TypedSource<R>::type;
    using Decode = Decoding<typename TypedSource<R>::value>;

public:
    using value_type = R;
    /// Tells it from the engine's own AsyncResult, which is nothing but a slot.
    using decodes = Source;

    DecodingResult(AsyncResult<Source> operation, Decode decode)
        : operation_(std::move(operation)), decode_(std::move(decode)) {}

    [[nodiscard]] bool valid() const noexcept { return operation_.valid(); }
    template <std::invocable<R> Callback, std::invocable<const Error&> Errback>
    void set_callbacks(Callback&& callback, Errback&& errback) {
        consume(CallbackPair<std::decay_t<Callback>, std::decay_t<Errback>>{std::forward<Callback>(callback),
                                                                            std::forward<Errback>(errback)});
    }
    [[nodiscard]] DecodingAwaiter<R, true> operator co_await() const noexcept {
        return DecodingAwaiter<R, true>(operation_.slot(), decode_);
    }
    void cancel() { operation_.cancel(); }
    void detach() noexcept { operation_.detach(); }
    template <class C>
    void consume(C consumer) {
        emplace_consumer<C>(std::move(consumer));
    }
    template <class C, class... Args>
    void emplace_consumer(Args&&... args) {
        operation_.template emplace_consumer<DecodingConsumer<R, C>>(decode_, std::forward<Args>(args)...);
    }
    [[nodiscard]] Slot* slot() const noexcept { return operation_.slot(); }

    /// For co_await: owns the operation.
    class AsExpected {
    public:
        explicit AsExpected(DecodingResult operation) : operation_(std::move(operation)) {}
        [[nodiscard]] DecodingAwaiter<R, false> operator co_await() const noexcept {
            return DecodingAwaiter<R, false>(operation_.slot(), operation_.decode_);
        }

    private:
        DecodingResult operation_;
    };
    [[nodiscard]] DecodingAwaiter<R, false> as_expected() & noexcept {
        return DecodingAwaiter<R, false>(operation_.slot(), decode_);
    }
    [[nodiscard]] AsExpected as_expected() && { return AsExpected(std::move(*this)); }

private:
    AsyncResult<Source> operation_;
    Decode decode_;
};

}  // namespace detail

/// Of a typed operation: `set_callbacks`, `co_await`, `std::move(op).as_expected()`, `cancel`, `detach` and all rules
/// of AsyncResult hold. A value that cannot be decoded is `errc::decoding_failure` of this operation.
template <class T>
class [[nodiscard("await it, set callbacks, or detach() it")]] AsyncResult<TypedResult<T>>
    : public detail::DecodingResult<TypedResult<T>> {
    using detail::DecodingResult<TypedResult<T>>::DecodingResult;
};
/// The same of many entries: one that cannot be decoded has its error, and then so has the whole, with all the others
/// attached (`error.all_results<TypedResult<T>>()`).
template <class T>
class [[nodiscard("await it, set callbacks, or detach() it")]] AsyncResult<MultiResult<TypedResult<T>>>
    : public detail::DecodingResult<MultiResult<TypedResult<T>>> {
    using detail::DecodingResult<MultiResult<TypedResult<T>>>::DecodingResult;
};

namespace detail {

/// GCC 12 destroys a temporary aggregate inside a co_await expression twice (compiler-traps.md).
template <class T>
concept NamedFirst = std::is_aggregate_v<T> && !std::is_trivially_destructible_v<T>;

/// Elements that stay where they are: pairs of key and object.
template <class R, class T>
concept ObjectRange =
    std::ranges::input_range<const R> && std::is_lvalue_reference_v<std::ranges::range_reference_t<const R>> &&
    PairWith<std::ranges::range_value_t<R>, const T&>;

}  // namespace detail

/// The documents of a bucket or collection as objects of type T. Refers to the bucket (which must stay where it is) and
/// to the transcoder (which must outlive the operations); made by `typed<T>()`, cheap to copy.
///
/// Options are those of the untyped operations; `flags` are the transcoder's. A value that cannot be encoded is
/// `errc::encoding_failure`, before anything is sent.
template <class Face, class T, class X>
    requires Transcoder<X, T>
class TypedDocuments {
public:
    TypedDocuments(Face& face, detail::BucketHandle& handle, const X& transcoder) noexcept
        : face_(&face), handle_(&handle), transcoder_(&transcoder) {}

    template <class... Extra>
    auto get(std::string_view key, GetOptions options = {}, Extra&&... extra) {
        return wrap(handle_->get(key, options), "get", key, std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<GetOptions> Extra>
    auto get(std::string_view key, Extra&& extra) {
        return get(key, GetOptions{}, std::forward<Extra>(extra));
    }
    template <class... Extra>
    auto get_and_touch(std::string_view key, Expiry expiry, GetAndTouchOptions options = {}, Extra&&... extra) {
        return wrap(handle_->get_and_touch(key, expiry, options), "get_and_touch", key, std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<GetAndTouchOptions> Extra>
    auto get_and_touch(std::string_view key, Expiry expiry, Extra&& extra) {
        return get_and_touch(key, expiry, GetAndTouchOptions{}, std::forward<Extra>(extra));
    }
    template <class... Extra>
    auto lock(std::string_view key, std::chrono::seconds lock_time, LockOptions options = {}, Extra&&... extra) {
        return wrap(handle_->lock(key, lock_time, options), "lock", key, std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<LockOptions> Extra>
    auto lock(std::string_view key, std::chrono::seconds lock_time, Extra&& extra) {
        return lock(key, lock_time, LockOptions{}, std::forward<Extra>(extra));
    }

    template <class... Extra>
    auto upsert(std::string_view key, const T& value, UpsertOptions options = {}, Extra&&... extra) {
        return store(detail::OperationKind::upsert, key, value, options, std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<UpsertOptions> Extra>
    auto upsert(std::string_view key, const T& value, Extra&& extra) {
        return upsert(key, value, UpsertOptions{}, std::forward<Extra>(extra));
    }
    template <class... Extra>
    auto insert(std::string_view key, const T& value, InsertOptions options = {}, Extra&&... extra) {
        const StoreOptions as_store{.expiry = options.expiry,
                                    .persist_to = options.persist_to,
                                    .replicate_to = options.replicate_to,
                                    .durability = options.durability,
                                    .timeout = options.timeout};
        return store(detail::OperationKind::insert, key, value, as_store, std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<InsertOptions> Extra>
    auto insert(std::string_view key, const T& value, Extra&& extra) {
        return insert(key, value, InsertOptions{}, std::forward<Extra>(extra));
    }
    template <class... Extra>
    auto replace(std::string_view key, const T& value, ReplaceOptions options = {}, Extra&&... extra) {
        return store(detail::OperationKind::replace, key, value, options, std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ReplaceOptions> Extra>
    auto replace(std::string_view key, const T& value, Extra&& extra) {
        return replace(key, value, ReplaceOptions{}, std::forward<Extra>(extra));
    }

    // An object of such a type is named in a local first: GCC 12 destroys it twice otherwise.
    template <class... Extra>
        requires detail::NamedFirst<T>
    void upsert(std::string_view, T&&, UpsertOptions = {}, Extra&&...) = delete;
    template <detail::FaceArgument<UpsertOptions> Extra>
        requires detail::NamedFirst<T>
    void upsert(std::string_view, T&&, Extra&&) = delete;
    template <class... Extra>
        requires detail::NamedFirst<T>
    void insert(std::string_view, T&&, InsertOptions = {}, Extra&&...) = delete;
    template <detail::FaceArgument<InsertOptions> Extra>
        requires detail::NamedFirst<T>
    void insert(std::string_view, T&&, Extra&&) = delete;
    template <class... Extra>
        requires detail::NamedFirst<T>
    void replace(std::string_view, T&&, ReplaceOptions = {}, Extra&&...) = delete;
    template <detail::FaceArgument<ReplaceOptions> Extra>
        requires detail::NamedFirst<T>
    void replace(std::string_view, T&&, Extra&&) = delete;

    /// As MultiOperations::get_multi.
    template <detail::MultiRange<detail::ReadKey> Range, class... Extra>
    auto get_multi(Range&& range, QuietMultiOptions options = {}, Extra&&... extra) {
        using R = MultiResult<TypedResult<T>>;
        return face_->wrap(
            AsyncResult<R>(
                handle_->template multi<ValueResult, detail::ReadKey>(
                    {.kind = detail::OperationKind::get, .timeout = options.timeout, .quiet = options.quiet}, range),
                decoding("get", {})),
            std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadKey> Range, detail::FaceArgument<QuietMultiOptions> Extra>
    auto get_multi(Range&& range, Extra&& extra) {
        return get_multi(std::forward<Range>(range), QuietMultiOptions{}, std::forward<Extra>(extra));
    }
    /// As MultiOperations::upsert_multi, of pairs of key and object (a `std::map<std::string, T>`). One that cannot be
    /// encoded refuses the call.
    template <detail::ObjectRange<T> Range, class... Extra>
    auto upsert_multi(const Range& range, StoreMultiOptions options = {}, Extra&&... extra) {
        return store_multi(detail::OperationKind::upsert, range, options, std::forward<Extra>(extra)...);
    }
    template <detail::ObjectRange<T> Range, detail::FaceArgument<StoreMultiOptions> Extra>
    auto upsert_multi(const Range& range, Extra&& extra) {
        return upsert_multi(range, StoreMultiOptions{}, std::forward<Extra>(extra));
    }
    template <detail::ObjectRange<T> Range, class... Extra>
    auto insert_multi(const Range& range, StoreMultiOptions options = {}, Extra&&... extra) {
        return store_multi(detail::OperationKind::insert, range, options, std::forward<Extra>(extra)...);
    }
    template <detail::ObjectRange<T> Range, detail::FaceArgument<StoreMultiOptions> Extra>
    auto insert_multi(const Range& range, Extra&& extra) {
        return insert_multi(range, StoreMultiOptions{}, std::forward<Extra>(extra));
    }
    template <detail::ObjectRange<T> Range, class... Extra>
    auto replace_multi(const Range& range, StoreMultiOptions options = {}, Extra&&... extra) {
        return store_multi(detail::OperationKind::replace, range, options, std::forward<Extra>(extra)...);
    }
    template <detail::ObjectRange<T> Range, detail::FaceArgument<StoreMultiOptions> Extra>
    auto replace_multi(const Range& range, Extra&& extra) {
        return replace_multi(range, StoreMultiOptions{}, std::forward<Extra>(extra));
    }

private:
    [[nodiscard]] detail::Decoding<T> decoding(const char* operation, std::string_view key) const {
        return {[](const void* transcoder, const ValueResult& result) -> Coded<T> {
                    return static_cast<const X*>(transcoder)->template decode<T>(result);
                },
                transcoder_, operation, key};
    }
    template <class... Extra>
    auto wrap(AsyncResult<ValueResult> operation, const char* name, std::string_view key, Extra&&... extra) {
        return face_->wrap(AsyncResult<TypedResult<T>>(std::move(operation), decoding(name, key)),
                           std::forward<Extra>(extra)...);
    }
    [[nodiscard]] Coded<EncodedValue> encode(const T& value, std::string& room) const {
        try {
            return transcoder_->encode(value, room);
        } catch (const std::exception& thrown) {
            return uncoded(thrown.what());
        }
    }
    template <class... Extra>
    auto store(detail::OperationKind kind, std::string_view key, const T& value, StoreOptions options,
               Extra&&... extra) {
        std::string room;
        Coded<EncodedValue> encoded = encode(value, room);
        if (!encoded) {
            return face_->wrap(AsyncResult<OperationResult>(
                                   &handle_->refuse(kind, key, errc::encoding_failure, std::move(encoded).error())),
                               std::forward<Extra>(extra)...);
        }
        options.flags = encoded->flags;
        return face_->wrap(handle_->store(kind, key, encoded->value, options), std::forward<Extra>(extra)...);
    }
    template <class Range, class... Extra>
    auto store_multi(detail::OperationKind kind, const Range& range, const StoreMultiOptions& options,
                     Extra&&... extra) {
        std::deque<std::string> rooms;  // what is in them stays where it is
        std::vector<StoreEntry> entries;
        for (const auto& [key, value] : range) {
            Coded<EncodedValue> encoded = encode(value, rooms.emplace_back());
            if (!encoded) {
                return face_->wrap(AsyncResult<MultiResult<OperationResult>>(&handle_->refuse_multi(
                                       kind, key, errc::encoding_failure, std::move(encoded).error())),
                                   std::forward<Extra>(extra)...);
            }
            entries.push_back(StoreEntry{.key = key, .value = encoded->value, .flags = encoded->flags});
        }
        return face_->wrap(handle_->template multi<OperationResult, detail::ReadStore>(
                               detail::common_of(kind, options), entries,
                               {.expiry = options.expiry, .preserve_expiry = options.preserve_expiry}),
                           std::forward<Extra>(extra)...);
    }

    Face* face_;
    detail::BucketHandle* handle_;
    const X* transcoder_;
};

namespace detail {
inline constexpr DefaultTranscoder default_transcoder{};
}  // namespace detail

}  // namespace chaise
