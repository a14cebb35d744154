#pragma once

#include <chaise/chaise.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

struct User {
    std::string login;
    std::string name;
};

struct LoginTaken : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Users as documents: "user::<login>" is the name, "logins::<login>" how often they came.
class UserRepository {
public:
    explicit UserRepository(chaise::AsyncBucket& bucket) : bucket_(bucket) {}

    /// \throws LoginTaken
    chaise::Task<> add(std::string login, std::string name);
    chaise::Task<std::optional<User>> find(std::string login);
    /// Adds to the name, whoever else does so at the same moment. False: there is no such user.
    chaise::Task<bool> add_title(std::string login, std::string title);
    /// How often this user has come, this time included.
    chaise::Task<std::uint64_t> count_login(std::string login);

private:
    chaise::AsyncBucket& bucket_;
};

/// What users see of it.
class Greeter {
public:
    explicit Greeter(UserRepository& users) : users_(users) {}
    /// Also when the database is not to be had: then without a name.
    chaise::Task<std::string> greet(std::string login);

private:
    UserRepository& users_;
};
