#pragma once

/// \file
/// Views, queries, search and analytics, declared once for all faces.

#include <chaise/async_view_base.hpp>
#include <chaise/design_documents.hpp>
#include <chaise/query_options.hpp>
#include <chaise/rows.hpp>
#include <chaise/server_operations.hpp>
#include <chaise/view_options.hpp>
#include <chaise/view_pages.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace chaise {

namespace detail {

/// What a face makes of rows; else they are for chaise::Task.
template <class Face>
[[nodiscard]] auto rows_of(Face& face, std::unique_ptr<RowSource> source) {
    if constexpr (requires { face.rows(std::move(source)); }) {
        return face.rows(std::move(source));
    } else {
        return Rows(std::move(source));
    }
}

}  // namespace detail

/// Queries are sent when they are called, and give their rows while these arrive: `Rows` (rows.hpp), AsioBucket
/// `AsioRows` (asio/rows.hpp). Errors come with the rows, also those that are found before anything is sent:
/// invalid_argument (options that contradict each other, JSON that is none), service_not_available (no node has the
/// service), unsupported_operation (memcached; views of a bucket whose map says that it has none: an ephemeral or a
/// memcached one), feature_not_available (the loop has no HTTP), authentication_failure,
/// timeouts, protocol_error (an answer that is no JSON, or not all of it), connection_lost_after_send; those of the
/// services are named below.
///
/// A node that fails before it gave a row is passed over for the next, if the query may be asked twice.
template <class Face>
class RowOperations : public ServerOperations<Face> {
protected:
    using ServerOperations<Face>::face_;
    using ServerOperations<Face>::handle_;

public:
    using ServerOperations<Face>::ServerOperations;

    /// The rows of a view. Errors: design_document_not_found, view_not_found, view_failure (also when a node gave no
    /// part, unless OnViewError::continue_ is set), invalid_argument of the server's.
    [[nodiscard]] auto view_query(std::string_view design, std::string_view view, const ViewOptions& options = {}) {
        return detail::rows_of(face_, handle_.view_query(design, view, options));
    }

    /// A view in pages of `size` rows (1 at least), each an operation (view_pages.hpp).
    [[nodiscard]] BasicViewPages<Face> view_pages(std::string_view design, std::string_view view, std::uint64_t size,
                                                  const ViewOptions& options = {}) {
        return {face_, handle_.view_pages(design, view, size, options)};
    }
    /// Where the bucket's views are written down.
    [[nodiscard]] BasicDesignDocuments<Face> design_documents() { return {face_, handle_}; }

    /// The same by callbacks, for a subclass of AsyncViewBase, whose constructor gets a ViewCall and `args`; it is sent
    /// by its start() (seed: `query(design, view, itercls=MyView)`).
    template <std::derived_from<AsyncViewBase> View, class... Args>
    [[nodiscard]] std::unique_ptr<View> query(std::string_view design, std::string_view view,
                                              const ViewOptions& options = {}, Args&&... args) {
        return std::make_unique<View>(ViewCall(handle_.view_query(design, view, options)), std::forward<Args>(args)...);
    }

    /// The rows of a SQL++ statement (seed: n1ql_query). Errors: parsing_failure, planning_failure, index_failure,
    /// index_not_found, index_exists, prepared_statement_failure, dml_failure, cas_mismatch, collection_not_found,
    /// scope_not_found, query_failure (any other; ErrorContext::server_code has the service's number).
    [[nodiscard]] auto n1ql_query(std::string_view statement, const QueryOptions& options = {}) {
        return detail::rows_of(face_, handle_.n1ql_query(statement, options));
    }
    template <std::derived_from<AsyncViewBase> View, class... Args>
    [[nodiscard]] std::unique_ptr<View> n1ql_query(std::string_view statement, const QueryOptions& options = {},
                                                   Args&&... args) {
        return std::make_unique<View>(ViewCall(handle_.n1ql_query(statement, options)), std::forward<Args>(args)...);
    }

    /// The hits of a search; `body`: the request as the search service has it, `R"({"query":{"match":"hop"}})"`.
    /// Errors: index_not_found, search_failure. Failures of single parts of an index are in the meta data's `status`.
    [[nodiscard]] auto search_query(std::string_view index, std::string_view body, const SearchOptions& options = {}) {
        return detail::rows_of(face_, handle_.search_query(index, body, options));
    }
    template <std::derived_from<AsyncViewBase> View, class... Args>
    [[nodiscard]] std::unique_ptr<View> search_query(std::string_view index, std::string_view body,
                                                     const SearchOptions& options = {}, Args&&... args) {
        return std::make_unique<View>(ViewCall(handle_.search_query(index, body, options)),
                                      std::forward<Args>(args)...);
    }

    /// The rows of a statement of the analytics service. Errors: parsing_failure, compilation_failure,
    /// dataset_not_found, job_queue_full, analytics_failure.
    [[nodiscard]] auto analytics_query(std::string_view statement, const AnalyticsOptions& options = {}) {
        return detail::rows_of(face_, handle_.analytics_query(statement, options));
    }
    template <std::derived_from<AsyncViewBase> View, class... Args>
    [[nodiscard]] std::unique_ptr<View> analytics_query(std::string_view statement,
                                                        const AnalyticsOptions& options = {}, Args&&... args) {
        return std::make_unique<View>(ViewCall(handle_.analytics_query(statement, options)),
                                      std::forward<Args>(args)...);
    }
};

}  // namespace chaise
