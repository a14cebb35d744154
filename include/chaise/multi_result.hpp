#pragma once

/// \file
/// What multi operations give: one outcome per entry, in the caller's order.

#include <chaise/detail/slot.hpp>
#include <chaise/error.hpp>
#include <chaise/expected.hpp>
#include <chaise/result.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise {

/// One entry of a multi operation: `for (const auto& [key, result] : all) if (result) use(*result);`
template <class T>
struct MultiEntry {
    std::string_view key;       ///< as the caller gave it; lives as long as the MultiResult or a copy of it
    Expected<T, Error> result;  ///< what the single operation would have given
    /// A result whose success() is true: neither an error nor, in quiet mode, "not found".
    [[nodiscard]] bool success() const noexcept { return result && result->success(); }
};

namespace detail {

/// What copies of a MultiResult, and the Error that it is attached to, share.
class AnyMultiData {
public:
    AnyMultiData() = default;
    AnyMultiData(const AnyMultiData&) = delete;
    AnyMultiData& operator=(const AnyMultiData&) = delete;
    virtual ~AnyMultiData() { delete[] index_.load(std::memory_order_relaxed); }

    /// A copy that lives as long as this.
    [[nodiscard]] std::string_view keep(std::string_view key);

protected:
    using KeyAt = std::string_view (*)(const AnyMultiData& data, std::size_t at);
    /// The first of `size` entries with this key, or `size`. Finds many entries by a table, made when first asked for.
    [[nodiscard]] std::size_t find(std::string_view key, std::size_t size, KeyAt key_at) const;

private:
    static constexpr std::size_t few = 16;
    const std::uint32_t* make_index(std::size_t size, std::size_t places, KeyAt key_at) const;

    std::vector<std::unique_ptr<char[]>> keys_;
    std::size_t room_ = 0;  ///< left in the last block of keys
    char* free_ = nullptr;
    mutable std::atomic<const std::uint32_t*> index_{nullptr};  ///< copies may be on other threads
};

template <class T>
class MultiData final : public AnyMultiData {
public:
    std::vector<MultiEntry<T>> entries;
    std::size_t failed = 0;     ///< entries with an error
    std::size_t succeeded = 0;  ///< entries whose success() is true

    [[nodiscard]] const MultiEntry<T>* find(std::string_view key) const {
        const std::size_t at = AnyMultiData::find(key, entries.size(), [](const AnyMultiData& data, std::size_t n) {
            return static_cast<const MultiData&>(data).entries[n].key;
        });
        return at == entries.size() ? nullptr : &entries[at];
    }
};

/// Of a multi operation that is under way, made for the asking; or null.
[[nodiscard]] std::shared_ptr<const AnyMultiData> entries_so_far(const Slot& whole);

}  // namespace detail

/// The outcomes of a multi operation (seed: MultiResult), in the order in which the caller gave the entries, one for
/// each of them, also for keys that were given twice. Given by the operation when every entry has its result; when one
/// has an error, the operation ends with the first of the errors in the caller's order, and
/// `error.all_results<T>()` is this. Before that, `AsyncResult::so_far()` gives the entries that have come.
///
/// Immutable; copies share it, and may be used on several threads. Long values keep the buffers alive that they were
/// received in (ValueResult::pinned_bytes). Default-constructed, it is empty.
template <class T>
class MultiResult {
public:
    using value_type = MultiEntry<T>;
    using const_iterator = const MultiEntry<T>*;
    using iterator = const_iterator;

    MultiResult() noexcept = default;

    /// Every entry's success() is true.
    [[nodiscard]] bool all_ok() const noexcept { return !data_ || data_->succeeded == size(); }
    [[nodiscard]] std::size_t size() const noexcept { return data_ ? data_->entries.size() : 0; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] const_iterator begin() const noexcept { return data_ ? data_->entries.data() : nullptr; }
    [[nodiscard]] const_iterator end() const noexcept { return begin() + size(); }
    /// By place; undefined from size() on.
    [[nodiscard]] const MultiEntry<T>& operator[](std::size_t at) const noexcept { return data_->entries[at]; }
    /// By key: the first of equal ones; null if there is none.
    [[nodiscard]] const MultiEntry<T>* find(std::string_view key) const { return data_ ? data_->find(key) : nullptr; }
    [[nodiscard]] bool contains(std::string_view key) const { return find(key) != nullptr; }
    /// The outcome of the key. \throws std::out_of_range if it was not among the entries.
    [[nodiscard]] const Expected<T, Error>& at(std::string_view key) const {
        const MultiEntry<T>* entry = find(key);
        if (!entry) throw std::out_of_range("chaise: a MultiResult has no such key");
        return entry->result;
    }
    /// The entries that failed, in the caller's order (an empty one costs nothing). The keys live as long as this.
    [[nodiscard]] std::vector<std::pair<std::string_view, Error>> errors() const {
        std::vector<std::pair<std::string_view, Error>> failed;
        if (!data_ || data_->failed == 0) return failed;
        failed.reserve(data_->failed);
        for (const MultiEntry<T>& entry : *this) {
            if (!entry.result) failed.emplace_back(entry.key, entry.result.error());
        }
        return failed;
    }

    /// Made by the engine.
    explicit MultiResult(std::shared_ptr<const detail::MultiData<T>> data) noexcept : data_(std::move(data)) {}
    /// Not for users: AsyncResult::so_far().
    [[nodiscard]] static MultiResult so_far(const detail::Slot& whole) {
        if (whole.outcome == detail::Outcome::result) {
            return *std::launder(reinterpret_cast<const MultiResult*>(whole.storage));
        }
        if (whole.error) return whole.error->template all_results<T>();
        return MultiResult(std::dynamic_pointer_cast<const detail::MultiData<T>>(detail::entries_so_far(whole)));
    }

private:
    std::shared_ptr<const detail::MultiData<T>> data_;
};

template <class T>
MultiResult<T> Error::all_results() const {
    return MultiResult<T>(std::dynamic_pointer_cast<const detail::MultiData<T>>(context().all_results));
}

template <class T>
MultiResult<T> Exception::all_results() const {
    return error_.all_results<T>();
}

}  // namespace chaise
