#include "iops/http/curl_exchange.hpp"

#include "iops/posix/socket.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <exception>
#include <utility>

namespace chaise {

namespace {

/// Of what the network has.
constexpr std::size_t read_at_once = std::size_t{64} * 1024;
/// What is kept of a body until it is told; curl has up to one read more of its own. In one call curl reads on until it
/// is held back, which costs it a copy, and two system calls when it may go on.
constexpr std::size_t most_kept = 2 * read_at_once;

std::string url_of(const HttpClient::Request& request) {
    std::string host = request.host;
    if (host.find(':') != std::string::npos) {
        if (const std::size_t zone = host.find('%'); zone != std::string::npos) host.insert(zone + 1, "25");
        host = "[" + host + "]";
    }
    return "http://" + host + ":" + std::to_string(request.port) + request.target;
}

std::error_code error_of(CURL* easy, CURLcode result) {
    switch (result) {
        case CURLE_OK:
            return {};
        case CURLE_COULDNT_CONNECT: {
            long number = 0;
            ::curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
            if (number != 0) return {static_cast<int>(number), std::system_category()};
            return std::make_error_code(std::errc::connection_refused);
        }
        case CURLE_GOT_NOTHING:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
        case CURLE_PARTIAL_FILE:
        case CURLE_ABORTED_BY_CALLBACK:
            return std::make_error_code(std::errc::connection_reset);
        case CURLE_WEIRD_SERVER_REPLY:
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_BAD_CONTENT_ENCODING:
            return std::make_error_code(std::errc::protocol_error);
        case CURLE_OUT_OF_MEMORY:
            return std::make_error_code(std::errc::not_enough_memory);
        default:
            return std::make_error_code(std::errc::io_error);
    }
}

/// Appends to a list of curl's. False: no memory.
bool append(curl_slist*& list, const std::string& text) {
    curl_slist* const longer = ::curl_slist_append(list, text.c_str());
    if (longer == nullptr) return false;
    list = longer;
    return true;
}

}  // namespace

CurlExchange::CurlExchange(CurlClient& client, HttpClient::Request request, HttpReceiver& receiver)
    : iops_(&client.iops_),
      client_(&client),
      receiver_(receiver),
      request_(std::move(request)),
      news_(iops_->timer_event_factory()),
      limits_(*iops_, request_, [](void* self, int) { static_cast<CurlExchange*>(self)->check_limits(); }, this) {
    news_->set_handler([](void* self, int) { static_cast<CurlExchange*>(self)->tell(); }, this);
    if (const char* why = why_malformed(request_)) {
        end(std::make_error_code(std::errc::invalid_argument), why);
    } else {
        resolving_ = iops_->transport_factory().resolve(request_.host, *this);
        limits_.arm();
    }
}

CurlExchange::~CurlExchange() {
    if (gone_ != nullptr) *gone_ = true;
    if (client_ != nullptr) client_->leave(*this);
    orphan();
}

void CurlExchange::orphan() noexcept {
    if (client_ == nullptr) return;
    resolving_.reset();
    drop_transfer();
    iops_->cleanup(*news_);
    limits_.cleanup();
    client_ = nullptr;
}

void CurlExchange::drop_transfer() noexcept {
    if (easy_ == nullptr) return;
    client_->remove(*this, easy_);
    ::curl_easy_cleanup(std::exchange(easy_, nullptr));
    ::curl_slist_free_all(std::exchange(headers_, nullptr));
    ::curl_slist_free_all(std::exchange(addresses_, nullptr));
}

// ---- how it begins --------------------------------------------------------------------------------------------------

void CurlExchange::on_resolve(std::vector<std::string> addresses, std::error_code error) {
    resolving_.reset();
    if (error || addresses.empty()) {
        if (!error) error = std::make_error_code(std::errc::host_unreachable);
        return end(error, "cannot resolve \"" + request_.host + "\": " + error.message());
    }
    limits_.resolved();
    begin(addresses);
}

void CurlExchange::begin(const std::vector<std::string>& addresses) {
    easy_ = ::curl_easy_init();
    CURLcode configured = CURLE_OUT_OF_MEMORY;
    if (easy_ != nullptr) configured = configure(addresses);
    if (configured != CURLE_OK) {
        return end(error_of(easy_, configured), std::string("libcurl: ") + ::curl_easy_strerror(configured));
    }
    if (!client_->add(*this, easy_)) end(std::make_error_code(std::errc::io_error), "libcurl does not take it");
}

CURLcode CurlExchange::configure(const std::vector<std::string>& addresses) {
    CURLcode first = CURLE_OK;
    const auto set = [&](CURLoption option, auto value) {
        const CURLcode result = ::curl_easy_setopt(easy_, option, value);
        if (first == CURLE_OK) first = result;
    };
    set(CURLOPT_URL, url_of(request_).c_str());
    set(CURLOPT_PROTOCOLS_STR, "http");
    set(CURLOPT_PROXY, "");  // whatever the environment says
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_HTTP09_ALLOWED, 0L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_PATH_AS_IS, 1L);
    set(CURLOPT_FOLLOWLOCATION, 0L);
    // Ours ends it; curl takes half of this time for an address while there are others.
    const auto patience = std::chrono::ceil<std::chrono::milliseconds>(request_.connect_timeout).count();
    set(CURLOPT_CONNECTTIMEOUT_MS, patience > 0 ? static_cast<long>(patience) : 24L * 3600 * 1000);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_USERAGENT, "chaise");
    set(CURLOPT_ERRORBUFFER, error_text_.data());
    set(CURLOPT_HEADERFUNCTION, &CurlExchange::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_BUFFERSIZE, static_cast<long>(read_at_once));
    set(CURLOPT_WRITEFUNCTION, &CurlExchange::on_write);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_PREREQFUNCTION, &CurlExchange::on_request);
    set(CURLOPT_PREREQDATA, this);
    if (!request_.username.empty()) {
        set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
        set(CURLOPT_USERNAME, request_.username.c_str());
        set(CURLOPT_PASSWORD, request_.password.c_str());
    }
    if (!posix::is_numeric(request_.host)) {
        std::string entry = request_.host + ":" + std::to_string(request_.port) + ":";
        for (const std::string& address : addresses) {
            if (entry.back() != ':') entry += ',';
            entry += address.find(':') == std::string::npos ? address : "[" + address + "]";
        }
        if (!append(addresses_, entry)) return CURLE_OUT_OF_MEMORY;
        set(CURLOPT_RESOLVE, addresses_);
    }
    if (first == CURLE_OK) first = configure_body();
    if (first == CURLE_OK) first = configure_headers();
    return first;
}

