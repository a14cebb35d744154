#pragma once

/// \file
/// `std::expected` for C++20 and value types; its members, but for those that make an Expected of void.

#include <concepts>
#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

namespace chaise {

template <class E>
class Unexpected {
public:
    explicit Unexpected(E error) : error_(std::move(error)) {}
    [[nodiscard]] E& error() & noexcept { return error_; }
    [[nodiscard]] E&& error() && noexcept { return std::move(error_); }

private:
    E error_;
};

class BadExpectedAccess : public std::exception {
public:
    [[nodiscard]] const char* what() const noexcept override { return "value() of an Expected that holds an error"; }
};

/// A value, or the error that took its place. Reading the wrong one through `*`, `->` or `error()` is undefined;
/// `value()` throws BadExpectedAccess.
template <class T, class E>
class [[nodiscard]] Expected {
public:
    using value_type = T;
    using error_type = E;

    Expected(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    Expected(Unexpected<E> error) : content_(std::in_place_index<1>, std::move(error).error()) {}

    [[nodiscard]] bool has_value() const noexcept { return content_.index() == 0; }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }

    [[nodiscard]] T& operator*() & noexcept { return *std::get_if<0>(&content_); }
    [[nodiscard]] const T& operator*() const& noexcept { return *std::get_if<0>(&content_); }
    [[nodiscard]] T&& operator*() && noexcept { return std::move(*std::get_if<0>(&content_)); }
    [[nodiscard]] T* operator->() noexcept { return std::get_if<0>(&content_); }
    [[nodiscard]] const T* operator->() const noexcept { return std::get_if<0>(&content_); }

    [[nodiscard]] T& value() & { return require(), **this; }
    [[nodiscard]] const T& value() const& { return require(), **this; }
    [[nodiscard]] T&& value() && { return require(), *std::move(*this); }
    template <class U>
    [[nodiscard]] T value_or(U&& other) const& {
        return has_value() ? **this : static_cast<T>(std::forward<U>(other));
    }
    template <class U>
    [[nodiscard]] T value_or(U&& other) && {
        return has_value() ? *std::move(*this) : static_cast<T>(std::forward<U>(other));
    }

    [[nodiscard]] E& error() & noexcept { return *std::get_if<1>(&content_); }
    [[nodiscard]] const E& error() const& noexcept { return *std::get_if<1>(&content_); }
    [[nodiscard]] E&& error() && noexcept { return std::move(*std::get_if<1>(&content_)); }

    template <class G>
    [[nodiscard]] E error_or(G&& other) const& {
        return has_value() ? static_cast<E>(std::forward<G>(other)) : error();
    }

    /// `f(value)` gives an Expected with the same error type.
    template <class F>
    [[nodiscard]] auto and_then(F&& f) const& {
        return Expected(*this).and_then(std::forward<F>(f), Rvalue{});
    }
    template <class F>
    [[nodiscard]] auto and_then(F&& f) && {
        return and_then(std::forward<F>(f), Rvalue{});
    }
    /// `f(value)` gives the new value.
    template <class F>
    [[nodiscard]] auto transform(F&& f) const& {
        return Expected(*this).transform(std::forward<F>(f), Rvalue{});
    }
    template <class F>
    [[nodiscard]] auto transform(F&& f) && {
        return transform(std::forward<F>(f), Rvalue{});
    }
    /// `f(error)` gives an Expected with the same value type.
    template <class F>
    [[nodiscard]] auto or_else(F&& f) const& {
        return Expected(*this).or_else(std::forward<F>(f), Rvalue{});
    }
    template <class F>
    [[nodiscard]] auto or_else(F&& f) && {
        return or_else(std::forward<F>(f), Rvalue{});
    }
    /// `f(error)` gives the new error.
    template <class F>
    [[nodiscard]] auto transform_error(F&& f) const& {
        return Expected(*this).transform_error(std::forward<F>(f), Rvalue{});
    }
    template <class F>
    [[nodiscard]] auto transform_error(F&& f) && {
        return transform_error(std::forward<F>(f), Rvalue{});
    }

    friend bool operator==(const Expected& a, const Expected& b)
        requires std::equality_comparable<T> && std::equality_comparable<E>
    {
        return a.content_ == b.content_;
    }

private:
    struct Rvalue {};
    template <class F>
    auto and_then(F&& f, Rvalue) {
        using Next = std::invoke_result_t<F, T&&>;
        return has_value() ? std::forward<F>(f)(std::move(**this)) : Next(Unexpected<E>(std::move(error())));
    }
    template <class F>
    auto transform(F&& f, Rvalue) {
        using Next = Expected<std::invoke_result_t<F, T&&>, E>;
        return has_value() ? Next(std::forward<F>(f)(std::move(**this))) : Next(Unexpected<E>(std::move(error())));
    }
    template <class F>
    auto or_else(F&& f, Rvalue) {
        using Next = std::invoke_result_t<F, E&&>;
        return has_value() ? Next(std::move(**this)) : std::forward<F>(f)(std::move(error()));
    }
    template <class F>
    auto transform_error(F&& f, Rvalue) {
        using Next = Expected<T, std::invoke_result_t<F, E&&>>;
        using Failure = Unexpected<std::invoke_result_t<F, E&&>>;
        return has_value() ? Next(std::move(**this)) : Next(Failure(std::forward<F>(f)(std::move(error()))));
    }
    void require() const {
        if (!has_value()) throw BadExpectedAccess();
    }
    std::variant<T, E> content_;
};

}  // namespace chaise
