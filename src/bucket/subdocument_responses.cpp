// What the server's answers to sub-document operations become.

#include "protocol/subdocument_responses.hpp"
#include "bucket/subdocument.hpp"
#include "protocol/byte_order.hpp"
#include "protocol/status.hpp"

#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace chaise {

const SubdocEntry& SubdocResult::at(std::size_t at) const {
    if (at >= size()) throw std::out_of_range("chaise: a SubdocResult has no such spec");
    return entries_[at];
}

const SubdocEntry& SubdocResult::at(std::string_view path) const {
    const SubdocEntry* entry = find(path);
    if (!entry) throw std::out_of_range("chaise: a SubdocResult has no such path");
    return *entry;
}

Error SubdocResult::error_of(const SubdocEntry& entry) const {
    ErrorContext context{.message = "at " + detail::shown_path(entry.path), .operation = "lookup_in"};
    context.status = entry.status;
    context.spec = static_cast<std::size_t>(&entry - entries_);
    context.path = entry.path;
    return Error(entry.code, std::move(context));
}

namespace detail {

namespace {

using protocol::Frame;
using protocol::Status;

/// Results whose values have no more bytes than this copy them, and leave the receive buffer to others.
constexpr std::size_t most_copied = 4096;

errc errc_of(Status status, bool xattr) noexcept {
    if (status == Status::eaccess && xattr) return errc::xattr_no_access;
    return errc_of_status(static_cast<std::uint16_t>(status));
}

/// The specs of a request of ours, as they were sent.
struct Sent {
    std::array<std::string_view, protocol::max_subdoc_specs> paths;
    std::array<std::uint8_t, protocol::max_subdoc_specs> caller{};  ///< wire index → the caller's
    std::size_t size = 0;
    std::size_t path_bytes = 0;

    Sent(const Frame& request, std::uint16_t xattr_specs) noexcept {
        const bool mutation = request.opcode == protocol::Opcode::subdoc_multi_mutation;
        std::string_view left = request.value;
        while (size < paths.size() && left.size() >= (mutation ? 8u : 4u)) {
            const std::size_t path = protocol::load_be16(left.data() + 2);
            const std::size_t value = mutation ? protocol::load_be32(left.data() + 4) : 0;
            left.remove_prefix(mutation ? 8 : 4);
            paths[size++] = left.substr(0, path);
            path_bytes += path;
            left.remove_prefix(path + value);
        }
        std::size_t n = 0;
        for (const bool xattr : {true, false}) {
            for (std::size_t i = 0; i < size; ++i) {
                if (((xattr_specs >> i & 1u) != 0) == xattr) caller[n++] = static_cast<std::uint8_t>(i);
            }
        }
    }
};

/// The result's own block: entries, then paths, then values that are short enough.
class Block {
public:
    Block(const Sent& sent, std::size_t value_bytes, Buffer* buffer) : copies_(value_bytes <= most_copied) {
        const std::size_t entries = sent.size * sizeof(SubdocEntry);
        block_ = BufferRef(Buffer::make(entries + sent.path_bytes + (copies_ ? value_bytes : 0)));
        entries_ = reinterpret_cast<SubdocEntry*>(block_->data());
        free_ = block_->data() + entries;
        for (std::size_t i = 0; i < sent.size; ++i) {
            ::new (static_cast<void*>(entries_ + sent.caller[i])) SubdocEntry{.path = keep(sent.paths[i]), .value = {}};
        }
        if (!copies_) {
            buffer->add_ref();
            values_ = BufferRef(buffer);
        }
    }
    [[nodiscard]] SubdocEntry& entry(std::size_t n) noexcept { return entries_[n]; }
    void set_value(std::size_t n, std::string_view value) { entries_[n].value = copies_ ? keep(value) : value; }
    [[nodiscard]] SubdocResult finish(OperationResult outcome, std::size_t size, bool deleted) {
        return {outcome, std::move(block_), static_cast<std::uint32_t>(size), std::move(values_), deleted};
    }

private:
    std::string_view keep(std::string_view bytes) noexcept {
        if (!bytes.empty()) std::memcpy(free_, bytes.data(), bytes.size());
        const std::string_view kept(free_, bytes.size());
        free_ += bytes.size();
        return kept;
    }

