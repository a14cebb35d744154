#include "protocol/ketama.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "protocol/md5.hpp"

namespace chaise::protocol {

namespace {

constexpr std::uint32_t digests_per_host = 40;  ///< each makes four points
constexpr std::uint32_t plain_points_per_host = 100;
constexpr std::uint16_t unsaid_port = 11211;

std::uint32_t one_at_a_time(std::string_view text) noexcept {
    std::uint32_t value = 0;
    for (const char c : text) {
        value += static_cast<std::uint32_t>(static_cast<signed char>(c));  // as libhashkit has it where char is signed
        value += value << 10;
        value ^= value >> 6;
    }
    value += value << 3;
    value ^= value >> 11;
    value += value << 15;
    return value;
}

/// What the points of a host are made of, up to the number.
std::string stem(RingScheme scheme, const RingHost& host) {
    if (scheme != RingScheme::couchbase) {
        return host.port == unsaid_port ? host.host + '-' : host.host + ':' + std::to_string(host.port) + '-';
    }
    const bool v6 = host.host.find(':') != std::string::npos;
    return (v6 ? '[' + host.host + ']' : host.host) + ':' + std::to_string(host.port) + '-';
}

/// libmemcached's arithmetic, step by step: in single precision, and what that comes to is what counts.
std::uint32_t digests_by_weight(std::uint32_t weight, std::uint64_t total, std::size_t hosts) noexcept {
    const float share = static_cast<float>(weight) / static_cast<float>(total);
    const float points = share * 160.0f / 4.0f * static_cast<float>(hosts);
    return static_cast<std::uint32_t>(std::floor(static_cast<float>(points + 0.0000000001)));
}

}  // namespace

Ring::Ring(RingScheme scheme, std::span<const RingHost> hosts) : scheme_(scheme) {
    std::vector<std::uint32_t> order(hosts.size());
    std::iota(order.begin(), order.end(), 0u);
    std::vector<std::string> stems;
    for (const RingHost& host : hosts) stems.push_back(stem(scheme, host));
    if (scheme == RingScheme::couchbase) {  // so that equal points go to the same host whatever the map's order
        std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return stems[a] < stems[b]; });
    }
    const bool weighted =
        scheme != RingScheme::ketama ||
        std::any_of(hosts.begin(), hosts.end(), [](const RingHost& host) { return host.weight != 1; });
    std::uint64_t total = 0;
    for (const RingHost& host : hosts) total += host.weight;

    for (const std::uint32_t host : order) {
        std::string text;
        if (!weighted) {
            for (std::uint32_t n = 0; n < plain_points_per_host; ++n) {
                text = stems[host] + std::to_string(n);
                points_.push_back({one_at_a_time(text), host});
            }
            continue;
        }
        const std::uint32_t digests = scheme == RingScheme::couchbase
                                          ? digests_per_host
                                          : digests_by_weight(hosts[host].weight, total, hosts.size());
        for (std::uint32_t n = 0; n < digests; ++n) {
            text = stems[host] + std::to_string(n);
            for (const std::uint32_t value : md5(text)) points_.push_back({value, host});
        }
    }
    std::stable_sort(points_.begin(), points_.end(), [](Point a, Point b) { return a.value < b.value; });
}

std::uint32_t Ring::place(std::string_view key) const noexcept {
    return scheme_ == RingScheme::ketama ? one_at_a_time(key) : md5(key)[0];
}

std::size_t Ring::owner(std::string_view key) const noexcept {
    if (points_.empty()) [[unlikely]]
        return nobody;
    const std::uint32_t at = place(key);
    const auto next =
        std::partition_point(points_.begin(), points_.end(), [at](Point point) { return point.value < at; });
    return (next == points_.end() ? points_.front() : *next).host;
}

}  // namespace chaise::protocol
