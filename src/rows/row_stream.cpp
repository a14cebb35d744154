#include "rows/row_stream.hpp"

#include "bucket/core.hpp"
#include "protocol/json_members.hpp"
#include "protocol/json_text.hpp"
#include "rows/row_book.hpp"
#include "rows/row_errors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace chaise::detail {

namespace {

/// Bytes of rows that wait to be taken: from here on nothing more is read, until there are so few again.
constexpr std::size_t high_level = std::size_t{256} << 10;
constexpr std::size_t low_level = std::size_t{64} << 10;
/// Documents that are fetched ahead of the row which is taken next.
constexpr std::size_t docs_ahead = 16;
/// Of what is told of an answer that is an error.
constexpr std::size_t longest_server_text = 4096;

}  // namespace

RowStream::RowStream(Core& core, const BucketHandle& bucket, RowRequest request)
    : core_(core),
      bucket_(bucket.default_collection()),
      request_(std::move(request)),
      link_(std::make_shared<Link>(Link{this})),
      wake_(core.iops().timer_event_factory()),
      deadline_(core.iops().timer_event_factory()) {
    wake_->set_handler([](void* self, int) { static_cast<RowStream*>(self)->on_wake(); }, this);
    deadline_->set_handler([](void* self, int) { static_cast<RowStream*>(self)->on_deadline(); }, this);
}

RowStream::~RowStream() {
    link_->stream = nullptr;
    if (connecting_.valid() && !loop_gone_) connecting_.cancel();
    exchange_.reset();
    leave_core();
    if (!loop_gone_) {
        core_.iops().cleanup(*wake_);
        core_.iops().cleanup(*deadline_);
    }
}

void RowStream::leave_core() noexcept {
    if (consumer_) std::erase(core_.row_book().streams, this);
}

// ---- whom to ask ----------------------------------------------------------------------------------------------------

void RowStream::start(RowConsumer& consumer) {
    if (consumer_) return;
    consumer_ = &consumer;
    core_.row_book().streams.push_back(this);
    started_ = core_.iops().now();
    if (request_.refused != errc::success) return fail(request_.refused, request_.why);
    if (core_.closed()) return fail(errc::shutdown, "the bucket was closed");
    if (core_.settings().connection.scheme == Scheme::memcached) {
        return fail(errc::unsupported_operation, "memcached has no such service");
    }
    core_.iops().schedule(*deadline_, std::chrono::ceil<std::chrono::microseconds>(
                                          std::min<Duration>(request_.timeout, longest_timeout)));
    if (core_.router().map() == nullptr) return connect();
    ask();
}

/// Until there is a map. A round of seeds that all fail is not the end, as for any other operation.
void RowStream::connect() {
    connecting_ = bucket_.server(OperationKind::connect, {.timeout = request_.timeout});
    connecting_.set_callbacks(
        [link = link_](const OperationResult&) {
            if (RowStream* self = link->stream; self && !self->over_) self->ask();
        },
        [link = link_](const Error& error) {
            RowStream* self = link->stream;
            if (!self || self->over_) return;
            const errc code = error.code();
            const bool temporary = error.is(ErrorKind::transient) || code == errc::host_not_found;
            const bool timeout = code == errc::timeout_before_send || code == errc::timeout_after_send;
            if (temporary && !timeout) return self->connect();
            self->fail(code, error.context().message);
        });
}

std::optional<protocol::Endpoint> RowStream::choose() {
    std::vector<protocol::Endpoint> nodes = core_.router().service_nodes(request_.at());
    std::erase_if(nodes, [&](const auto& one) { return std::find(tried_.begin(), tried_.end(), one) != tried_.end(); });
    if (nodes.empty()) return std::nullopt;
    return nodes[core_.iops().random() % nodes.size()];
}

std::string RowStream::body() {
    if (request_.prepared.empty()) return request_.body;
    std::string out = request_.body;
    const std::string* plan = core_.row_book().prepared.find(request_.plan_key);
    by_plan_ = plan != nullptr;
    out += by_plan_ ? ",\"prepared\":" : ",\"auto_execute\":true,\"statement\":";
    protocol::append_json_string(out, by_plan_ ? *plan : "PREPARE " + request_.prepared);
    return out + '}';
}

