#pragma once

#include "protocol/cluster_map.hpp"
#include "session/backoff.hpp"
#include "topology/config_documents.hpp"

#include <chaise/error.hpp>
#include <chaise/http.hpp>
#include <chaise/iops.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace chaise::detail {

class Core;

/// Cluster maps from the management service: one node after the other is asked for its stream of maps, in the terse
/// form, or in that of older servers. Until one has given a map it makes one pass at a time, and the router decides
/// about the next; from then on a stream that ends is followed by another.
class HttpConfig final : HttpReceiver {
public:
    explicit HttpConfig(Core& core);
    HttpConfig(const HttpConfig&) = delete;
    HttpConfig& operator=(const HttpConfig&) = delete;
    ~HttpConfig();

    /// Asks these, in random order, unless it is at work.
    void start(std::vector<protocol::Endpoint> nodes);
    void stop() noexcept;
    /// Maps come from here.
    [[nodiscard]] bool established() const noexcept { return established_; }

private:
    enum class State : std::uint8_t {
        idle,
        resting,    ///< until the next attempt may be made
        asking,     ///< nothing of use has come yet
        streaming,  ///< a map has come
    };

    void on_head(int status, const HttpHeaders& headers) override;
    void on_body(std::string_view bytes) override;
    void on_end(const HttpEnd& end) override;
    void on_timer();

    void shuffle(std::vector<protocol::Endpoint> nodes);
    void next();
    void ask();
    void refused(errc code, std::string message);
    void pass_over();
    void rest(Duration delay);
    void take_documents();

    Core& core_;
    State state_ = State::idle;
    bool established_ = false;
    bool legacy_ = false;  ///< this node does not know the terse stream
    std::vector<protocol::Endpoint> nodes_;
    std::size_t next_ = 0;
    std::optional<ConfigDocuments> documents_;
    std::unique_ptr<HttpExchange> exchange_;
    std::unique_ptr<TimerEvent> timer_;
    Backoff backoff_;
    TimePoint since_{};
};

}  // namespace chaise::detail
