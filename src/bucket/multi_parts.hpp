#pragma once

#include "bucket/core.hpp"
#include "bucket/durable_mutation.hpp"
#include "bucket/endure_parts.hpp"
#include "bucket/entries.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise::detail {

/// The entries of a multi operation. Mutations of which copies are awaited are polled together, each from its own
/// outcome on.
class MultiParts : public EndureParts {
public:
    virtual void add(std::string_view key) = 0;
    /// Before any entry is added.
    void endure(const Awaited& awaited) { awaited_ = awaited; }
    [[nodiscard]] const std::optional<Awaited>& awaited() const noexcept { return awaited_; }

protected:
    std::optional<Awaited> awaited_;
};

template <class T>
class PartsOf final : public MultiParts {
public:
    PartsOf(Slot& whole, std::optional<Duration> timeout, std::size_t expected)
        : whole_(whole), timeout_(timeout), data_(std::make_shared<MultiData<T>>()) {
        data_->entries.reserve(expected);
    }
    void add(std::string_view key) override {
        data_->entries.emplace_back(data_->keep(key), Unexpected<Error>(Error()));
        if (awaited_) others_may_join(++mutations_ != 0);
    }
    void done(std::size_t n, OperationKind kind, void* result, Error* error) override {
        if (polled(n, kind, result, error)) return;
        Expected<T, Error>& entry = data_->entries[n].result;
        if (error) {
            ++data_->failed;
            entry = Unexpected<Error>(std::move(*error));
        } else {
            entry = std::move(*static_cast<T*>(result));
            if (entry->success()) ++data_->succeeded;
        }
        if constexpr (mutates) {
            if (!awaited_) return;
            if (entry && entry->success()) happened(n);
            if (--mutations_ == 0) others_may_join(false);
        }
    }
    void finish(Core& core, Slot& whole) override {
        settle();
        deliver_entries(core, whole, data_);
    }
    std::shared_ptr<const AnyMultiData> so_far() const override {
        auto data = std::make_shared<MultiData<T>>();
        for (const MultiEntry<T>& entry : data_->entries) {
            const bool done = entry.result ? !awaited_ : entry.result.error().code() != errc::success;
            if (done) add_entry(*data, entry.key, entry.result);
        }
        return data;
    }
    Error attach_to(Error error) override {
        settle();
        return with_entries(error, data_);
    }

private:
    /// Which copies have it is said in it.
    static constexpr bool mutates = requires(T& result) { result.set_copies(std::uint8_t{}, std::uint8_t{}); };

    void happened(std::size_t n) {
        Core& core = *whole_.core;
        const MultiEntry<T>& entry = data_->entries[n];
        errc code = errc::success;
        if (std::string fault = fault_of(core, awaited_->wanted, code); !fault.empty()) {
            return not_durable(n, error_of_entry(core.make_error_of_whole(whole_, code, std::move(fault), entry.key)));
        }
        Endure::Key key;
        key.name = entry.key;
        key.cas = entry.result->cas();
        key.token = entry.result->mutation_token();
        key.vbucket = key.token ? key.token->vbucket : core.router().route(entry.key).vbucket;
        Endure::Options wanted = awaited_->wanted;
        wanted.deadline = end_of_polling(core, whole_, *awaited_, timeout_);
        entries_.push_back(n);
        join_polling(core, whole_, wanted, std::move(key));
    }
    /// What the polling came to, said in the entries; once.
    void settle() {
        if constexpr (mutates) {
            for (std::size_t k = 0; k < entries_.size(); ++k) {
                if (key(k).outcome == errc::success) {
                    data_->entries[entries_[k]].result->set_copies(key(k).persisted_on(), key(k).replicated_on());
                } else {
                    not_durable(entries_[k], error_of_entry(error_of(key(k))));
                }
            }
            entries_.clear();
        }
    }
    void not_durable(std::size_t n, const Error& error) {
        Expected<T, Error>& entry = data_->entries[n].result;
        --data_->succeeded;
        ++data_->failed;
        entry = Unexpected<Error>(of_mutation(error, entry->cas(), entry->mutation_token()));
    }
    /// By the name of its single form.
    [[nodiscard]] Error error_of_entry(const Error& error) const {
        ErrorContext context = error.context();
        context.operation = operation_name(static_cast<OperationKind>(whole_.opcode));
        return Error(error.code(), std::move(context));
    }

    Slot& whole_;
    const std::optional<Duration> timeout_;
    std::shared_ptr<MultiData<T>> data_;
    std::size_t mutations_ = 0;         ///< that have no outcome yet
    std::vector<std::size_t> entries_;  ///< of each key that is polled
};

}  // namespace chaise::detail
