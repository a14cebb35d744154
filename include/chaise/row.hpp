#pragma once

/// \file
/// Row: one element of what a view, a query, a search or analytics answer; and what the answer has beside its rows.

#include <chaise/error.hpp>
#include <chaise/expected.hpp>
#include <chaise/http_headers.hpp>
#include <chaise/result.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace chaise {

/// JSON text, checked. A value: copies share the memory of the part of the answer that the row came in (up to 80 KiB,
/// more for large rows); to keep a few rows of many for long, keep `std::string(row.json())`.
class Row {
public:
    /// Of what gives rows: there are no more.
    Row() = default;
    /// For row processors: a row of one's own making. The text should be JSON; it is not checked.
    explicit Row(std::string json);

    /// There is a row.
    [[nodiscard]] explicit operator bool() const noexcept { return owner_ != nullptr; }
    /// As the server wrote it: `{"id":"a","key":[1],"value":null}`; of queries any JSON value.
    [[nodiscard]] std::string_view json() const noexcept { return json_; }
    /// A member's value, as it is written; empty: there is none, or the row is no object.
    [[nodiscard]] std::string_view member(std::string_view name) const noexcept;
    /// Of view rows: JSON.
    [[nodiscard]] std::string_view key() const noexcept { return member("key"); }
    [[nodiscard]] std::string_view value() const noexcept { return member("value"); }
    [[nodiscard]] std::string_view geometry() const noexcept { return member("geometry"); }
    /// The document that the row belongs to; nothing: a reduced row.
    [[nodiscard]] std::optional<std::string> docid() const;
    /// With include_docs: the document, success() false if there is none (any more), or why it could not be had. Null
    /// without include_docs, and for rows that belong to no document.
    [[nodiscard]] const Expected<ValueResult, Error>* doc() const noexcept { return doc_.get(); }

    /// For who makes rows: `json` lives as long as the owner.
    Row(std::shared_ptr<const void> owner, std::string_view json) noexcept : owner_(std::move(owner)), json_(json) {}
    void set_doc(std::shared_ptr<const Expected<ValueResult, Error>> doc) noexcept { doc_ = std::move(doc); }

private:
    std::shared_ptr<const void> owner_;
    std::string_view json_;
    std::shared_ptr<const Expected<ValueResult, Error>> doc_;
};

/// The answer without its rows.
class RowsMeta {
public:
    RowsMeta() = default;
    explicit RowsMeta(std::string json, int http_status = 0, HttpHeaders headers = {}) noexcept
        : json_(std::move(json)), headers_(std::move(headers)), http_status_(http_status) {}
    /// `{"total_rows":3,"rows":[],"errors":[…]}`
    [[nodiscard]] const std::string& json() const noexcept { return json_; }
    /// 0: no answer came.
    [[nodiscard]] int http_status() const noexcept { return http_status_; }
    /// Of the answer.
    [[nodiscard]] const HttpHeaders& headers() const noexcept { return headers_; }
    /// A member's value as it is written; empty: there is none.
    [[nodiscard]] std::string_view member(std::string_view name) const noexcept;
    /// Of views: the rows that the index has (seed: indexed_rows). Not told for reduced views.
    [[nodiscard]] std::optional<std::uint64_t> total_rows() const noexcept;
    [[nodiscard]] std::string_view debug_info() const noexcept { return member("debug_info"); }
    /// Also without an error of the query: view queries with OnViewError::continue_.
    [[nodiscard]] std::string_view errors() const noexcept { return member("errors"); }
    /// Of queries.
    [[nodiscard]] std::string_view metrics() const noexcept { return member("metrics"); }
    [[nodiscard]] std::string_view profile() const noexcept { return member("profile"); }
    [[nodiscard]] std::string_view warnings() const noexcept { return member("warnings"); }

private:
    std::string json_;
    HttpHeaders headers_;
    int http_status_ = 0;
};

}  // namespace chaise
