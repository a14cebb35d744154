#include "user_repository.hpp"

#include <utility>

chaise::Task<> UserRepository::add(std::string login, std::string name) {
    const auto stored = co_await bucket_.insert("user::" + login, name).as_expected();
    if (stored) co_return;
    if (stored.error() == chaise::errc::document_exists) throw LoginTaken(login);
    chaise::throw_error(stored.error());
}

chaise::Task<std::optional<User>> UserRepository::find(std::string login) {
    const auto found = co_await bucket_.get("user::" + login, {.quiet = true});
    if (!found.success()) co_return std::nullopt;
    co_return User{std::move(login), found.owned()};
}

chaise::Task<bool> UserRepository::add_title(std::string login, std::string title) {
    const std::string key = "user::" + login;
    for (;;) {
        const auto found = co_await bucket_.get(key, {.quiet = true});
        if (!found.success()) co_return false;
        const auto stored =
            co_await bucket_.replace(key, title + ' ' + found.owned(), {.cas = found.cas()}).as_expected();
        if (stored) co_return true;
        // Somebody else was faster: look again.
        if (stored.error() != chaise::errc::cas_mismatch) chaise::throw_error(stored.error());
    }
}

chaise::Task<std::uint64_t> UserRepository::count_login(std::string login) {
    const auto number = co_await bucket_.counter("logins::" + login, {.initial = 1});
    co_return number.counter();
}

chaise::Task<std::string> Greeter::greet(std::string login) {
    std::string greeting = "Hello!";
    try {
        const std::optional<User> user = co_await users_.find(login);
        if (user) greeting = "Hello, " + user->name + '!';
    } catch (const chaise::TransientError&) {
        // Better a short greeting than none.
    }
    co_return greeting;
}
