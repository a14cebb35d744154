#include "cluster/http/control_http.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

namespace chaise::testing {

/// The parameters of a request. \throws std::invalid_argument for what cannot be read.
class Query {
public:
    explicit Query(std::string_view target) {
        const std::size_t mark = target.find('?');
        std::string_view rest = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find('&'), rest.size());
            const std::string_view pair = rest.substr(0, end);
            const std::size_t equals = std::min(pair.find('='), pair.size());
            if (equals < pair.size()) {
                values_[percent_decode(pair.substr(0, equals))] = percent_decode(pair.substr(equals + 1));
            }
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    [[nodiscard]] const std::string* find(const char* name) const {
        const auto found = values_.find(name);
        return found == values_.end() || found->second.empty() ? nullptr : &found->second;
    }
    [[nodiscard]] std::optional<std::uint64_t> number(const char* name, std::uint64_t most) const {
        const std::string* const text = find(name);
        if (text == nullptr) return std::nullopt;
        const bool hex = text->starts_with("0x");
        const char* const end = text->data() + text->size();
        std::uint64_t value = 0;
        const auto read = std::from_chars(text->data() + (hex ? 2 : 0), end, value, hex ? 16 : 10);
        if (read.ec != std::errc() || read.ptr != end || value > most) refuse(name);
        return value;
    }
    [[nodiscard]] double real(const char* name, double otherwise) const {
        const std::string* const text = find(name);
        if (text == nullptr) return otherwise;
        double value = 0;
        const char* const end = text->data() + text->size();
        const auto read = std::from_chars(text->data(), end, value);
        if (read.ec != std::errc() || read.ptr != end) refuse(name);
        return value;
    }
    [[nodiscard]] double probability(const char* name, double otherwise) const {
        const double value = real(name, otherwise);
        if (!(value >= 0 && value <= 1)) refuse(name);
        return value;
    }
    /// Milliseconds.
    [[nodiscard]] Duration time(const char* name) const {
        if (const std::string* const text = find(name); text != nullptr && *text == "never") return never;
        const double value = real(name, 0);
        if (!(value > -1e12 && value < 1e12)) refuse(name);
        return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(value));
    }
    [[nodiscard]] Duration delay(const char* name) const {
        const Duration value = time(name);
        if (value < Duration::zero()) refuse(name);
        return value;
    }
    /// "0,1,2"
    [[nodiscard]] std::vector<std::size_t> numbers(const char* name) const {
        std::vector<std::size_t> all;
        const std::string* const text = find(name);
        if (text == nullptr) refuse(name);
        for (const char *at = text->data(), *const end = at + text->size();; ++at) {
            std::size_t value = 0;
            const auto read = std::from_chars(at, end, value);
            if (read.ec != std::errc() || (read.ptr != end && *read.ptr != ',')) refuse(name);
            all.push_back(value);
            at = read.ptr;
            if (at == end) return all;
        }
    }
    [[noreturn]] static void refuse(const char* name) {
        throw std::invalid_argument(std::string("cannot read parameter '") + name + "'");
    }

private:
    std::map<std::string, std::string, std::less<>> values_;
};

namespace {

constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();

HttpResponse text_answer(int status, std::string text) {
    return {.status = status, .content_type = "text/plain", .headers = {}, .body = std::move(text), .stream = {}};
}

std::optional<std::size_t> read_index(const std::string& text) {
    std::size_t value = 0;
    const char* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, value);
    return read.ec == std::errc() && read.ptr == end ? std::optional(value) : std::nullopt;
}

}  // namespace

HttpResponse ControlHttp::answer(const HttpRequest& request) {
    const std::vector<std::string> path = request.path();
    try {
        if (request.method == "GET") {
            if (!path.empty() && !(path.size() == 1 && path[0].empty())) return text_answer(404, "no such thing\n");
            return {.headers = {}, .body = state(), .stream = {}};
        }
        if (request.method == "DELETE" && path.size() == 1 && path[0] == "errors") {
            cluster_.clear_error_bursts();
            return text_answer(200, "");
        }
        if (request.method != "POST") return text_answer(405, "GET and POST\n");
        std::string body;
        if (!post(path, Query(request.target), body)) return text_answer(404, "no such thing\n");
        return {.headers = {}, .body = std::move(body), .stream = {}};
    } catch (const std::out_of_range& error) {
        return text_answer(404, std::string(error.what()) + "\n");
    } catch (const std::logic_error& error) {
        return text_answer(400, std::string(error.what()) + "\n");
    }
}

