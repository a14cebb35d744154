// Data structures on documents: one sub-document command each, but for those that read first and change then.

#include "bucket/containers.hpp"
#include "bucket/durable_mutation.hpp"
#include "bucket/sequence.hpp"
#include "bucket/subdocument.hpp"
#include "protocol/json_array.hpp"

#include <memory>
#include <string>
#include <utility>

namespace chaise::detail {

namespace {

using protocol::ArraySearchStatus;
using protocol::Opcode;

/// One command on one path.
struct PathCommand {
    Opcode opcode;
    std::string_view path{};
    std::string_view value{};
    bool takes = false;  ///< a value, which an error would lose
};

void submit_lookup(Core& core, Slot& slot, const std::optional<Duration>& timeout, std::string_view key, Opcode opcode,
                   std::string_view path) {
    slot.idempotent = true;
    protocol::SubdocLookupRequest request{.opcode = opcode, .key = key, .path = path};
    core.submit(slot, timeout, key, request);
}

/// `options.timeout`: what is left.
void submit_mutation(Core& core, Slot& slot, std::string_view key, const PathCommand& command,
                     const ContainerAddOptions& options) {
    const auto expiry = check_expiry(core, slot, key, options.expiry);
    if (!expiry) return;
    std::optional<Core::WithoutDefault> not_awaited;
    if (command.takes) not_awaited.emplace(core);
    MutationRequest mutation(core, slot, key, Beyond::of(options));
    if (!mutation) return;
    protocol::SubdocMutationRequest request{
        .opcode = command.opcode, .key = key, .path = command.path, .value = command.value};
    if (*expiry != 0) request.expiry = *expiry;
    if (options.create) request.doc_flags = protocol::doc_flag::mkdoc;
    request.context.cas = options.cas;
    request.context.frame_infos = mutation.frame_infos();
    core.submit(mutation.slot(), mutation.timeout(), key, request);
}

std::string path_of(std::int64_t index) { return "[" + std::to_string(index) + "]"; }

/// set_contains, and the first step of set_remove: the whole document, and where in it the value is.
class SetSearch : public Sequence {
public:
    SetSearch(Core& core, Slot& whole, const ContainerCall& call)
        : Sequence(core, whole, call.key, call.options.timeout), value_(call.value) {}

    void begin() { start_get(core(), reading(), key(), {.timeout = time_left(), .quiet = false}); }

protected:
    enum class Found { yes, no, failed };
    Found search(const ValueResult& document) {
        const auto found = protocol::find_in_array(document.value(), value_);
        switch (found.status) {
            case ArraySearchStatus::found:
                index_ = found.index;
                cas_ = document.cas();
                return Found::yes;
            case ArraySearchStatus::missing:
                return Found::no;
            case ArraySearchStatus::not_json:
                end_with(errc::document_not_json, {});
                return Found::failed;
            case ArraySearchStatus::not_an_array:
                end_with(errc::path_mismatch, "the document is not an array");
                return Found::failed;
        }
        return Found::failed;
    }
    [[nodiscard]] std::size_t index() const noexcept { return index_; }
    [[nodiscard]] Cas cas() const noexcept { return cas_; }

private:
    const std::string value_;
    std::size_t index_ = 0;
    Cas cas_ = 0;
};

class SetContains final : public SetSearch {
public:
    using SetSearch::SetSearch;

protected:
    void succeeded(OperationKind, void* result) override {
        if (search(*static_cast<ValueResult*>(result)) == Found::yes) result_ = ExistsResult(cas());
    }
    bool failed(OperationKind, const Error&) override { return false; }
    void deliver_result(Core& core, Slot& whole) override { core.deliver(whole, result_); }

private:
    ExistsResult result_;
};

class SetRemove final : public SetSearch {
public:
    SetRemove(Core& core, Slot& whole, const ContainerCall& call)
        : SetSearch(core, whole, call), options_(call.options) {}

protected:
    void succeeded(OperationKind kind, void* result) override {
        if (kind == OperationKind::list_remove) {
            result_ = *static_cast<OperationResult*>(result);
            return;
        }
        if (search(*static_cast<ValueResult*>(result)) != Found::yes) return;
        Slot& slot = changing().acquire(OperationKind::list_remove, Opcode::subdoc_remove);
        const std::string path = path_of(static_cast<std::int64_t>(index()));
        ContainerAddOptions options = options_;
        options.cas = cas();
        options.timeout = time_left();
        submit_mutation(core(), slot, key(), {.opcode = Opcode::subdoc_remove, .path = path}, options);
    }
    bool failed(OperationKind kind, const Error& error) override {
        // Somebody was faster.
        if (kind != OperationKind::list_remove || error.code() != errc::cas_mismatch) return false;
        begin();
        return true;
    }
    void deliver_result(Core& core, Slot& whole) override { core.deliver(whole, result_); }

private:
    const ContainerAddOptions options_;
    OperationResult result_{errc::path_not_found, 0};  // which it is, if nothing had to be removed
};

class QueuePop final : public Sequence {
public:
    QueuePop(Core& core, Slot& whole, const ContainerCall& call)
        : Sequence(core, whole, call.key, call.options.timeout), options_(call.options) {}

