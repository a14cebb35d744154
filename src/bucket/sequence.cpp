#include "bucket/sequence.hpp"

#include <algorithm>
#include <utility>

namespace chaise::detail {

Sequence::Sequence(Core& core, Slot& whole, std::string_view key, const std::optional<Duration>& timeout)
    : core_(core), whole_(whole), key_(key) {
    // In no queue: the step that is under way has what is left of it.
    whole.deadline = whole.started +
                     (timeout ? std::clamp(*timeout, Duration{0}, longest_timeout) : core.settings().operation_timeout);
}

void Sequence::done(std::size_t, OperationKind kind, void* result, Error* error) {
    if (!error) {
        succeeded(kind, result);
    } else if (failed(kind, *error)) {
        ++repetitions_;
    } else if (!error_) {
        error_ = of_whole(*error);
    }
}

void Sequence::finish(Core& core, Slot& whole) {
    if (error_) {
        core.deliver_error(whole, *error_);
    } else {
        deliver_result(core, whole);
    }
}

Error Sequence::attach_to(Error error) {
    // The step's own says more: that it has happened, and what is awaited now.
    return error_ && error_->code() == error.code() ? *error_ : of_whole(error);
}

void Sequence::end_with(errc code, std::string message) {
    error_ = of_whole(core_.make_error(whole_, code, std::move(message), false));
}

Error Sequence::of_whole(const Error& error) {
    const Error own = core_.make_error(whole_, error.code(), {}, false);
    ErrorContext context = error.context();
    context.operation = own.context().operation;
    context.key = key_;
    context.time_spent = own.context().time_spent;
    context.retries += repetitions_;
    if (only_reads_) context.may_have_happened = false;
    return Error(error.code(), std::move(context));
}

}  // namespace chaise::detail