CURLcode CurlExchange::configure_body() {
    if (request_.body.empty() && request_.method == "HEAD") return ::curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
    const bool without = request_.method == "GET" || request_.method == "DELETE";
    if (!request_.body.empty() || !without) {
        const CURLcode result =
            ::curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
        if (result != CURLE_OK) return result;
        ::curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body.data());
    }
    return ::curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
}

CURLcode CurlExchange::configure_headers() {
    bool typed = false;
    bool good = append(headers_, "Expect:");  // a header without a value is one that curl shall not add
    for (const HttpClient::Header& header : request_.headers) {
        typed = typed || HttpHeaders::same_name(header.name, "Content-Type");
        good = good && append(headers_, header.value.empty() ? header.name + ";" : header.name + ": " + header.value);
    }
    if (!typed) good = good && append(headers_, "Content-Type:");
    return good ? ::curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_) : CURLE_OUT_OF_MEMORY;
}

// ---- what curl tells ------------------------------------------------------------------------------------------------

/// The connection stands. When curl found it dead it would try once more on another: not what may do harm twice.
int CurlExchange::on_request(void* context, char*, char*, int, int) {
    auto& self = *static_cast<CurlExchange*>(context);
    const bool harmless = self.request_.method == "GET" || self.request_.method == "HEAD";
    if (self.limits_.was_sent() && !harmless) return CURL_PREREQFUNC_ABORT;
    self.limits_.sent();
    return CURL_PREREQFUNC_OK;
}

