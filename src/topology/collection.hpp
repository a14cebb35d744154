#pragma once

#include "protocol/frame.hpp"
#include "protocol/leb128.hpp"
#include "session/line.hpp"

#include <chaise/error.hpp>
#include <chaise/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace chaise::detail {

/// A collection of the bucket's, as the engine knows it; as old as the core once it has been asked for. While its id is
/// not known its requests wait in a line of its own.
class Collection {
public:
    Collection(std::string scope, std::string name, std::size_t max_operations, std::size_t max_bytes,
               ByteBudget* budget = nullptr)
        : scope_(std::move(scope)), name_(std::move(name)), line_({}, max_operations, max_bytes, budget) {
        path_ = scope_ + '.' + name_;
        named_ = path_ != "_default._default";
        if (named_) {
            detour_ = &line_;
            // With an id of any length the key shall fit (protocol.md 1.6).
            max_key_size_ = protocol::max_key_size + 1 - protocol::max_leb128_size;
        }
    }
    Collection(const Collection&) = delete;
    Collection& operator=(const Collection&) = delete;

    [[nodiscard]] const std::string& scope() const noexcept { return scope_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// "scope.collection"
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// Another than the default collection: servers without collections do not have it.
    [[nodiscard]] bool named() const noexcept { return named_; }
    [[nodiscard]] std::size_t max_key_size() const noexcept { return max_key_size_; }
    /// Where its requests go, whatever their keys; null: where the cluster map has their keys.
    [[nodiscard]] Line* detour() const noexcept { return detour_; }
    /// As last heard of; the default collection's is 0 from the beginning.
    [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
    /// What its keys begin with.
    [[nodiscard]] std::string_view prefix() const noexcept { return {prefix_.data(), prefix_size_}; }
    /// Where its requests wait for the id.
    [[nodiscard]] Line& line() noexcept { return line_; }
    /// Why none of its requests can be sent, ever: plain memcached, or an impossible name. Empty: they can.
    [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }
    [[nodiscard]] errc refusal_code() const noexcept { return refusal_code_; }

private:
    friend class Collections;
    friend class Core;    // the detour of those who come late
    friend class Router;  // its detour, as long as there is no map

    /// How far one is with its id; `resting`: nobody has asked.
    enum class Search : std::uint8_t { resting, asking, pausing };

    void set_id(std::uint32_t id) noexcept {
        id_ = id;
        prefix_size_ = static_cast<std::size_t>(protocol::store_leb128(prefix_.data(), id) - prefix_.data());
    }

    Line* detour_ = nullptr;
    std::size_t max_key_size_ = protocol::max_key_size;
    std::uint32_t id_ = 0;
    std::array<char, protocol::max_leb128_size> prefix_{};
    std::size_t prefix_size_ = 1;
    std::uint64_t manifest_uid_ = 0;  ///< of the manifest that the id was found in
    std::string scope_;
    std::string name_;
    std::string path_;
    bool named_ = false;
    Line line_;
    errc refusal_code_ = errc::success;
    std::string refusal_;

    Search search_ = Search::resting;
    std::size_t step_ = 0;     ///< of the waits between questions; 0: none before the next
    std::size_t asked_ = 0;    ///< how many nodes, in turn
    std::size_t denials_ = 0;  ///< nodes that know of no such collection, one after the other
    TimePoint first_asked_{};  ///< of them
    TimePoint last_asked_{};
    TimePoint due_{};  ///< pausing until then
};

}  // namespace chaise::detail
