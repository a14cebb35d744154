#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::testing {

struct ScriptLimits {
    /// Turns of loops and calls of functions that one document, or one reduction, may take: its bound in time, the
    /// same on every machine.
    std::uint64_t steps = 2'000'000;
    std::size_t memory = std::size_t{64} * 1024 * 1024;   ///< of the whole engine
    std::size_t emitted = std::size_t{16} * 1024 * 1024;  ///< bytes of keys and values of one document
};

/// What a map function emitted, both as JSON.
struct Emitted {
    std::string key;
    std::string value;
};

/// A JavaScript engine (Duktape: ES5) with the functions of one design document and the helpers that map and reduce
/// functions have: emit, sum, dateToArray, decodeBase64. There is no eval and no Function.
class Script {
public:
    using Function = std::size_t;

    /// `salt`: at random. What counts the steps has a name made of it, for scripts not to know.
    explicit Script(std::uint64_t salt, const ScriptLimits& limits = {});
    Script(const Script&) = delete;
    Script& operator=(const Script&) = delete;
    ~Script();

    /// An expression that is a function. Nothing: what is wrong is in `error`.
    [[nodiscard]] std::optional<Function> compile(std::string_view source, std::string& error);
    /// function (doc, meta). False: it threw, went on too long or took too much; nothing is emitted then.
    [[nodiscard]] bool map(Function function, std::string_view document, std::string_view meta,
                           std::vector<Emitted>& emitted, std::string& error);
    /// function (keys, values, rereduce); all as JSON.
    [[nodiscard]] bool reduce(Function function, std::string_view keys, std::string_view values, bool rereduce,
                              std::string& result, std::string& error);

private:
    struct Engine;
    std::unique_ptr<Engine> engine_;
};

}  // namespace chaise::testing
