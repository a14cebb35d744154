#pragma once

/// \file
/// Errors: one enumeration with a `std::error_category`, one value type with its context, one hierarchy of
/// exceptions. Callbacks get `const Error&`; `co_await op` throws the exception of the error's class;
/// `co_await op.as_expected()` hands out the Error.
///
/// Names and numbers below 1000 are those of SDK-RFC 58; the classes are those of the Couchbase Python SDK 2.x
/// (seed-semantics.md G.3). The two tables in this file are the only place where status, errc and class meet.

#include <chaise/mutation_token.hpp>
#include <chaise/time.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace chaise {

template <class T>
class MultiResult;
namespace detail {
class AnyMultiData;
}

/// What an error is about; several may apply (the seed's category bits).
enum class ErrorKind : std::uint16_t {
    none = 0,
    input = 1,      ///< the caller's arguments
    network = 2,    ///< connections, names, time
    fatal = 4,      ///< will not go away by itself
    transient = 8,  ///< may go away by itself
    data = 16,      ///< the document's state
    internal = 32,  ///< a fault in the client or in the server
};
constexpr ErrorKind operator|(ErrorKind a, ErrorKind b) noexcept {
    return static_cast<ErrorKind>(static_cast<std::uint16_t>(a) | static_cast<std::uint16_t>(b));
}
constexpr bool has_kind(ErrorKind set, ErrorKind one) noexcept {
    return (static_cast<std::uint16_t>(set) & static_cast<std::uint16_t>(one)) != 0;
}