    const bool copies_;
    BufferRef block_;
    BufferRef values_;
    SubdocEntry* entries_ = nullptr;
    char* free_ = nullptr;
};

bool of_deleted(Status status) noexcept {
    return status == Status::subdoc_success_deleted || status == Status::subdoc_multi_path_failure_deleted;
}

}  // namespace

std::optional<SubdocResult> lookup_result(const Frame& request, const Frame& response, std::uint16_t xattr_specs,
                                          Buffer* buffer) {
    const Sent sent(request, xattr_specs);
    std::array<protocol::LookupResult, protocol::max_subdoc_specs> found;
    std::size_t n = 0;
    std::size_t value_bytes = 0;
    protocol::MultiLookupReader reader(response);
    while (const auto one = reader.next()) {
        if (n == sent.size) return std::nullopt;
        found[n++] = *one;
        value_bytes += one->value.size();
    }
    if (reader.malformed() || n != sent.size) return std::nullopt;

    Block block(sent, value_bytes, buffer);
    std::size_t first_failed = n;
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t at = sent.caller[i];
        SubdocEntry& entry = block.entry(at);
        entry.code = errc_of(found[i].status, (xattr_specs >> at & 1u) != 0);
        entry.status = static_cast<std::uint16_t>(found[i].status);
        if (entry.success()) {
            block.set_value(at, found[i].value);
        } else {
            first_failed = std::min(first_failed, at);
        }
    }
    const errc rc = first_failed == n ? errc::success : block.entry(first_failed).code;
    return block.finish(OperationResult(rc, response.cas), n, of_deleted(response.status()));
}

std::optional<SubdocResult> mutate_result(const Frame& request, const Frame& response, std::uint16_t xattr_specs,
                                          OperationResult outcome, Buffer* buffer) {
    const Sent sent(request, xattr_specs);
    std::size_t value_bytes = 0;
    protocol::MultiMutationReader reader(response);
    while (const auto one = reader.next()) {
        if (one->index >= sent.size || one->status != Status::success) return std::nullopt;
        value_bytes += one->value.size();
    }
    if (reader.malformed()) return std::nullopt;
    Block block(sent, value_bytes, buffer);
    protocol::MultiMutationReader again(response);
    while (const auto one = again.next()) block.set_value(sent.caller[one->index], one->value);
    return block.finish(outcome, sent.size, of_deleted(response.status()));
}

std::optional<FailedSpec> failed_spec(const Frame& request, const Frame& response, std::uint16_t xattr_specs) {
    const Sent sent(request, xattr_specs);
    protocol::MultiMutationReader reader(response);
    const auto failed = reader.next();
    if (!failed || failed->index >= sent.size || failed->status == Status::success) return std::nullopt;
    const std::size_t at = sent.caller[failed->index];
    return FailedSpec{.spec = at,
                      .path = sent.paths[failed->index],
                      .code = errc_of(failed->status, (xattr_specs >> at & 1u) != 0),
                      .status = static_cast<std::uint16_t>(failed->status)};
}

bool inserts_document(const Frame& request) noexcept {
    // The doc flags, if there are any, come last and make the length odd (protocol.md 2.3).
    return request.extras.size() % 2 != 0 &&
           (static_cast<std::uint8_t>(request.extras.back()) & protocol::doc_flag::add) != 0;
}

void Core::respond_to_subdocument(Slot& slot, const Frame& frame, Buffer* buffer) {
    if (!wanted(slot)) {
        retire(slot);
        return unowned(slot);
    }
    const Frame request = request_of(slot);
    std::optional<SubdocResult> result;
    if (slot.kind == OperationKind::lookup_in) {
        result = lookup_result(request, frame, slot.xattr_specs, buffer);
    } else if (frame.status() == Status::success || frame.status() == Status::subdoc_success_deleted) {
        result = mutate_result(request, frame, slot.xattr_specs, mutation_result(frame, request.vbucket()), buffer);
    } else if (const auto failed = failed_spec(request, frame, slot.xattr_specs)) {
        ErrorContext context =
            make_error(slot, failed->code, "spec " + std::to_string(failed->spec) + ", " + shown_path(failed->path),
                       false, failed->status)
                .context();
        context.spec = failed->spec;
        context.path = failed->path;
        Error error(failed->code, std::move(context));
        retire(slot);
        return deliver_error(slot, error);
    }
    if (!result) return respond_with_malformed(slot, frame);
    retire(slot);
    deliver(slot, *result);
}

}  // namespace detail

}  // namespace chaise
