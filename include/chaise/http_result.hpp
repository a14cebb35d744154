#pragma once

/// \file
/// What requests to the HTTP services give that have no rows.

#include <chaise/http_headers.hpp>
#include <chaise/result.hpp>

#include <string>
#include <utility>

namespace chaise {

/// The answer of an HTTP service (seed: HttpResult). Answers that tell of an error are the operation's error instead,
/// with `ErrorContext::http_status` and `server_text`.
class HttpResult : public Result {
public:
    HttpResult() = default;
    /// 200, or another status of success.
    [[nodiscard]] int http_status() const noexcept { return http_status_; }
    /// The body, JSON as the service wrote it; may be empty.
    [[nodiscard]] const std::string& value() const noexcept { return value_; }

    /// As the service sent them. That of a design document has its revision in `X-Couchbase-Meta`, as JSON.
    [[nodiscard]] const HttpHeaders& headers() const noexcept { return headers_; }

    /// Made by the engine.
    HttpResult(int http_status, std::string value, HttpHeaders headers) noexcept
        : http_status_(http_status), value_(std::move(value)), headers_(std::move(headers)) {}

private:
    int http_status_ = 0;
    std::string value_;
    HttpHeaders headers_;
};

}  // namespace chaise
