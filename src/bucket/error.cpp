#include <chaise/error.hpp>

#include <fmt/format.h>

#include <type_traits>

namespace chaise {

namespace {

class Category final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "chaise"; }
    [[nodiscard]] std::string message(int code) const override {
        switch (static_cast<errc>(code)) {
            case errc::success:
                return "success";
#define CHAISE_X(name, number, exception, text) \
    case errc::name:                            \
        return text;
                CHAISE_ERRORS(CHAISE_X)
#undef CHAISE_X
        }
        return "unknown error " + std::to_string(code);
    }
};

template <class E>
constexpr ErrorKind kind_of_class() noexcept {
    ErrorKind kind = ErrorKind::none;
    if (std::is_base_of_v<InputError, E>) kind = kind | ErrorKind::input;
    if (std::is_base_of_v<NetworkError, E>) kind = kind | ErrorKind::network;
    if (std::is_base_of_v<FatalError, E>) kind = kind | ErrorKind::fatal;
    if (std::is_base_of_v<TransientError, E>) kind = kind | ErrorKind::transient;
    if (std::is_base_of_v<DataError, E>) kind = kind | ErrorKind::data;
    if (std::is_base_of_v<InternalFault, E>) kind = kind | ErrorKind::internal;
    return kind;
}

/// A key may hold any bytes, and be long.
std::string printable(std::string_view key, std::size_t longest = 64) {
    std::string out;
    for (const char c : key.substr(0, longest)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f || c == '"' || c == '\\') {
            out += fmt::format("\\x{:02x}", byte);
        } else {
            out += c;
        }
    }
    if (key.size() > longest) out += "...";
    return out;
}

/// What the server added: its words, where they come in JSON (protocol.md 4.3), and by what to find them in its log.
[[gnu::cold, gnu::noinline]] std::string server_words(const ErrorContext& told) {
    if (told.server_context.empty() && told.server_ref.empty()) return printable(told.server_text);
    std::string out = printable(told.server_context, 256);
    if (told.server_ref.empty()) return out;
    if (!out.empty()) out += ", ";
    out += fmt::format("ref {}", printable(told.server_ref));
    return out;
}

std::string readable(Duration time) {
    using std::chrono::duration;
    if (time < std::chrono::milliseconds(1))
        return fmt::format("{:.0f} us", duration<double, std::micro>(time).count());
    if (time < std::chrono::seconds(1)) return fmt::format("{:.1f} ms", duration<double, std::milli>(time).count());
    return fmt::format("{:.3f} s", duration<double>(time).count());
}

}  // namespace

const std::error_category& error_category() noexcept {
    static const Category category;
    return category;
}

std::string_view name(errc code) noexcept {
    switch (code) {
        case errc::success:
            return "success";
#define CHAISE_X(name, number, exception, text) \
    case errc::name:                            \
        return #name;
            CHAISE_ERRORS(CHAISE_X)
#undef CHAISE_X
    }
    return "unknown";
}

ErrorKind kind(errc code) noexcept {
    switch (code) {
        case errc::success:
            return ErrorKind::none;
#define CHAISE_X(name, number, exception, text) \
    case errc::name:                            \
        return kind_of_class<exception>();
            CHAISE_ERRORS(CHAISE_X)
#undef CHAISE_X
    }
    return ErrorKind::none;
}

errc errc_of_status(std::uint16_t status) noexcept {
    switch (status) {
        case 0:
            return errc::success;
#define CHAISE_X(number, name) \
    case number:               \
        return errc::name;
            CHAISE_STATUS_ERRORS(CHAISE_X)
#undef CHAISE_X
        default:
            return errc::unknown_status;
    }
}

const ErrorContext& Error::context() const noexcept {
    static const ErrorContext none;
    return context_ ? *context_ : none;
}

std::string Error::message() const {
    const ErrorContext& c = context();
    std::string out;
    if (!c.operation.empty()) out += c.operation;
    if (!c.key.empty()) out += fmt::format("{}\"{}\"", out.empty() ? "" : " ", printable(c.key));
    if (!c.collection.empty()) out += fmt::format("{}in {}.{}", out.empty() ? "" : " ", c.scope, c.collection);
    if (!c.node.empty()) out += fmt::format("{}at {}", out.empty() ? "" : " ", c.node);
    if (!out.empty()) out += ": ";
    out += error_category().message(static_cast<int>(code_));
    if (!c.message.empty()) out += fmt::format(": {}", c.message);
    // Of HTTP it is the whole body; what it says is in the message.
    if (!c.server_text.empty() && !c.http_status) out += fmt::format(" (server: {})", server_words(c));
    std::string where;
    const auto add = [&](const std::string& part) { where += (where.empty() ? "" : ", ") + part; };
    if (c.status) add(fmt::format("status 0x{:02x}", *c.status));
    if (c.http_status) add(fmt::format("HTTP {}", *c.http_status));
    if (c.opaque != 0) add(fmt::format("opaque 0x{:08x}", c.opaque));
    if (c.time_spent.count() != 0) add("after " + readable(c.time_spent));
    if (c.time_on_wire && code_ == errc::timeout_after_send) add(readable(*c.time_on_wire) + " of them on the wire");
    if (c.server_duration) add("server took " + readable(*c.server_duration));
    if (c.retries != 0) add(fmt::format("{} {}", c.retries, c.retries == 1 ? "retry" : "retries"));
    if (c.mutation_happened) {
        add("the mutation happened");
    } else if (c.may_have_happened) {
        add("may have happened");
    }
    if (!where.empty()) out += fmt::format(" [{}]", where);
    return out;
}

void throw_error(Error error) {
    switch (error.code()) {
#define CHAISE_X(name, number, exception, text) \
    case errc::name:                            \
        throw exception(std::move(error));
        CHAISE_ERRORS(CHAISE_X)
#undef CHAISE_X
        case errc::success:
            break;
    }
    throw Exception(std::move(error));
}

std::exception_ptr make_exception_ptr(Error error) {
    switch (error.code()) {
#define CHAISE_X(name, number, exception, text) \
    case errc::name:                            \
        return std::make_exception_ptr(exception(std::move(error)));
        CHAISE_ERRORS(CHAISE_X)
#undef CHAISE_X
        case errc::success:
            break;
    }
    return std::make_exception_ptr(Exception(std::move(error)));
}

}  // namespace chaise