void RowStream::ask() {
    HttpClient* http = core_.http();
    if (!http) return fail(errc::feature_not_available, "this loop has no HTTP");
    if (core_.router().map() == nullptr) return connect();
    // Servers say "not found" of them, as of views that are not there.
    const BucketKind kind = bucket_.kind();
    if (request_.service == RowService::views && kind != BucketKind::couchbase) {
        return fail(errc::unsupported_operation, fmt::format("a bucket of kind {} has no views", name(kind)));
    }
    const auto node = choose();
    if (!node) return fail(errc::service_not_available, "no node of the cluster has this service");
    node_ = *node;
    tried_.push_back(node_);
    ++attempts_;
    status_ = 0;
    const Settings& settings = core_.settings();
    HttpClient::Request request;
    request.method = request_.method;
    request.host = node_.host;
    request.port = node_.port;
    request.target = request_.target;
    request.username = settings.username;
    request.password = settings.password;
    request.headers.push_back({"Accept", "application/json"});
    request.body = body();
    if (!request.body.empty()) request.headers.push_back({"Content-Type", "application/json"});
    request.connect_timeout = settings.connect_timeout;
    request.idle_timeout = request_.timeout;
    splitter_.emplace(request_.array);
    exchange_ = http->start(std::move(request), *this);
}

bool RowStream::ask_another() {
    if (given_ != 0 || !choose()) return false;
    forget_answer();
    ask();
    return true;
}

void RowStream::forget_answer() {
    exchange_.reset();
    queue_.clear();
    for (const auto& doc : docs_) doc->link = std::make_shared<Link>();
    docs_.clear();
    other_body_.clear();
    paused_ = false;
}

// ---- the answer -----------------------------------------------------------------------------------------------------

void RowStream::on_head(int status, const HttpHeaders& headers) {
    headers_ = headers;
    status_ = status;
    if (status == 200 && deadline_->active()) core_.iops().cancel(*deadline_);
}

void RowStream::on_body(std::string_view bytes) {
    if (status_ != 200 && other_body_.size() < longest_server_text) {
        other_body_ += bytes.substr(0, longest_server_text - other_body_.size());
    }
    if (request_.bodiless && status_ == 200) return;
    if (splitter_->error() != protocol::RowSplitError::none) return;  // of an error: judged by its status
    if (!queue_.add(*splitter_, bytes)) {
        return fail(errc::protocol_error, "a row is not valid JSON", request_.changes());
    }
    if (splitter_->error() != protocol::RowSplitError::none && status_ == 200) {
        return fail(errc::protocol_error,
                    fmt::format("{}, behind {} bytes", name(splitter_->error()), splitter_->offset()),
                    request_.changes());
    }
    watch_level();
    if (!queue_.empty()) news();
}

/// Nothing is read while many rows wait.
void RowStream::watch_level() {
    if (!exchange_) return;
    if (!paused_ && queue_.bytes() > high_level) {
        paused_ = true;
        exchange_->pause();
    } else if (paused_ && queue_.bytes() <= low_level) {
        paused_ = false;
        exchange_->resume();
    }
}

void RowStream::on_end(const HttpEnd& end) {
    if (!end.error) return judge_answer();
    const bool timed_out = end.error == std::errc::timed_out;
    const errc code = timed_out       ? end.sent ? errc::timeout_after_send : errc::timeout_before_send
                      : !end.resolved ? errc::host_not_found
                      : end.error == std::errc::protocol_error ? errc::protocol_error
                      : end.sent                               ? errc::connection_lost_after_send
                                                               : errc::not_connected;
    const bool harmless = !end.sent || (request_.read_only && !timed_out);
    if (harmless && ask_another()) return;
    fail(code, end.message, end.sent && request_.changes());
}

void RowStream::judge_answer() {
    if (request_.bodiless && status_ == 200) return end(Error());
    const bool whole = splitter_->finish();
    if (!whole && status_ == 200) {
        return fail(errc::protocol_error,
                    fmt::format("{}, behind {} bytes", name(splitter_->error()), splitter_->offset()),
                    request_.changes());
    }
    meta_ = RowsMeta(whole ? splitter_->meta() : std::string(), status_, std::move(headers_));
    conclude(judge(request_, status_, meta_.json(), other_body_));
}

