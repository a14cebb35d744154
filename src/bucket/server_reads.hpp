#pragma once

// Statistics about one document, of each node that has a copy of it.

#include "bucket/core.hpp"
#include "bucket/parts.hpp"
#include "bucket/start.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::detail {

class KeyStats final : public Parts {
public:
    explicit KeyStats(std::string_view key) : key_(key) {}

    void start(Core& core, Slot& whole, Duration left) override;
    [[nodiscard]] bool needs_vbuckets() const noexcept override { return true; }
    [[nodiscard]] std::string_view about() const noexcept override { return key_; }
    void done(std::size_t n, OperationKind kind, void* result, Error* error) override;
    void finish(Core& core, Slot& whole) override;

private:
    const std::string key_;
    StatsResult stats_;
    std::vector<Error> errors_;
};

template <class Slots>
Slot& start_key_stats(Core& core, const Slots& slots, std::string_view key, const StatsOptions& options) {
    Slot& slot = slots.acquire(OperationKind::key_stats, protocol::Opcode::stat);
    if (!check_couchbase(core, slot, key, "statistics of keys") || !check_key(core, slot, key)) return slot;
    if (key.find_first_of(" \t\n\v\f\r") != std::string_view::npos) {
        // "key KEY VBUCKET" is text: the server would take the rest of the key for the vbucket.
        core.reject(slot, errc::invalid_argument, key, "statistics of a key with white space cannot be asked for");
    } else {
        core.submit_when_open(slot, std::make_unique<KeyStats>(key), options.timeout);
    }
    return slot;
}

}  // namespace chaise::detail
