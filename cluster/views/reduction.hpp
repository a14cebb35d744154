#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/views/design_document.hpp"
#include "cluster/views/script.hpp"

namespace chaise::testing {

/// Reduces the values of one group after another. Values come in lots (as from the nodes of an index's tree), each is
/// reduced, and what came of them is reduced again.
class Reduction {
public:
    /// `salt`: the script's.
    Reduction(const ViewDefinition& view, std::uint64_t salt);

    /// False: error() says why, and the reduction is over.
    [[nodiscard]] bool add(std::string_view key, std::string_view value);
    /// What the group's values come to, as JSON; the next group begins.
    [[nodiscard]] bool finish(std::string& result);
    [[nodiscard]] const std::string& error() const noexcept { return error_; }

private:
    [[nodiscard]] bool add_number(std::string_view key, std::string_view value);
    [[nodiscard]] bool add_to_lot(std::string_view key, std::string_view value);
    [[nodiscard]] bool reduce_lot();

    Reducer reducer_;
    std::string name_;
    std::string error_;
    std::unique_ptr<Script> script_;
    Script::Function function_ = 0;
    // of scripts
    std::string keys_;
    std::string values_;
    std::size_t lot_ = 0;
    std::vector<std::string> partial_;
    // of the others
    double sum_ = 0;
    double count_ = 0;
    double min_ = 0;
    double max_ = 0;
    double squares_ = 0;
};

}  // namespace chaise::testing