// The classes of G.3, most general first. A class may belong to several kinds, so that a catch works by either.
// CHAISE_ERRORS: X(errc, number, exception class, text)
// clang-format off
#define CHAISE_ERRORS(X)                                                                                             \
    X(request_canceled,                    2,    RequestCanceledError,     "request canceled")                        \
    X(invalid_argument,                    3,    ArgumentError,            "invalid argument")                        \
    X(service_not_available,               4,    NotSupportedError,        "service not available")                   \
    X(internal_server_failure,             5,    InternalError,            "internal server failure")                 \
    X(authentication_failure,              6,    AuthError,                "authentication failure")                  \
    X(temporary_failure,                   7,    TemporaryFailError,       "temporary failure")                       \
    X(parsing_failure,                     8,    InvalidError,             "parsing failure")                         \
    X(cas_mismatch,                        9,    KeyExistsError,           "CAS mismatch")                            \
    X(bucket_not_found,                    10,   BucketNotFoundError,      "bucket not found")                        \
    X(collection_not_found,                11,   NotFoundError,            "collection not found")                    \
    X(unsupported_operation,               12,   NotSupportedError,        "unsupported operation")                   \
    X(feature_not_available,               15,   NotSupportedError,        "feature not available")                   \
    X(scope_not_found,                     16,   NotFoundError,            "scope not found")                         \
    X(index_not_found,                     17,   NotFoundError,            "index not found")                          \
    X(index_exists,                        18,   KeyExistsError,           "index exists")                             \
    X(encoding_failure,                    19,   ValueFormatError,         "encoding failure")                        \
    X(decoding_failure,                    20,   ValueFormatError,         "decoding failure")                        \
    X(rate_limited,                        21,   TemporaryFailError,       "rate limited")                            \
    X(quota_limited,                       22,   QuotaLimitedError,        "quota limited")                           \
    X(document_not_found,                  101,  NotFoundError,            "document not found")                      \
    X(document_unretrievable,              102,  NotFoundError,            "document unretrievable")                  \
    X(document_locked,                     103,  TemporaryFailError,       "document locked")                         \
    X(value_too_large,                     104,  TooBigError,              "value too large")                         \
    X(document_exists,                     105,  KeyExistsError,           "document exists")                         \
    X(durability_level_not_available,      107,  ArgumentError,            "durability level not available")          \
    X(durability_impossible,               108,  ArgumentError,            "durability impossible")                   \
    X(durability_ambiguous,                109,  DurabilityAmbiguousError, "durability ambiguous")                    \
    X(durable_write_in_progress,           110,  TemporaryFailError,       "durable write in progress")               \
    X(durable_write_re_commit_in_progress, 111,  TemporaryFailError,       "durable write re-commit in progress")     \
    X(path_not_found,                      113,  SubdocPathNotFoundError,  "path not found")                          \
    X(path_mismatch,                       114,  SubdocPathMismatchError,  "path mismatch")                           \
    X(path_invalid,                        115,  SubdocPathInvalidError,   "path invalid")                            \
    X(path_too_big,                        116,  SubdocPathInvalidError,   "path too big")                            \
    X(path_too_deep,                       117,  DocumentTooDeepError,     "document too deep")                       \
    X(value_too_deep,                      118,  SubdocValueTooDeepError,  "value too deep")                          \
    X(value_invalid,                       119,  SubdocCantInsertValueError, "value invalid")                         \
    X(document_not_json,                   120,  DocumentNotJsonError,     "document not JSON")                       \
    X(number_too_big,                      121,  SubdocNumberTooBigError,  "number too big")                          \
    X(delta_invalid,                       122,  DeltaBadvalError,         "delta invalid, or the value is no number") \
    X(path_exists,                         123,  SubdocPathExistsError,    "path exists")                             \
    X(xattr_unknown_macro,                 124,  InvalidError,             "unknown macro")                           \
    X(xattr_invalid_key_combo,             126,  InvalidError,             "invalid xattr key combination")           \
    X(xattr_unknown_virtual_attribute,     127,  InvalidError,             "unknown virtual attribute")               \
    X(xattr_cannot_modify_virtual_attribute, 128, InvalidError,            "cannot modify virtual attribute")         \
    X(xattr_no_access,                     130,  AuthError,                "no access to the extended attribute")    \
    X(document_not_locked,                 131,  TemporaryFailError,       "document not locked")                     \
    X(planning_failure,                    201,  N1QLError,                "planning failure")                         \
    X(index_failure,                       202,  N1QLError,                "index failure")                            \
    X(prepared_statement_failure,          203,  N1QLError,                "prepared statement failure")               \
    X(dml_failure,                         204,  N1QLError,                "DML failure")                              \
    X(compilation_failure,                 301,  AnalyticsError,           "compilation failure")                      \
    X(job_queue_full,                      302,  TemporaryFailError,       "job queue full")                           \
    X(dataset_not_found,                   303,  NotFoundError,            "dataset not found")                        \
    X(view_not_found,                      501,  NotFoundError,            "view not found")                           \
    X(design_document_not_found,           502,  NotFoundError,            "design document not found")                \
    X(timeout_before_send,                 1001, TimeoutError,             "timeout before the request was sent")     \
    X(timeout_after_send,                  1002, TimeoutError,             "timeout after the request was sent")      \
    X(connection_lost_after_send,          1003, ConnectionLostError,      "connection lost after the request was sent") \
    X(cancelled,                           1004, CancelledError,           "cancelled")                               \
    X(shutdown,                            1005, ShutdownError,            "bucket closed")                           \
    X(queue_full,                          1006, QueueFullError,           "queue full")                              \
    X(not_connected,                       1007, ConnectError,             "not connected")                           \
    X(mutation_superseded,                 1008, MutationSupersededError,  "mutation superseded by another")          \
    X(mutation_lost,                       1009, MutationLostError,        "mutation lost in a failover")             \
    X(host_not_found,                      1010, UnknownHostError,         "host not found")                          \
    X(protocol_error,                      1011, ProtocolError,            "protocol error")                          \
    X(not_stored,                          1012, NotStoredError,           "not stored")                              \
    X(not_my_vbucket,                      1013, NotMyVbucketError,        "not my vbucket")                          \
    X(unknown_status,                      1014, UnknownStatusError,       "status unknown to the client")           \
    X(queue_empty,                         1015, QueueEmpty,               "queue is empty")                         \
    X(http_failure,                        1016, HTTPError,                "unexpected HTTP status")                   \
    X(view_failure,                        1017, ViewEngineError,          "view engine error")                        \
    X(query_failure,                       1018, N1QLError,                "query failed")                             \
    X(search_failure,                      1019, SearchError,              "search failed")                            \
    X(analytics_failure,                   1020, AnalyticsError,           "analytics query failed")

