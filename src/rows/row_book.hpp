#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace chaise::detail {

class RowStream;

/// Names of the plans of prepared statements, those that were used last.
class PreparedStatements {
public:
    static constexpr std::size_t most = 5000;
    /// Null: it is not prepared.
    [[nodiscard]] const std::string* find(const std::string& statement) {
        const auto at = places_.find(statement);
        if (at == places_.end()) return nullptr;
        used_.splice(used_.begin(), used_, at->second);
        return &at->second->second;
    }
    void put(const std::string& statement, std::string name) {
        erase(statement);
        used_.emplace_front(statement, std::move(name));
        places_[used_.front().first] = used_.begin();
        if (used_.size() > most) erase(std::string(used_.back().first));
    }
    void erase(const std::string& statement) {
        const auto at = places_.find(statement);
        if (at == places_.end()) return;
        const auto entry = at->second;
        places_.erase(at);  // its key is the entry's
        used_.erase(entry);
    }
    [[nodiscard]] std::size_t size() const noexcept { return used_.size(); }

private:
    std::list<std::pair<std::string, std::string>> used_;
    std::unordered_map<std::string_view, std::list<std::pair<std::string, std::string>>::iterator> places_;
};

/// What a bucket knows of its row streams.
struct RowBook {
    std::vector<RowStream*> streams;  ///< those that were started
    PreparedStatements prepared;
};

}  // namespace chaise::detail
