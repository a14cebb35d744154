#include "cluster/services/service_faults.hpp"

#include <algorithm>
#include <utility>

namespace chaise::testing {

namespace {

// Takes the inner answer as it comes and passes it on as the fault has it.
class FaultyStream final : public HttpStream, private HttpSink {
public:
    FaultyStream(const HttpResponse& response, HttpFault fault, IOPS& iops, HttpSink& out)
        : fault_(std::move(fault)), iops_(iops), out_(out), timer_(iops.timer_event_factory()) {
        timer_->set_handler([](void* self, int) { static_cast<FaultyStream*>(self)->due(); }, this);
        if (response.stream) {
            inner_ = response.stream(*this);
        } else {
            waiting_ = response.body;
            complete_ = true;
        }
        if (fault_.delay > Duration::zero()) wait(fault_.delay);
    }
    FaultyStream(const FaultyStream&) = delete;
    FaultyStream& operator=(const FaultyStream&) = delete;
    ~FaultyStream() override {
        inner_.reset();
        if (timer_->state() != Event::State::initialized) iops_.cleanup(*timer_);
    }

    bool on_room() override { return !over_ && !waits_ && go_on(); }

private:
    // ---- HttpSink of the inner stream --------------------------------------------------------------------------

    void send(std::string_view part) override { waiting_.append(part); }
    void end() override { complete_ = true; }
    void cut() override {
        fault_.cut = sent_ + waiting_.size();
        complete_ = true;
    }

    void wait(Duration delay) {
        waits_ = true;
        iops_.schedule(*timer_, std::chrono::ceil<std::chrono::microseconds>(delay));
    }
    void due() {
        waits_ = false;
        if (!over_) go_on();
    }
    bool go_on() {
        if (waiting_.empty() && !complete_ && inner_) inner_->on_room();
        if (waiting_.empty() && !complete_) return false;
        std::size_t size = fault_.piece == 0 ? waiting_.size() : std::min(fault_.piece, waiting_.size());
        if (fault_.cut) size = static_cast<std::size_t>(std::min<std::uint64_t>(size, *fault_.cut - sent_));
        if (size > 0) out_.send(std::string_view(waiting_).substr(0, size));
        waiting_.erase(0, size);
        sent_ += size;
        if (fault_.cut && sent_ == *fault_.cut) {
            over_ = true;
            out_.cut();
        } else if (waiting_.empty() && complete_) {
            over_ = true;
            out_.end();
        } else if (fault_.piece_delay > Duration::zero()) {
            wait(fault_.piece_delay);
            return false;
        }
        return true;
    }

    HttpFault fault_;
    IOPS& iops_;
    HttpSink& out_;
    std::unique_ptr<TimerEvent> timer_;
    std::string waiting_;
    std::uint64_t sent_ = 0;
    bool complete_ = false;
    bool waits_ = false;
    bool over_ = false;
    std::unique_ptr<HttpStream> inner_;
};

}  // namespace

std::optional<HttpFault> HttpFaults::take(HttpService service, NodeId node) {
    for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
        if (fault->service != service || (fault->node && *fault->node != node)) continue;
        HttpFault taken = *fault;
        if (--fault->times == 0) faults_.erase(fault);
        return taken;
    }
    return std::nullopt;
}

HttpResponse FaultyHttp::answer(const HttpRequest& request) {
    auto fault = faults_->take(service_, node_);
    if (!fault) return inner_.answer(request);
    auto response = std::make_shared<HttpResponse>();
    if (fault->status != 0) {
        response->status = fault->status;
        response->body = fault->body;
    } else {
        *response = inner_.answer(request);
    }
    HttpResponse faulty{
        .status = response->status,
        .content_type = response->content_type,
        .headers = response->headers,
        .body = {},
        .stream = [response, fault = *std::move(fault), &iops = iops_](HttpSink& sink) {
            return std::unique_ptr<HttpStream>(std::make_unique<FaultyStream>(*response, fault, iops, sink));
        }};
    faulty.head_waits = true;
    return faulty;
}

}  // namespace chaise::testing
