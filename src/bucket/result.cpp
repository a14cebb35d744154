#include <chaise/result.hpp>

#include <charconv>

namespace chaise {

std::string Result::errstr() const { return make_error_code(rc_).message(); }

ValueResult ValueResult::of_counter(std::uint64_t number, Cas cas, const MutationToken* token) {
    char text[20];
    const auto end = std::to_chars(text, text + sizeof(text), number).ptr;
    ValueResult result(std::string_view(text, static_cast<std::size_t>(end - text)), 0, 0, cas, nullptr);
    result.marks_ |= is_counter;
    std::memcpy(result.inline_ + counter_at, &number, sizeof(number));
    if (token) {
        result.marks_ |= has_token;
        std::memcpy(result.inline_ + token_at, static_cast<const void*>(token), sizeof(*token));
    }
    return result;
}

std::string_view StatsResult::get(std::string_view statistic, std::string_view server) const {
    const auto found = stats_.find(statistic);
    if (found == stats_.end()) return {};
    const auto value = server.empty() ? found->second.begin() : found->second.find(server);
    return value == found->second.end() ? std::string_view() : std::string_view(value->second);
}

void StatsResult::add(std::string_view server, std::string_view statistic, std::string_view value) {
    auto found = stats_.find(statistic);
    if (found == stats_.end()) found = stats_.emplace(std::string(statistic), Servers{}).first;
    found->second.insert_or_assign(std::string(server), std::string(value));
    bytes_ += statistic.size() + server.size() + value.size();
}

void StatsResult::merge(StatsResult&& other) {
    for (auto& [statistic, servers] : other.stats_) stats_[statistic].merge(servers);
    bytes_ += other.bytes_;
}

}  // namespace chaise
