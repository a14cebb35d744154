#pragma once

// HTTP over the transports of an IOPS, which in a simulated world are in memory: libcurl wants descriptors. One
// connection for each exchange; none is kept.

#include <chaise/http.hpp>
#include <chaise/iops.hpp>
#include <chaise/transport.hpp>

#include <memory>
#include <set>
#include <string>

namespace chaise::testing::sim {

class SimHttpExchange;

class SimHttpClient final : public HttpClient {
public:
    explicit SimHttpClient(IOPS& iops) noexcept : iops_(iops) {}
    ~SimHttpClient() override;
    [[nodiscard]] std::unique_ptr<HttpExchange> start(Request request, HttpReceiver& receiver) override;

private:
    friend class SimHttpExchange;
    IOPS& iops_;
    std::set<SimHttpExchange*> exchanges_;
};

}  // namespace chaise::testing::sim
