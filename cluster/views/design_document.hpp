#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::testing {

enum class Reducer : std::uint8_t { none, count, sum, stats, script };

struct ViewDefinition {
    std::string name;
    std::string map;
    Reducer reducer = Reducer::none;
    std::string reduce{};  ///< JavaScript; of Reducer::script
};

/// Never changes; a change makes a new one.
struct DesignDocument {
    std::string name;      ///< without "_design/"
    std::string json;      ///< as it was stored
    std::string revision;  ///< "1-…": counts, and tells contents apart
    std::vector<ViewDefinition> views;

    /// Null: it has no such view.
    [[nodiscard]] const ViewDefinition* view(std::string_view view_name) const noexcept;
    [[nodiscard]] bool development() const noexcept { return name.starts_with("dev_"); }
};

/// Why a document was refused.
struct DesignError {
    std::string error;
    std::string reason;
};

/// Those of all buckets (by their uuids); every node knows them at once.
class DesignDocuments {
public:
    using Pointer = std::shared_ptr<const DesignDocument>;

    /// Compiles all its functions first. Nothing: stored.
    [[nodiscard]] std::optional<DesignError> put(const std::string& bucket_uuid, std::string_view name,
                                                 std::string_view json);
    /// False: there was none.
    bool remove(const std::string& bucket_uuid, std::string_view name);
    /// Null: there is none.
    [[nodiscard]] Pointer find(const std::string& bucket_uuid, std::string_view name) const;
    [[nodiscard]] bool was_removed(const std::string& bucket_uuid, std::string_view name) const;
    [[nodiscard]] std::vector<Pointer> all(const std::string& bucket_uuid) const;

private:
    struct Entry {
        Pointer document;  // null: deleted
        std::uint64_t generation = 0;
    };
    [[nodiscard]] const Entry* entry(const std::string& bucket_uuid, std::string_view name) const;

    std::map<std::string, std::map<std::string, Entry, std::less<>>> buckets_;
};

}  // namespace chaise::testing
