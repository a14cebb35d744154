#pragma once

/// \file
/// Outcomes as values, for Asio: `chaise::as_expected(token)`.

#include <type_traits>
#include <utility>

namespace chaise {

/// A completion token that gets the outcome as a value: `void(Expected<T, Error>)`.
template <class Token>
struct AsExpected {
    Token token;
};
/// `auto found = co_await bucket.get("k", chaise::as_expected(asio::use_awaitable));`
template <class Token>
[[nodiscard]] constexpr AsExpected<std::decay_t<Token>> as_expected(Token&& token) {
    return {std::forward<Token>(token)};
}
template <>
struct AsExpected<void> {};
/// Without a token: `auto found = co_await bucket.get("k", chaise::as_expected());`
[[nodiscard]] constexpr AsExpected<void> as_expected() { return {}; }

}  // namespace chaise
