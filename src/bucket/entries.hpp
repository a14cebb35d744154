#pragma once

// The outcome of an operation of many entries, from those of the entries.

#include "bucket/core.hpp"

#include <chaise/multi_result.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace chaise::detail {

/// An entry's error, as the whole's.
inline Error multi_error(const Error& of_entry) {
    ErrorContext context = of_entry.context();
    context.operation += "_multi";
    return Error(of_entry.code(), std::move(context));
}

template <class T>
void add_entry(MultiData<T>& data, std::string_view key, Expected<T, Error> outcome) {
    const auto& entry = data.entries.emplace_back(data.keep(key), std::move(outcome));
    if (entry.success()) ++data.succeeded;
    if (!entry.result) ++data.failed;
}

/// The whole's error, with what all entries came to.
template <class T>
Error with_entries(const Error& error, const std::shared_ptr<MultiData<T>>& data) {
    ErrorContext context = error.context();
    if (data->entries.size() > 1) {
        context.message += (context.message.empty() ? "" : "; ") + std::to_string(data->failed) + " of " +
                           std::to_string(data->entries.size()) + " entries failed";
    }
    context.all_results = data;
    return Error(error.code(), std::move(context));
}

/// The MultiResult, or the first error in the caller's order.
template <class T>
void deliver_entries(Core& core, Slot& whole, std::shared_ptr<MultiData<T>>& data) {
    for (auto& entry : data->entries) {
        if (entry.result) continue;
        Error error = with_entries(multi_error(entry.result.error()), data);
        return core.deliver_error(whole, error);
    }
    MultiResult<T> result(std::move(data));
    core.deliver(whole, result);
}

}  // namespace chaise::detail
