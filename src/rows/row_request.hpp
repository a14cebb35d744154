#pragma once

#include "protocol/cluster_map.hpp"

#include <chaise/error.hpp>
#include <chaise/time.hpp>

#include <cstdint>
#include <string>

namespace chaise::detail {

/// Which service's answers: how errors in them are told.
enum class RowService : std::uint8_t {
    views,
    query,
    search,
    analytics,
    design,      ///< a design document, at the views' port
    management,  ///< the list of them
};

/// One query, encoded: what RowStream sends, and how it reads the answer.
struct RowRequest {
    RowService service = RowService::views;
    std::string operation{};  ///< of error messages: "view_query"
    std::string method = "GET";
    std::string target{};
    std::string body{};
    std::string array = "rows";    ///< the member of the answer that has the rows; empty: none has
    bool read_only = true;         ///< may be asked again, though it was asked already
    bool writes = false;           ///< changes something, though it may be asked again
    bool bodiless = false;         ///< a good answer has no body
    bool errors_are_told = false;  ///< errors beside the rows end the query only if they are all that there is
    bool include_docs = false;
    /// Of a statement to be prepared: its text; the body is one object without its last brace, to which the statement
    /// or the name of the plan is added.
    std::string prepared{};
    std::string plan_key{};  ///< of it: the statement, and where its names are looked up
    std::string context{};   ///< of a query: client_context_id
    Duration timeout{};      ///< without a sign of the answer
    /// Found before anything is sent: the query ends with it.
    errc refused = errc::success;
    std::string why{};

    [[nodiscard]] bool changes() const noexcept { return !read_only || writes; }
    void refuse(errc code, std::string message) {
        if (refused != errc::success) return;
        refused = code;
        why = std::move(message);
    }
    [[nodiscard]] protocol::Service at() const noexcept {
        switch (service) {
            case RowService::views:
            case RowService::design:
                return protocol::Service::views;
            case RowService::management:
                return protocol::Service::management;
            case RowService::query:
                return protocol::Service::query;
            case RowService::search:
                return protocol::Service::search;
            case RowService::analytics:
                break;
        }
        return protocol::Service::analytics;
    }
};

/// Everything but letters, digits and -_.~ (and `also`) as %XX.
[[nodiscard]] std::string percent_encoded(std::string_view text, std::string_view also = {});

}  // namespace chaise::detail