std::string ControlHttp::state() const {
    std::string json = R"({"nodes":[)";
    for (std::size_t node = 0; node < cluster_.nodes(); ++node) {
        if (node != 0) json += ',';
        json += R"({"node":)" + std::to_string(node) + R"(,"kv":")" + cluster_.endpoint(node).to_string();
        json += R"(","mgmt":")" + cluster_.management_endpoint(node).to_string();
        json += std::string(R"(","alive":)") + (cluster_.alive(node) ? "true" : "false");
        json += std::string(R"(,"member":)") + (cluster_.member(node) ? "true" : "false");
        json += R"(,"connections":)" + std::to_string(cluster_.connections(node)) + "}";
    }
    return json + R"(],"rebalancing":)" + (cluster_.rebalancing() ? "true}" : "false}");
}

bool ControlHttp::post(const std::vector<std::string>& path, const Query& query, std::string& body) {
    const std::string what = path.empty() ? "" : path[0];
    if (what == "nodes" && path.size() == 1) {
        const std::string* const group = query.find("group");
        body = R"({"node":)" + std::to_string(group ? cluster_.add_node(*group) : cluster_.add_node()) + "}";
    } else if (what == "nodes" && path.size() == 3) {
        const auto node = read_index(path[1]);
        return node && post_to_node(*node, path[2], query);
    } else if (what == "rebalance" && path.size() == 1) {
        if (query.time("pace") == never) Query::refuse("pace");
        if (query.find("pace") != nullptr) cluster_.set_rebalance_pace(query.delay("pace"));
        cluster_.rebalance(query.numbers("nodes"));
    } else if (what == "errors" && path.size() == 1) {
        ErrorBurst burst{.times = query.number("times", any).value_or(0),
                         .probability = query.probability("probability", 1)};
        burst.status = static_cast<std::uint16_t>(query.number("status", 0xffff).value_or(burst.status));
        if (const auto opcode = query.number("opcode", 0xff)) burst.opcode = static_cast<std::uint8_t>(*opcode);
        if (const auto node = query.number("node", cluster_.nodes() - 1)) burst.node = *node;
        cluster_.add_error_burst(burst);
    } else if (what == "locks" && path.size() == 2 && path[1] == "expire") {
        cluster_.expire_locks();
    } else if (what == "time" && path.size() == 1) {
        if (query.time("travel") == never) Query::refuse("travel");
        cluster_.time_travel(query.time("travel"));
    } else if (what == "replication" && path.size() == 1) {
        if (query.find("spread") != nullptr) cluster_.set_replication_spread(query.delay("spread"));
        const auto from = query.number("from", any), to = query.number("to", any);
        if (from.has_value() != to.has_value()) Query::refuse(from ? "to" : "from");
        if (from) {
            cluster_.set_replication_delay(*from, *to, query.delay("delay"));
        } else {
            cluster_.set_replication_delay(query.delay("delay"));
        }
    } else if (what == "persistence" && path.size() == 1) {
        if (query.find("spread") != nullptr) cluster_.set_persistence_spread(query.delay("spread"));
        if (const auto node = query.number("node", any)) {
            cluster_.set_persistence_delay(*node, query.delay("delay"));
        } else {
            cluster_.set_persistence_delay(query.delay("delay"));
        }
    } else {
        return false;
    }
    return true;
}

bool ControlHttp::post_to_node(std::size_t node, const std::string& what, const Query& query) {
    using Action = void (LocalCluster::*)(std::size_t);
    static const std::map<std::string, Action, std::less<>> actions = {
        {"kill", &LocalCluster::kill_node},
        {"restart", &LocalCluster::restart_node},
        {"pause", &LocalCluster::pause},
        {"resume", &LocalCluster::resume},
        {"failover", &LocalCluster::failover},
        {"graceful_failover", &LocalCluster::graceful_failover},
        {"hand_over", &LocalCluster::hand_over},
        {"rebalance_in", &LocalCluster::rebalance_in},
        {"rebalance_out", &LocalCluster::rebalance_out},
        {"close_connections", &LocalCluster::close_connections},
    };
    if (const auto action = actions.find(what); action != actions.end()) {
        (cluster_.*action->second)(node);
    } else if (what == "link") {
        if (query.time("jitter") == never) Query::refuse("jitter");
        cluster_.set_link_faults(node, {.delay = query.delay("delay"),
                                        .jitter = query.delay("jitter"),
                                        .drop = query.probability("drop", 0),
                                        .truncate = query.probability("truncate", 0),
                                        .corrupt = query.probability("corrupt", 0)});
    } else if (what == "config") {
        if (query.find("delay") != nullptr) cluster_.set_config_delay(node, query.delay("delay"));
        if (const auto on = query.number("conflicting", 1)) cluster_.set_conflicting_config(node, *on == 1);
    } else {
        return false;
    }
    return true;
}

}  // namespace chaise::testing
