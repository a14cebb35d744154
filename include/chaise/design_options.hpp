#pragma once

/// \file
/// Options and results of design documents.

#include <chaise/http_result.hpp>
#include <chaise/time.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace chaise {

struct DesignOptions {
    /// Of the document "dev_" + name, whose views look at a sample, and which `publish` makes the real one (the seed's
    /// default).
    bool development = true;
    /// Of the whole operation.
    Duration timeout = std::chrono::seconds(75);
};
static_assert(std::is_trivially_destructible_v<DesignOptions>);

/// One of a list.
struct DesignDocument {
    std::string name;  ///< with its "dev_"
    std::string json;
};

/// The design documents of a bucket: a range of them. value(): the answer without them.
class DesignListResult : public HttpResult {
public:
    using value_type = DesignDocument;
    using const_iterator = std::vector<DesignDocument>::const_iterator;

    [[nodiscard]] const_iterator begin() const noexcept { return documents_.begin(); }
    [[nodiscard]] const_iterator end() const noexcept { return documents_.end(); }
    [[nodiscard]] std::size_t size() const noexcept { return documents_.size(); }
    [[nodiscard]] bool empty() const noexcept { return documents_.empty(); }
    [[nodiscard]] const DesignDocument& operator[](std::size_t n) const { return documents_.at(n); }

    DesignListResult() = default;
    /// Made by the engine.
    DesignListResult(HttpResult answer, std::vector<DesignDocument> documents) noexcept
        : HttpResult(std::move(answer)), documents_(std::move(documents)) {}

private:
    std::vector<DesignDocument> documents_;
};

}  // namespace chaise