// CHAISE_STATUS_ERRORS: X(server status, errc). Two depend on the operation (see errc_of_status): 0x02 is
// document_exists for insert, 0x05 is document_not_found for append and prepend.
#define CHAISE_STATUS_ERRORS(X)                 \
    X(0x01, document_not_found)                 \
    X(0x02, cas_mismatch)                       \
    X(0x03, value_too_large)                    \
    X(0x04, invalid_argument)                   \
    X(0x05, not_stored)                         \
    X(0x06, delta_invalid)                      \
    X(0x07, not_my_vbucket)                     \
    X(0x08, bucket_not_found)                   \
    X(0x09, document_locked)                    \
    X(0x0c, rate_limited)                       \
    X(0x0e, document_not_locked)                \
    X(0x0f, cas_mismatch)                       \
    X(0x1f, authentication_failure)             \
    X(0x20, authentication_failure)             \
    X(0x22, invalid_argument)                   \
    X(0x24, authentication_failure)             \
    X(0x25, temporary_failure)                  \
    X(0x28, invalid_argument)                   \
    X(0x29, invalid_argument)                   \
    X(0x30, rate_limited)                       \
    X(0x31, rate_limited)                       \
    X(0x32, rate_limited)                       \
    X(0x33, rate_limited)                       \
    X(0x34, quota_limited)                      \
    X(0x35, quota_limited)                      \
    X(0x36, quota_limited)                      \
    X(0x37, quota_limited)                      \
    X(0x38, quota_limited)                      \
    X(0x50, temporary_failure)                  \
    X(0x51, temporary_failure)                  \
    X(0x80, unsupported_operation)              \
    X(0x81, unsupported_operation)              \
    X(0x82, temporary_failure)                  \
    X(0x83, unsupported_operation)              \
    X(0x84, internal_server_failure)            \
    X(0x85, temporary_failure)                  \
    X(0x86, temporary_failure)                  \
    X(0x87, invalid_argument)                   \
    X(0x88, collection_not_found)               \
    X(0x89, collection_not_found)               \
    X(0x8c, scope_not_found)                    \
    X(0xa0, durability_level_not_available)     \
    X(0xa1, durability_impossible)              \
    X(0xa2, durable_write_in_progress)          \
    X(0xa3, durability_ambiguous)               \
    X(0xa4, durable_write_re_commit_in_progress) \
    X(0xc0, path_not_found)                     \
    X(0xc1, path_mismatch)                      \
    X(0xc2, path_invalid)                       \
    X(0xc3, path_too_big)                       \
    X(0xc4, path_too_deep)                      \
    X(0xc5, value_invalid)                      \
    X(0xc6, document_not_json)                  \
    X(0xc7, number_too_big)                     \
    X(0xc8, delta_invalid)                      \
    X(0xc9, path_exists)                        \
    X(0xca, value_too_deep)                     \
    X(0xcb, invalid_argument)                   \
    X(0xce, invalid_argument)                   \
    X(0xcf, xattr_invalid_key_combo)            \
    X(0xd0, xattr_unknown_macro)                \
    X(0xd1, xattr_unknown_virtual_attribute)    \
    X(0xd2, xattr_cannot_modify_virtual_attribute) \
    X(0xd4, invalid_argument)                   \
    X(0xd5, xattr_unknown_macro)                \
    X(0xd6, document_exists)                    \
    X(0xd7, invalid_argument)                   \
    X(0xd8, value_invalid)
// clang-format on

enum class errc : int {
    success = 0,
#define CHAISE_X(name, number, exception, text) name = number,
    CHAISE_ERRORS(CHAISE_X)
#undef CHAISE_X
};

[[nodiscard]] const std::error_category& error_category() noexcept;
[[nodiscard]] inline std::error_code make_error_code(errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}
/// "document_not_found"
[[nodiscard]] std::string_view name(errc code) noexcept;
[[nodiscard]] ErrorKind kind(errc code) noexcept;
/// By the table above, for an operation whose errors have no meaning of their own. 0 is success.
[[nodiscard]] errc errc_of_status(std::uint16_t status) noexcept;

