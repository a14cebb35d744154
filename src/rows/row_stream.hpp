#pragma once

#include "protocol/cluster_map.hpp"
#include "protocol/row_splitter.hpp"
#include "rows/row_queue.hpp"
#include "rows/row_request.hpp"

#include <chaise/async_result.hpp>
#include <chaise/detail/bucket_handle.hpp>
#include <chaise/detail/row_source.hpp>
#include <chaise/http.hpp>
#include <chaise/iops.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::detail {

class Core;
struct RowVerdict;

/// One query of a service with rows: finds a node, asks it, takes the answer apart, and ends exactly once. Another node
/// is asked when the first gave no row, and asking twice does no harm. What it tells comes from a turn of its own, so
/// consumers never run inside HTTP.
class RowStream final : public RowSource, HttpReceiver {
public:
    RowStream(Core& core, const BucketHandle& bucket, RowRequest request);
    ~RowStream() override;

    void start(RowConsumer& consumer) override;
    [[nodiscard]] bool take(Row& row) override;
    [[nodiscard]] bool ended() const noexcept override;
    [[nodiscard]] const Error& error() const noexcept override { return error_; }
    [[nodiscard]] const RowsMeta& meta() const noexcept override { return meta_; }

    /// The bucket closes.
    void shut_down() noexcept;
    /// Nothing comes any more.
    void lose_loop() noexcept;
    /// After lose_loop(). It may be gone afterwards.
    void tell_loop_gone() { consumer_->on_loop_gone(); }

private:
    /// Outlives the stream in callbacks.
    struct Link {
        RowStream* stream = nullptr;
    };
    /// A row that waits for its document.
    struct Doc {
        std::shared_ptr<Link> link;
        Row row;
        bool done = false;
    };

    void on_head(int status, const HttpHeaders& headers) override;
    void on_body(std::string_view bytes) override;
    void on_end(const HttpEnd& end) override;
    void on_wake();
    void on_deadline();

    void connect();
    void ask();
    [[nodiscard]] std::optional<protocol::Endpoint> choose();
    [[nodiscard]] std::string body();
    void judge_answer();
    void conclude(RowVerdict verdict);
    /// True: another node is being asked.
    [[nodiscard]] bool ask_another();
    void forget_answer();
    void fail(errc code, std::string message, bool may_have_happened = false, std::int64_t server_code = 0);
    void end(Error error);
    void news();
    void fetch_docs();
    void watch_level();
    void leave_core() noexcept;

    Core& core_;
    BucketHandle bucket_;
    RowRequest request_;
    RowConsumer* consumer_ = nullptr;
    std::shared_ptr<Link> link_;
    AsyncResult<OperationResult> connecting_;
    std::unique_ptr<TimerEvent> wake_;
    std::unique_ptr<TimerEvent> deadline_;
    std::optional<protocol::RowSplitter> splitter_;
    RowQueue queue_;
    std::deque<std::shared_ptr<Doc>> docs_;
    std::string other_body_;  ///< the beginning of one whose status is not 200
    protocol::Endpoint node_;
    std::vector<protocol::Endpoint> tried_;
    TimePoint started_{};
    std::uint64_t given_ = 0;
    std::uint32_t attempts_ = 0;
    int status_ = 0;
    HttpHeaders headers_;
    bool paused_ = false;
    bool over_ = false;
    bool by_plan_ = false;  ///< the request names a prepared plan
    bool replanned_ = false;
    bool loop_gone_ = false;
    Error error_;
    RowsMeta meta_;
    std::unique_ptr<HttpExchange> exchange_;
};

}  // namespace chaise::detail
