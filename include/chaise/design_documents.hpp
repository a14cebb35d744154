#pragma once

/// \file
/// Design documents: where the views of a bucket are written down.

#include <chaise/detail/bucket_handle.hpp>
#include <chaise/rows.hpp>
#include <chaise/task.hpp>
#include <chaise/time.hpp>
#include <chaise/view_options.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace chaise {

struct DesignOptions {
    /// Of the document "dev_" + name, whose views look at a sample, and which `publish` makes the real one (the seed's
    /// default).
    bool development = true;
    /// As in ViewOptions.
    Duration timeout = std::chrono::seconds(75);
};
static_assert(std::is_trivially_destructible_v<DesignOptions>);

/// One of a list.
struct DesignDocument {
    std::string name;  ///< with its "dev_"
    std::string json;
};

/// What `bucket.design_documents()` gives: it may outlive the bucket (then: errc::shutdown), and must outlive the Tasks
/// that it gives, none of which starts before it is awaited. All throw the errors of view_query; names and texts are
/// copied by the call. (Of servers before 5.0 the bucket's password is what the bucket was made with.)
///
/// `auto designs = bucket.design_documents(); co_await designs.create("beer", R"({"views":{…}})");`
class DesignDocuments {
public:
    explicit DesignDocuments(const detail::BucketHandle& bucket) : bucket_(bucket.default_collection()) {}

    /// Writes it, new or again. Errors: invalid_argument (no JSON object; the server does not like it).
    [[nodiscard]] Task<> create(std::string_view name, std::string_view json, const DesignOptions& options = {}) {
        return done("PUT", std::string(name), std::string(json), options);
    }
    /// Its JSON. Errors: design_document_not_found.
    [[nodiscard]] Task<std::string> get(std::string_view name, const DesignOptions& options = {}) {
        return answer("GET", std::string(name), {}, options);
    }
    [[nodiscard]] Task<> remove(std::string_view name, const DesignOptions& options = {}) {
        return done("DELETE", std::string(name), {}, options);
    }
    /// The development document becomes the real one: it is read, written under the other name, and removed; not all at
    /// once. `options.development` is not looked at.
    [[nodiscard]] Task<> publish(std::string_view name, const DesignOptions& options = {}) {
        return published(std::string(name), options);
    }
    /// All of the bucket.
    [[nodiscard]] Task<std::vector<DesignDocument>> list(const DesignOptions& options = {}) { return listed(options); }
    /// Until the indexes of its views have everything that is in the bucket now (seed: syncwait).
    [[nodiscard]] Task<> wait_for_index(std::string_view name, const DesignOptions& options = {}) {
        return indexed(std::string(name), options);
    }

private:
    Task<std::string> answer(std::string_view method, std::string name, std::string json, DesignOptions options) {
        Rows rows(bucket_.design_request(method, name, json, options.development, options.timeout));
        co_await rows.next();
        co_return rows.meta().json();
    }
    Task<> done(std::string_view method, std::string name, std::string json, DesignOptions options) {
        Rows rows(bucket_.design_request(method, name, json, options.development, options.timeout));
        co_await rows.next();
    }
    Task<> published(std::string name, DesignOptions options);
    Task<std::vector<DesignDocument>> listed(DesignOptions options);
    Task<> indexed(std::string name, DesignOptions options);

    detail::BucketHandle bucket_;
};

}  // namespace chaise