/// Where an operation was when it failed. Built only when there is an error.
struct ErrorContext {
    std::string message{};                  ///< what a person reads
    std::string operation{};                ///< "get"
    std::string key{};                      ///< as the caller gave it; empty if the operation has none
    std::string scope{};                    ///< of the key; empty: the default collection, or no key
    std::string collection{};               ///< of the key; empty: the default collection, or no key
    std::string node{};                     ///< "127.0.0.1:11211"; empty if none was chosen
    std::string server_text{};              ///< what the server added to its status; its beginning, if that is long
    std::string server_context{};           ///< what that says, if it is an error context: why, for people
    std::string server_ref{};               ///< and what the server calls this event in its log
    std::uint32_t opaque = 0;               ///< of the request, to find it in a capture
    std::optional<std::uint16_t> status{};  ///< as the server sent it
    std::optional<int> http_status{};       ///< of views and queries
    /// Of the query service and analytics: of the first of its errors (seed: n1ql_errcode).
    std::optional<std::int64_t> server_code{};
    Duration time_spent{};  ///< from the call to the outcome
    /// Part of it that passed since the last attempt was handed to the network (to 1 ms, or a
    /// quarter of it on a busy connection); the rest was spent in queues and in earlier attempts. Nothing: the last
    /// attempt was not sent.
    std::optional<Duration> time_on_wire{};
    /// Part of it that the server spent, as it says in its response (Couchbase only; steps of 3 % at 1 ms).
    std::optional<Duration> server_duration{};
    std::uint32_t retries = 0;          ///< attempts beyond the first
    std::optional<std::size_t> spec{};  ///< of mutate_in: the caller's index of the spec that failed
    std::string path{};                 ///< and its path
    bool may_have_happened = false;     ///< true: the server may have executed it; false: certainly not
    /// Of a mutation with persist_to or replicate_to: it has happened, `cas` and `mutation_token` are what it gave; but
    /// it was not shown to be as durable as asked for. Do not repeat it; wait on with `endure`, if you like.
    bool mutation_happened = false;
    Cas cas = 0;
    std::optional<MutationToken> mutation_token{};
    /// Of these and of endure: the copies that were seen to have it so far, as in OperationResult.
    std::uint8_t persisted_on = 0;
    std::uint8_t replicated_on = 0;
    /// Of a multi operation, of which entries were sent: what all of them came to; see Error::all_results().
    std::shared_ptr<const detail::AnyMultiData> all_results{};
};

/// The outcome of an operation that failed. Cheap to copy; never empty except when default-constructed.
class Error {
public:
    Error() = default;
    explicit Error(errc code) : code_(code) {}
    Error(errc code, ErrorContext context)
        : code_(code), context_(std::make_shared<const ErrorContext>(std::move(context))) {}

    [[nodiscard]] errc code() const noexcept { return code_; }
    [[nodiscard]] std::error_code error_code() const noexcept { return make_error_code(code_); }
    [[nodiscard]] ErrorKind kind() const noexcept { return chaise::kind(code_); }
    [[nodiscard]] bool is(ErrorKind one) const noexcept { return has_kind(kind(), one); }
    /// An empty context if the error was made without one.
    [[nodiscard]] const ErrorContext& context() const noexcept;
    /// One line: what, where, whether it may have happened.
    [[nodiscard]] std::string message() const;
    [[nodiscard]] bool may_have_happened() const noexcept { return context().may_have_happened; }
    /// Of a multi operation: what all its entries came to; empty if none was sent, or if T is not the type of their
    /// results. `error.all_results<ValueResult>()` for get_multi. (Defined in multi_result.hpp.)
    template <class T>
    [[nodiscard]] MultiResult<T> all_results() const;
    [[nodiscard]] explicit operator bool() const noexcept { return code_ != errc::success; }
    friend bool operator==(const Error& a, errc b) noexcept { return a.code_ == b; }

private:
    errc code_ = errc::success;
    std::shared_ptr<const ErrorContext> context_;
};

/// Root of everything that chaise throws for an operation.
class Exception : public std::exception {
public:
    explicit Exception(Error error) : error_(std::move(error)), what_(error_.message()) {}
    Exception() = default;
    [[nodiscard]] const char* what() const noexcept override { return what_.c_str(); }
    [[nodiscard]] const Error& error() const noexcept { return error_; }
    [[nodiscard]] errc code() const noexcept { return error_.code(); }
    [[nodiscard]] const ErrorContext& context() const noexcept { return error_.context(); }
    /// As Error::all_results().
    template <class T>
    [[nodiscard]] MultiResult<T> all_results() const;

private:
    Error error_;
    std::string what_;
};

