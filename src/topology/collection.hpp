#pragma once

#include "protocol/frame.hpp"
#include "session/line.hpp"

#include <cstddef>
#include <string>
#include <utility>

namespace chaise::detail {

/// A collection of the bucket's, as the engine knows it; as old as the core once it has been asked for.
class Collection {
public:
    Collection(std::string scope, std::string name) : scope_(std::move(scope)), name_(std::move(name)) {}
    Collection(const Collection&) = delete;
    Collection& operator=(const Collection&) = delete;

    [[nodiscard]] const std::string& scope() const noexcept { return scope_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] std::size_t max_key_size() const noexcept { return max_key_size_; }
    /// Where its requests go, whatever their keys; null: where the cluster map has their keys.
    [[nodiscard]] Line* detour() const noexcept { return detour_; }
    void set_detour(Line* detour) noexcept { detour_ = detour; }

private:
    Line* detour_ = nullptr;
    std::size_t max_key_size_ = protocol::max_key_size;
    std::string scope_;
    std::string name_;
};

}  // namespace chaise::detail
