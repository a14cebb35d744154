#pragma once

#include <chaise/error.hpp>
#include <chaise/expected.hpp>

namespace chaise::testing {

/// The error of an operation that must fail.
template <class T>
errc code_of(const Expected<T, Error>& outcome) {
    return outcome ? errc::success : outcome.error().code();
}

}  // namespace chaise::testing