// Virtual bases, so that a class of two kinds has one Exception in it. The most derived class makes the root.
struct InputError : virtual Exception {};      ///< seed: CouchbaseInputError
struct NetworkError : virtual Exception {};    ///< seed: CouchbaseNetworkError
struct FatalError : virtual Exception {};      ///< seed: CouchbaseFatalError
struct TransientError : virtual Exception {};  ///< seed: CouchbaseTransientError
struct DataError : virtual Exception {};       ///< seed: CouchbaseDataError
struct InternalFault : virtual Exception {};   ///< seed: CouchbaseInternalError

#define CHAISE_EXCEPTION(Name, ...)                                 \
    struct Name : __VA_ARGS__ {                                     \
        explicit Name(Error error) : Exception(std::move(error)) {} \
    }
CHAISE_EXCEPTION(ArgumentError, InputError);
CHAISE_EXCEPTION(InvalidError, InputError);
CHAISE_EXCEPTION(ValueFormatError, InputError);
CHAISE_EXCEPTION(AuthError, InputError, FatalError);
CHAISE_EXCEPTION(BucketNotFoundError, InputError, FatalError);
CHAISE_EXCEPTION(QuotaLimitedError, InputError, FatalError);
CHAISE_EXCEPTION(UnknownHostError, InputError, NetworkError);
CHAISE_EXCEPTION(DeltaBadvalError, InputError, DataError);
CHAISE_EXCEPTION(TooBigError, InputError, DataError);
CHAISE_EXCEPTION(NotFoundError, DataError);
CHAISE_EXCEPTION(KeyExistsError, DataError);
CHAISE_EXCEPTION(NotStoredError, DataError);
CHAISE_EXCEPTION(MutationSupersededError, DataError);
CHAISE_EXCEPTION(MutationLostError, DataError);
CHAISE_EXCEPTION(DurabilityAmbiguousError, DataError);
CHAISE_EXCEPTION(SubdocPathNotFoundError, DataError);
CHAISE_EXCEPTION(SubdocPathMismatchError, DataError);
CHAISE_EXCEPTION(SubdocPathExistsError, DataError);
CHAISE_EXCEPTION(SubdocNumberTooBigError, DataError);
CHAISE_EXCEPTION(DocumentNotJsonError, DataError);
CHAISE_EXCEPTION(DocumentTooDeepError, DataError);
CHAISE_EXCEPTION(QueueEmpty, DataError);
CHAISE_EXCEPTION(SubdocPathInvalidError, InputError);
CHAISE_EXCEPTION(SubdocCantInsertValueError, InputError);
CHAISE_EXCEPTION(SubdocValueTooDeepError, InputError);
CHAISE_EXCEPTION(TemporaryFailError, TransientError);
CHAISE_EXCEPTION(QueueFullError, TransientError);
CHAISE_EXCEPTION(TimeoutError, NetworkError, TransientError);
CHAISE_EXCEPTION(ConnectError, NetworkError, TransientError);
CHAISE_EXCEPTION(ConnectionLostError, NetworkError, TransientError);
CHAISE_EXCEPTION(NotMyVbucketError, NetworkError, TransientError);
CHAISE_EXCEPTION(ProtocolError, NetworkError);
CHAISE_EXCEPTION(InternalError, InternalFault);
CHAISE_EXCEPTION(HTTPError, virtual Exception);
CHAISE_EXCEPTION(ViewEngineError, virtual Exception);
CHAISE_EXCEPTION(N1QLError, virtual Exception);
CHAISE_EXCEPTION(SearchError, virtual Exception);
CHAISE_EXCEPTION(AnalyticsError, virtual Exception);
CHAISE_EXCEPTION(NotSupportedError, virtual Exception);
CHAISE_EXCEPTION(UnknownStatusError, virtual Exception);
CHAISE_EXCEPTION(RequestCanceledError, virtual Exception);
CHAISE_EXCEPTION(CancelledError, virtual Exception);
CHAISE_EXCEPTION(ShutdownError, virtual Exception);
#undef CHAISE_EXCEPTION

/// Throws the exception of the error's class.
[[noreturn]] void throw_error(Error error);
/// The same as a pointer, without throwing.
[[nodiscard]] std::exception_ptr make_exception_ptr(Error error);

}  // namespace chaise

template <>
struct std::is_error_code_enum<chaise::errc> : std::true_type {};
