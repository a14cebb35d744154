#pragma once

/// \file
/// Design documents: where the views of a bucket are written down.

#include <chaise/design_options.hpp>
#include <chaise/detail/bucket_handle.hpp>

#include <string_view>
#include <utility>

namespace chaise {

/// What `bucket.design_documents()` gives (seed: the design_… methods of the bucket manager). It may outlive the bucket
/// (then: errc::shutdown).
///
/// `auto designs = bucket.design_documents(); co_await designs.create("beer", R"({"views":{…}})");`
///
/// Names and texts are copied by the call. The timeout is that of the whole operation; errors are those of view_query.
/// What changes something and ends with a timeout or a cancellation may have happened (Error::may_have_happened). (Of
/// servers before 5.0 the bucket's password is what the bucket was made with.)
///
/// Thread rule: the loop's thread only.
template <class Face>
class BasicDesignDocuments {
public:
    /// Writes it, new or again. Errors: invalid_argument (no JSON object; the server does not like it).
    template <class... Extra>
    auto create(std::string_view name, std::string_view json, const DesignOptions& options = {}, Extra&&... extra) {
        return face_.wrap(handle_.design_create(name, json, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<DesignOptions> Extra>
    auto create(std::string_view name, std::string_view json, Extra&& extra) {
        return create(name, json, DesignOptions{}, std::forward<Extra>(extra));
    }

    /// Its JSON is the result's value. Errors: design_document_not_found.
    template <class... Extra>
    auto get(std::string_view name, const DesignOptions& options = {}, Extra&&... extra) {
        return face_.wrap(handle_.design_get(name, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<DesignOptions> Extra>
    auto get(std::string_view name, Extra&& extra) {
        return get(name, DesignOptions{}, std::forward<Extra>(extra));
    }

    /// Errors: design_document_not_found.
    template <class... Extra>
    auto remove(std::string_view name, const DesignOptions& options = {}, Extra&&... extra) {
        return face_.wrap(handle_.design_remove(name, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<DesignOptions> Extra>
    auto remove(std::string_view name, Extra&& extra) {
        return remove(name, DesignOptions{}, std::forward<Extra>(extra));
    }

    /// The development document becomes the real one: it is read, written under the other name, and removed; not all at
    /// once. The result is the last step's. `options.development` is not looked at.
    template <class... Extra>
    auto publish(std::string_view name, const DesignOptions& options = {}, Extra&&... extra) {
        return face_.wrap(handle_.design_publish(name, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<DesignOptions> Extra>
    auto publish(std::string_view name, Extra&& extra) {
        return publish(name, DesignOptions{}, std::forward<Extra>(extra));
    }

    /// All of the bucket, those of development and the real ones. `options.development` is not looked at.
    template <class... Extra>
    auto list(const DesignOptions& options = {}, Extra&&... extra) {
        return face_.wrap(handle_.design_list(options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<DesignOptions> Extra>
    auto list(Extra&& extra) {
        return list(DesignOptions{}, std::forward<Extra>(extra));
    }

    /// Until the indexes of its views have everything that is in the bucket now (seed: syncwait). The result is the
    /// document.
    template <class... Extra>
    auto wait_for_index(std::string_view name, const DesignOptions& options = {}, Extra&&... extra) {
        return face_.wrap(handle_.design_wait(name, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<DesignOptions> Extra>
    auto wait_for_index(std::string_view name, Extra&& extra) {
        return wait_for_index(name, DesignOptions{}, std::forward<Extra>(extra));
    }

    /// Not for users: buckets make them.
    BasicDesignDocuments(Face face, const detail::BucketHandle& bucket)
        : face_(std::move(face)), handle_(bucket.default_collection()) {}

private:
    Face face_;
    detail::BucketHandle handle_;
};

}  // namespace chaise
