#pragma once

/// \file
/// MutationState: what a later query must have seen of one's own mutations.

#include <chaise/multi_result.hpp>
#include <chaise/mutation_token.hpp>
#include <chaise/result.hpp>

#include <cstddef>
#include <cstdint>
#include <map>

namespace chaise {

/// The mutation tokens of one bucket's results, one for each vbucket: the newest that was added (seed: MutationState).
/// A value; tokens of different buckets do not belong into one.
class MutationState {
public:
    MutationState() = default;
    /// \throws nothing; results without a token (the server sent none, the operation failed) add nothing.
    template <class... Results>
    explicit MutationState(const Results&... results) {
        (static_cast<void>(add(results)), ...);
    }

    /// Of two tokens with one history the later counts; a token of another history than the one there, after a
    /// failover, takes its place. True: it was taken, or another as late was there.
    bool add(const MutationToken& token) {
        const auto [at, fresh] = tokens_.try_emplace(token.vbucket, token);
        if (!fresh && (at->second.vbucket_uuid != token.vbucket_uuid || at->second.seqno < token.seqno)) {
            at->second = token;
        }
        return true;
    }
    /// Of a mutation. False: it has no token.
    template <class R>
        requires requires(const R& result) { result.mutation_token(); }
    bool add(const R& result) {
        const auto token = result.mutation_token();
        return token && add(*token);
    }
    /// Of those of its mutations that have one.
    template <class T>
    bool add(const MultiResult<T>& results) {
        bool any = false;
        for (const MultiEntry<T>& entry : results) {
            const bool taken = entry.result ? add(*entry.result) : add(entry.result.error());
            any = any || taken;
        }
        return any;
    }
    /// Of a mutation that happened, though it could not be shown to be durable.
    bool add(const Error& error) {
        const auto& token = error.context().mutation_token;
        return token && add(*token);
    }
    void add(const MutationState& other) {
        for (const auto& [vbucket, token] : other.tokens_) add(token);
    }

    [[nodiscard]] bool empty() const noexcept { return tokens_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return tokens_.size(); }
    /// By vbucket.
    [[nodiscard]] const std::map<std::uint16_t, MutationToken>& tokens() const noexcept { return tokens_; }
    friend bool operator==(const MutationState&, const MutationState&) = default;

private:
    std::map<std::uint16_t, MutationToken> tokens_;
};

}  // namespace chaise