void RowStream::conclude(RowVerdict verdict) {
    if (verdict.stale_plan && by_plan_ && !replanned_ && given_ == 0) {
        replanned_ = true;
        core_.row_book().prepared.erase(request_.plan_key);
        tried_.clear();
        forget_answer();
        return ask();
    }
    if (verdict.elsewhere && ask_another()) return;
    if (verdict.code != errc::success) {
        return fail(verdict.code, std::move(verdict.message), verdict.begun && request_.changes(), verdict.server_code);
    }
    if (!request_.prepared.empty() && !by_plan_) {
        if (auto plan = protocol::json_unquoted(meta_.member("prepared"))) {
            core_.row_book().prepared.put(request_.plan_key, std::move(*plan));
        }
    }
    end(Error());
}

// ---- how it ends ----------------------------------------------------------------------------------------------------

void RowStream::fail(errc code, std::string message, bool may_have_happened, std::int64_t server_code) {
    ErrorContext context{.message = std::move(message), .operation = request_.operation};
    if (attempts_ != 0) {
        context.node = protocol::authority(node_);
        context.retries = attempts_ - 1;
    }
    if (status_ != 0) context.http_status = status_;
    if (server_code != 0) context.server_code = server_code;
    context.server_text =
        other_body_.empty() ? std::string(meta_.errors().substr(0, longest_server_text)) : other_body_;
    context.time_spent = core_.iops().now() - started_;
    context.may_have_happened = may_have_happened;
    end(Error(code, std::move(context)));
}

void RowStream::end(Error error) {
    if (over_) return;
    over_ = true;
    error_ = std::move(error);
    if (error_ && meta_.json().empty() && splitter_) meta_ = RowsMeta(splitter_->meta(), status_);
    exchange_.reset();
    if (!loop_gone_ && deadline_->active()) core_.iops().cancel(*deadline_);
    news();
}

void RowStream::shut_down() noexcept {
    if (over_) return;
    fail(errc::shutdown, "the bucket was closed", exchange_ != nullptr && request_.changes());
}

void RowStream::lose_loop() noexcept {
    loop_gone_ = true;
    exchange_.reset();
}

void RowStream::on_deadline() {
    const bool asked = exchange_ != nullptr;
    fail(asked ? errc::timeout_after_send : errc::timeout_before_send,
         asked ? "no answer in time" : "it was not known in time whom to ask", asked && request_.changes());
}

// ---- the consumer ---------------------------------------------------------------------------------------------------

void RowStream::news() {
    if (consumer_ && !loop_gone_ && !wake_->active()) core_.iops().defer(*wake_);
}

void RowStream::on_wake() {
    Core& core = core_;
    Core::Dispatch dispatch(core);
    const std::shared_ptr<Link> link = link_;
    try {
        consumer_->on_news();
    } catch (...) {
        core.caught(std::current_exception());
        if (link->stream) news();
    }
}

bool RowStream::take(Row& row) {
    bool taken = false;
    if (request_.include_docs) {
        fetch_docs();
        if (!docs_.empty() && docs_.front()->done) {
            row = std::move(docs_.front()->row);
            docs_.pop_front();
            taken = true;
            fetch_docs();
        }
    } else {
        taken = queue_.take(row);
    }
    watch_level();
    if (taken) ++given_;
    return taken;
}

bool RowStream::ended() const noexcept { return over_ && queue_.empty() && docs_.empty(); }

void RowStream::fetch_docs() {
    Row row;
    while (docs_.size() < docs_ahead && queue_.take(row)) {
        auto doc = docs_.emplace_back(std::make_shared<Doc>(Doc{link_, std::move(row)}));
        const auto id = doc->row.docid();
        if (!id) {
            doc->done = true;
            continue;
        }
        const auto have = [doc](Expected<ValueResult, Error> outcome) {
            doc->row.set_doc(std::make_shared<const Expected<ValueResult, Error>>(std::move(outcome)));
            doc->done = true;
            if (RowStream* self = doc->link->stream) self->news();
        };
        bucket_.get(*id, {.quiet = true})
            .set_callbacks([have](ValueResult result) { have(std::move(result)); },
                           [have](const Error& error) { have(Unexpected(error)); });
    }
}

}  // namespace chaise::detail
