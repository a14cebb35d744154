#pragma once

/// \file
/// Maps, lists, sets and queues that are JSON documents, declared once for all faces.

#include <chaise/subdocument_operations.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace chaise {

/// Documents used as containers (the seed's data structures). A map is a JSON object, a list an array of any values,
/// a set an array of strings, numbers, booleans and nulls that are all different, a queue an array whose end is its
/// front. Values are JSON text, given and taken: `"Ada"` with its quotes. Members of maps are names of any bytes but
/// none, not paths; in the request they are quoted, and together at most 1024 bytes.
///
/// Couchbase only: on plain memcached they are unsupported_operation. Errors of all: document_not_found,
/// document_not_json, path_mismatch (the document is no such container), cas_mismatch if a CAS was given, and those
/// common to all operations. What changes a document is not repeated after a lost connection; set_remove and queue_pop,
/// which read and then change what they have read, begin again when another client was faster, until their time is
/// over.
template <class Face>
class DataStructureOperations : public SubdocumentOperations<Face> {
protected:
    using SubdocumentOperations<Face>::face_;
    using SubdocumentOperations<Face>::handle_;

public:
    using SubdocumentOperations<Face>::SubdocumentOperations;

    // ---- maps ------------------------------------------------------------------------------------------------------

    /// Sets a member: `co_await bucket.map_add("ages", "Ada", "36", {.create = true})`.
    template <class... Extra>
    auto map_add(std::string_view key, std::string_view member, std::string_view value,
                 ContainerAddOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.container_change({.kind = detail::OperationKind::map_add,
                                                    .key = key,
                                                    .member = member,
                                                    .value = value,
                                                    .options = options}),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerAddOptions> Extra>
    auto map_add(std::string_view key, std::string_view member, std::string_view value, Extra&& extra) {
        return map_add(key, member, value, ContainerAddOptions{}, std::forward<Extra>(extra));
    }

    /// A member's value. Errors: path_not_found.
    template <class... Extra>
    auto map_get(std::string_view key, std::string_view member, ContainerReadOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.container_value({.kind = detail::OperationKind::map_get,
                                                   .key = key,
                                                   .member = member,
                                                   .options = detail::as_add(options)}),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerReadOptions> Extra>
    auto map_get(std::string_view key, std::string_view member, Extra&& extra) {
        return map_get(key, member, ContainerReadOptions{}, std::forward<Extra>(extra));
    }

    /// Removes a member. Errors: path_not_found.
    template <class... Extra>
    auto map_remove(std::string_view key, std::string_view member, ContainerChangeOptions options = {},
                    Extra&&... extra) {
        return face_.wrap(handle_.container_change({.kind = detail::OperationKind::map_remove,
                                                    .key = key,
                                                    .member = member,
                                                    .options = detail::as_add(options)}),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerChangeOptions> Extra>
    auto map_remove(std::string_view key, std::string_view member, Extra&& extra) {
        return map_remove(key, member, ContainerChangeOptions{}, std::forward<Extra>(extra));
    }

    /// How many members the map has; counted by the server.
    template <class... Extra>
    auto map_size(std::string_view key, ContainerReadOptions options = {}, Extra&&... extra) {
        return face_.wrap(
            handle_.container_size(
                {.kind = detail::OperationKind::map_size, .key = key, .options = detail::as_add(options)}),
            std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerReadOptions> Extra>
    auto map_size(std::string_view key, Extra&& extra) {
        return map_size(key, ContainerReadOptions{}, std::forward<Extra>(extra));
    }

    // ---- lists -----------------------------------------------------------------------------------------------------

    /// Adds behind the last element; several values with commas between them are several elements.
    template <class... Extra>
    auto list_append(std::string_view key, std::string_view value, ContainerAddOptions options = {}, Extra&&... extra) {
        return face_.wrap(
            handle_.container_change(
                {.kind = detail::OperationKind::list_append, .key = key, .value = value, .options = options}),
            std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerAddOptions> Extra>
    auto list_append(std::string_view key, std::string_view value, Extra&& extra) {
        return list_append(key, value, ContainerAddOptions{}, std::forward<Extra>(extra));
    }

    /// Adds in front of the first element; otherwise as list_append.
    template <class... Extra>
    auto list_prepend(std::string_view key, std::string_view value, ContainerAddOptions options = {},
                      Extra&&... extra) {
        return face_.wrap(
            handle_.container_change(
                {.kind = detail::OperationKind::list_prepend, .key = key, .value = value, .options = options}),
            std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerAddOptions> Extra>
    auto list_prepend(std::string_view key, std::string_view value, Extra&& extra) {
        return list_prepend(key, value, ContainerAddOptions{}, std::forward<Extra>(extra));
    }

    /// Replaces an element; -1 is the last one. Errors: path_not_found.
    template <class... Extra>
    auto list_set(std::string_view key, std::int64_t index, std::string_view value, ContainerChangeOptions options = {},
                  Extra&&... extra) {
        return face_.wrap(handle_.container_change({.kind = detail::OperationKind::list_set,
                                                    .key = key,
                                                    .index = index,
                                                    .value = value,
                                                    .options = detail::as_add(options)}),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerChangeOptions> Extra>
    auto list_set(std::string_view key, std::int64_t index, std::string_view value, Extra&& extra) {
        return list_set(key, index, value, ContainerChangeOptions{}, std::forward<Extra>(extra));
    }

    /// An element; -1 is the last one. Errors: path_not_found.
    template <class... Extra>
    auto list_get(std::string_view key, std::int64_t index, ContainerReadOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.container_value({.kind = detail::OperationKind::list_get,
                                                   .key = key,
                                                   .index = index,
                                                   .options = detail::as_add(options)}),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerReadOptions> Extra>
    auto list_get(std::string_view key, std::int64_t index, Extra&& extra) {
        return list_get(key, index, ContainerReadOptions{}, std::forward<Extra>(extra));
    }

    /// Removes an element; -1 is the last one. Errors: path_not_found.
    template <class... Extra>
    auto list_remove(std::string_view key, std::int64_t index, ContainerChangeOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.container_change({.kind = detail::OperationKind::list_remove,
                                                    .key = key,
                                                    .index = index,
                                                    .options = detail::as_add(options)}),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerChangeOptions> Extra>
    auto list_remove(std::string_view key, std::int64_t index, Extra&& extra) {
        return list_remove(key, index, ContainerChangeOptions{}, std::forward<Extra>(extra));
    }

    /// How many elements the list has; counted by the server.
    template <class... Extra>
    auto list_size(std::string_view key, ContainerReadOptions options = {}, Extra&&... extra) {
        return face_.wrap(
            handle_.container_size(
                {.kind = detail::OperationKind::list_size, .key = key, .options = detail::as_add(options)}),
            std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerReadOptions> Extra>
    auto list_size(std::string_view key, Extra&& extra) {
        return list_size(key, ContainerReadOptions{}, std::forward<Extra>(extra));
    }

    // ---- sets ------------------------------------------------------------------------------------------------------

    /// Adds a string, number, boolean or null. One that the set has already is a result whose success() is false (rc():
    /// path_exists).
    template <class... Extra>
    auto set_add(std::string_view key, std::string_view value, ContainerAddOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.container_change(
                              {.kind = detail::OperationKind::set_add, .key = key, .value = value, .options = options}),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerAddOptions> Extra>
    auto set_add(std::string_view key, std::string_view value, Extra&& extra) {
        return set_add(key, value, ContainerAddOptions{}, std::forward<Extra>(extra));
    }

    /// Whether the set has the value: exists() of the result. The whole document is fetched; strings are compared by
    /// what they mean, numbers by their value.
    template <class... Extra>
    auto set_contains(std::string_view key, std::string_view value, ContainerReadOptions options = {},
                      Extra&&... extra) {
        return face_.wrap(handle_.container_question({.kind = detail::OperationKind::set_contains,
                                                      .key = key,
                                                      .value = value,
                                                      .options = detail::as_add(options)}),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerReadOptions> Extra>
    auto set_contains(std::string_view key, std::string_view value, Extra&& extra) {
        return set_contains(key, value, ContainerReadOptions{}, std::forward<Extra>(extra));
    }

    /// Removes the value. One that the set does not have is a result whose success() is false (rc(): path_not_found).
    /// Fetches the whole document, as set_contains does, and removes what it found if nobody changed it meanwhile.
    template <class... Extra>
    auto set_remove(std::string_view key, std::string_view value, SetRemoveOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.container_change({.kind = detail::OperationKind::set_remove,
                                                    .key = key,
                                                    .value = value,
                                                    .options = detail::as_add(options)}),
                          std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<SetRemoveOptions> Extra>
    auto set_remove(std::string_view key, std::string_view value, Extra&& extra) {
        return set_remove(key, value, SetRemoveOptions{}, std::forward<Extra>(extra));
    }

    /// How many elements the set has; counted by the server.
    template <class... Extra>
    auto set_size(std::string_view key, ContainerReadOptions options = {}, Extra&&... extra) {
        return face_.wrap(
            handle_.container_size(
                {.kind = detail::OperationKind::set_size, .key = key, .options = detail::as_add(options)}),
            std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerReadOptions> Extra>
    auto set_size(std::string_view key, Extra&& extra) {
        return set_size(key, ContainerReadOptions{}, std::forward<Extra>(extra));
    }

    // ---- queues ----------------------------------------------------------------------------------------------------

    /// Adds a value at the back.
    template <class... Extra>
    auto queue_push(std::string_view key, std::string_view value, ContainerAddOptions options = {}, Extra&&... extra) {
        return face_.wrap(
            handle_.container_change(
                {.kind = detail::OperationKind::queue_push, .key = key, .value = value, .options = options}),
            std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerAddOptions> Extra>
    auto queue_push(std::string_view key, std::string_view value, Extra&& extra) {
        return queue_push(key, value, ContainerAddOptions{}, std::forward<Extra>(extra));
    }

    /// Takes the value at the front: the one that has been there longest. Each value is taken once, however many
    /// clients take. Errors: queue_empty. After an error that says may_have_happened() the value may be taken and lost.
    template <class... Extra>
    auto queue_pop(std::string_view key, ContainerTakeOptions options = {}, Extra&&... extra) {
        return face_.wrap(
            handle_.container_value(
                {.kind = detail::OperationKind::queue_pop, .key = key, .options = detail::as_add(options)}),
            std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerTakeOptions> Extra>
    auto queue_pop(std::string_view key, Extra&& extra) {
        return queue_pop(key, ContainerTakeOptions{}, std::forward<Extra>(extra));
    }

    /// How many values wait; counted by the server.
    template <class... Extra>
    auto queue_size(std::string_view key, ContainerReadOptions options = {}, Extra&&... extra) {
        return face_.wrap(
            handle_.container_size(
                {.kind = detail::OperationKind::queue_size, .key = key, .options = detail::as_add(options)}),
            std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ContainerReadOptions> Extra>
    auto queue_size(std::string_view key, Extra&& extra) {
        return queue_size(key, ContainerReadOptions{}, std::forward<Extra>(extra));
    }
};

}  // namespace chaise