std::size_t CurlExchange::on_header(char* data, std::size_t size, std::size_t count, void* self) {
    return static_cast<CurlExchange*>(self)->header({data, size * count}) ? size * count : 0;
}

/// False: too much of them.
bool CurlExchange::header(std::string_view line) {
    limits_.heard();
    if (head_) return true;  // a trailer
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
    if (line.empty()) {
        long status = 0;
        ::curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
        status_ = static_cast<int>(status);
        head_ = status_ >= 200;
        if (head_) news();
        return true;
    }
    const std::size_t colon = line.find(':');
    if (line.starts_with("HTTP/")) {
        headers_heard_.clear();  // those were of an answer that does not count
    } else if (colon != std::string_view::npos && !headers_heard_.add(line.substr(0, colon), line.substr(colon + 1))) {
        too_many_headers_ = true;
        return false;
    }
    return true;
}

std::size_t CurlExchange::on_write(char* data, std::size_t size, std::size_t count, void* context) {
    auto& self = *static_cast<CurlExchange*>(context);
    self.limits_.heard();
    if (self.body_.size() >= most_kept_of_body) {
        self.held_back_ = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    self.body_.append(data, size * count);
    self.news();
    return size * count;
}

void CurlExchange::finished(CURLcode result) {
    if (too_many_headers_) return end(std::make_error_code(std::errc::protocol_error), too_many_headers);
    const std::error_code error = error_of(easy_, result);
    std::string message;
    if (result == CURLE_ABORTED_BY_CALLBACK) {
        message = "the connection was lost after the request was sent";
    } else if (error) {
        message = error_text_[0] != '\0' ? error_text_.data() : ::curl_easy_strerror(result);
    }
    end(error, std::move(message));
}

void CurlExchange::end(std::error_code error, std::string message) {
    resolving_.reset();
    drop_transfer();
    limits_.stop();
    end_ = HttpEnd{error, std::move(message), limits_.was_sent(), limits_.was_resolved()};
    news();
}

// ---- what the receiver is told --------------------------------------------------------------------------------------

void CurlExchange::news() {
    if (!paused_ && !telling_ && !news_->active()) iops_->defer(*news_);
}

void CurlExchange::resume() {
    if (!std::exchange(paused_, false) || client_ == nullptr) return;
    limits_.heard();
    news();
}

void CurlExchange::tell() {
    if (telling_) return;  // the receiver runs the loop from inside
    IOPS& iops = *iops_;
    std::exception_ptr exception;
    bool gone = false;
    gone_ = &gone;
    telling_ = true;
    try {
        do {
            while (tell_one() && !gone) {
            }
        } while (!gone && read_on());
    } catch (...) {
        exception = std::current_exception();
    }
    if (!gone) {
        gone_ = nullptr;
        telling_ = false;
        if (exception) news();  // the rest, on another turn
    }
    if (exception) iops.on_exception(std::move(exception));
}

/// False: curl holds nothing back, or shall go on doing so.
bool CurlExchange::read_on() {
    if (paused_ || easy_ == nullptr || !std::exchange(held_back_, false)) return false;
    client_->read_on(easy_);
    return true;
}

/// False: that was all, or it is not wanted now.
bool CurlExchange::tell_one() {
    if (paused_ || client_ == nullptr) return false;
    if (head_ && !head_told_) {
        head_told_ = true;
        receiver_.on_head(status_, headers_heard_);
        return true;
    }
    if (!body_.empty()) {
        std::string bytes = std::exchange(body_, std::move(spare_));
        const bool& gone = *gone_;
        receiver_.on_body(bytes);
        if (gone) return false;
        bytes.clear();
        spare_ = std::move(bytes);
        return true;
    }
    if (!end_) return false;
    const HttpEnd end = *std::exchange(end_, std::nullopt);
    receiver_.on_end(end);
    return false;
}

void CurlExchange::check_limits() {
    std::string over = limits_.over(paused_);
    if (!over.empty()) end(std::make_error_code(std::errc::timed_out), std::move(over));
}

}  // namespace chaise
