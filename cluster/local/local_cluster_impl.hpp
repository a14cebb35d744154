#pragma once

#include <chaise/testing/local_cluster.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/local/cluster_thread.hpp"
#include "cluster/local/node_hosts.hpp"
#include "cluster/local/rebalancer.hpp"

namespace chaise::testing {

/// What a LocalCluster consists of. Whoever looks at its nodes does so by call(), ask() or at(): they may have a thread
/// of their own.
class LocalCluster::Impl {
public:
    /// \throws std::invalid_argument
    static void check(const NodeAddresses& addresses);
    [[nodiscard]] static BucketSettings memcached_bucket(std::string_view name);

    Impl(const LocalClusterOptions& options, const Endpoint& kv, const Endpoint& http);
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() {
        call([&] {
            rebalancer_.reset();
            hosts_.reset();
            places_.reset();
        });
    }

    /// Each node has a name of its own only where each has a host of its own.
    void start(std::unique_ptr<NodeHosts> hosts);
    void call(const std::function<void()>& f) const {
        if (thread_) {
            thread_->call(f);
        } else {
            f();
        }
    }
    template <class F>
    [[nodiscard]] auto ask(F&& f) const {
        std::optional<decltype(f())> answer;
        call([&] { answer.emplace(f()); });
        return *std::move(answer);
    }
    /// \throws std::out_of_range
    void check_node(std::size_t node) const {
        if (node >= options_.nodes) throw std::out_of_range("LocalCluster: no node " + std::to_string(node));
    }
    template <class F>
    void at(std::size_t node, F&& f) const {
        check_node(node);
        call([&] { f(); });
    }

    [[nodiscard]] ClusterState& state() const noexcept { return *places_->state; }
    [[nodiscard]] NodeHosts& hosts() const noexcept { return *hosts_; }
    [[nodiscard]] NodePlaces& places() const noexcept { return *places_; }
    [[nodiscard]] NodeProcess* process(std::size_t node) const { return places_->places.at(node).process; }
    [[nodiscard]] const LocalClusterOptions& options() const noexcept { return options_; }

    [[nodiscard]] std::string bucket_name(std::string_view bucket) const {
        return bucket.empty() ? options_.bucket : std::string(bucket);
    }
    [[nodiscard]] std::shared_ptr<const BucketConfig> bucket(const std::string& name) const {
        auto config = state().bucket_config(name);
        if (!config) throw std::out_of_range("LocalCluster: no bucket '" + name + "'");
        return config;
    }

    /// A node's copy of the key's vbucket; null when it has none, or is dead.
    [[nodiscard]] const VBucket* copy(std::size_t node, const std::string& name, std::string_view key) const;

    NodeId add_node(std::string_view group);
    void set_pace(Duration pace) { pace_ = std::chrono::ceil<std::chrono::microseconds>(pace); }
    /// What has been begun goes on.
    void go_on_rebalancing();
    void set_simulated() noexcept { simulated_ = true; }

    void run_on(std::unique_ptr<ClusterThread> thread) { thread_ = std::move(thread); }
    [[nodiscard]] ClusterThread& thread() const noexcept { return *thread_; }

private:
    void join(std::size_t node, std::string_view group) {
        state().add_node(places_->places[node].kv.address, std::string(group));
        state().set_addresses(node, options_.addresses);
    }

    LocalClusterOptions options_;
    std::unique_ptr<ClusterThread> thread_;
    std::shared_ptr<NodePlaces> places_ = std::make_shared<NodePlaces>();
    std::unique_ptr<NodeHosts> hosts_;
    std::unique_ptr<Rebalancer> rebalancer_;
    std::chrono::microseconds pace_{1000};
    bool simulated_ = false;

    friend class LocalCluster;
};

}  // namespace chaise::testing