    void begin() {
        Slot& slot = reading().acquire(OperationKind::list_get, Opcode::subdoc_get);
        submit_lookup(core(), slot, time_left(), key(), Opcode::subdoc_get, front);
    }

protected:
    void succeeded(OperationKind kind, void* result) override {
        if (kind == OperationKind::list_remove) return;
        value_ = std::move(*static_cast<ValueResult*>(result));
        Slot& slot = changing().acquire(OperationKind::list_remove, Opcode::subdoc_remove);
        ContainerAddOptions options = options_;
        options.cas = value_.cas();
        options.timeout = time_left();
        submit_mutation(core(), slot, key(), {.opcode = Opcode::subdoc_remove, .path = front, .takes = true}, options);
    }
    bool failed(OperationKind kind, const Error& error) override {
        if (kind == OperationKind::list_remove && error.code() == errc::cas_mismatch) {
            begin();
            return true;
        }
        if (kind == OperationKind::list_get && error.code() == errc::path_not_found) end_with(errc::queue_empty, {});
        return false;
    }
    void deliver_result(Core& core, Slot& whole) override { core.deliver(whole, value_); }

private:
    static constexpr std::string_view front = "[-1]";  // values are added at the beginning
    const ContainerAddOptions options_;
    ValueResult value_;
};

template <class S>
void start_sequence(Core& core, Slot& whole, const ContainerCall& call) {
    auto owned = std::make_unique<S>(core, whole, call);
    S& sequence = *owned;
    core.adopt(whole, std::move(owned));
    sequence.begin();
    core.finish_part(whole);  // this one's share
}

bool reads(OperationKind kind) noexcept {
    switch (kind) {
        case OperationKind::map_get:
        case OperationKind::map_size:
        case OperationKind::list_get:
        case OperationKind::list_size:
        case OperationKind::set_size:
        case OperationKind::queue_size:
            return true;
        default:
            return false;
    }
}

bool names_member(OperationKind kind) noexcept {
    return kind == OperationKind::map_add || kind == OperationKind::map_get || kind == OperationKind::map_remove;
}
bool names_index(OperationKind kind) noexcept {
    return kind == OperationKind::list_set || kind == OperationKind::list_get || kind == OperationKind::list_remove;
}
bool of_set_value(OperationKind kind) noexcept {
    return kind == OperationKind::set_add || kind == OperationKind::set_contains || kind == OperationKind::set_remove;
}
bool adds(OperationKind kind) noexcept {
    switch (kind) {
        case OperationKind::map_add:
        case OperationKind::list_append:
        case OperationKind::list_prepend:
        case OperationKind::list_set:
        case OperationKind::queue_push:
            return true;
        default:
            return false;
    }
}

/// What is wrong with the call, in words; empty if nothing.
std::string fault_of(const ContainerCall& call, std::string_view path) {
    if (names_member(call.kind)) {
        if (call.member.empty()) return "the name of the member is empty";
        if (path.size() > protocol::max_subdoc_path) {
            return "the name of the member takes " + std::to_string(path.size()) + " bytes, the limit is " +
                   std::to_string(protocol::max_subdoc_path);
        }
    }
    if (names_index(call.kind) && call.index < -1) {
        return "the index is " + std::to_string(call.index) + ", it must be 0 or more, or -1 for the last";
    }
    if (adds(call.kind) && call.value.empty()) return "there is no value";
    if (of_set_value(call.kind) && !protocol::is_json_scalar(call.value)) {
        return "the value is not a JSON string, number, boolean or null";
    }
    return {};
}

}  // namespace

Opcode opcode_of(const ContainerCall& call) noexcept {
    switch (call.kind) {
        case OperationKind::map_add:
            return Opcode::subdoc_dict_upsert;
        case OperationKind::map_remove:
        case OperationKind::list_remove:
            return Opcode::subdoc_remove;
        case OperationKind::map_size:
        case OperationKind::list_size:
        case OperationKind::set_size:
        case OperationKind::queue_size:
            return Opcode::subdoc_get_count;
        case OperationKind::list_append:
            return Opcode::subdoc_array_push_last;
        case OperationKind::list_prepend:
        case OperationKind::queue_push:
            return Opcode::subdoc_array_push_first;
        case OperationKind::list_set:
            return Opcode::subdoc_replace;
        case OperationKind::set_add:
            return Opcode::subdoc_array_add_unique;
        case OperationKind::set_contains:
        case OperationKind::set_remove:
            return Opcode::get;
        default:
            return Opcode::subdoc_get;
    }
}

void start_container(Core& core, Slot& slot, const ContainerCall& call) {
    if (!check_subdocument(core, slot, call.key) || !check_key(core, slot, call.key) ||
        !check_value(core, slot, call.key, call.value)) {
        return;
    }
    const std::string path = names_member(call.kind)  ? subdoc::quoted(call.member)
                             : names_index(call.kind) ? path_of(call.index)
                                                      : std::string();
    std::string fault = fault_of(call, path);
    if (!fault.empty()) return core.reject(slot, errc::invalid_argument, call.key, std::move(fault));
    switch (call.kind) {
        case OperationKind::set_contains:
            return start_sequence<SetContains>(core, slot, call);
        case OperationKind::set_remove:
            if (!check_expiry(core, slot, call.key, call.options.expiry)) return;
            return start_sequence<SetRemove>(core, slot, call);
        case OperationKind::queue_pop:
            if (!check_expiry(core, slot, call.key, call.options.expiry)) return;
            return start_sequence<QueuePop>(core, slot, call);
        default:
            break;
    }
    const ContainerAddOptions& options = call.options;
    if (reads(call.kind)) return submit_lookup(core, slot, options.timeout, call.key, opcode_of(call), path);
    submit_mutation(core, slot, call.key, {.opcode = opcode_of(call), .path = path, .value = call.value}, options);
}

}  // namespace chaise::detail
