#pragma once

#include <chaise/iops.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/http/http_message.hpp"
#include "cluster/kv/cluster_config.hpp"
#include "cluster/services/scripted_answers.hpp"

namespace chaise::testing {

/// What goes wrong with answers of a service.
struct HttpFault {
    HttpService service = HttpService::views;
    std::optional<NodeId> node{};  ///< of this node only
    std::uint64_t times = 1;       ///< answers that it happens to
    int status = 0;                ///< not 0: this and `body` are the answer
    std::string body{};
    Duration delay{};                    ///< before anything is sent, the status line included
    Duration piece_delay{};              ///< between pieces
    std::size_t piece = 0;               ///< bytes of the body sent at a time; 0: as they come
    std::optional<std::uint64_t> cut{};  ///< the connection ends behind so many bytes of the body; 0: before anything
};

/// Those that are to come, of all nodes. The first that fits an answer is taken.
class HttpFaults {
public:
    void add(HttpFault fault) { faults_.push_back(std::move(fault)); }
    void clear() { faults_.clear(); }
    [[nodiscard]] std::optional<HttpFault> take(HttpService service, NodeId node);

private:
    std::vector<HttpFault> faults_;
};

/// Lets the faults happen to what `inner` answers.
class FaultyHttp final : public HttpHandler {
public:
    /// All must outlive it and its streams.
    FaultyHttp(HttpHandler& inner, HttpService service, NodeId node, IOPS& iops, std::shared_ptr<HttpFaults> faults)
        : inner_(inner), service_(service), node_(node), iops_(iops), faults_(std::move(faults)) {}

    [[nodiscard]] HttpResponse answer(const HttpRequest& request) override;

private:
    HttpHandler& inner_;
    HttpService service_;
    NodeId node_;
    IOPS& iops_;
    std::shared_ptr<HttpFaults> faults_;
};

}  // namespace chaise::testing
