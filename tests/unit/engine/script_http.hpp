#pragma once

// The HTTP of a ScriptLoop: what is asked is written down, and answered when the test likes.

#include "tests/unit/engine/script_loop.hpp"

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace chaise::testing {

class ScriptHttp {
public:
    struct Asked {
        HttpClient::Request request;
        HttpReceiver* receiver = nullptr;  ///< null: cancelled, or over
        bool paused = false;
        void head(int status) const { receiver->on_head(status, {}); }
        void body(std::string_view bytes) const { receiver->on_body(bytes); }
        void end(std::error_code error = {}, std::string message = {}, bool resolved = true);
    };

    explicit ScriptHttp(ScriptLoop& loop);
    ~ScriptHttp();
    ScriptHttp(const ScriptHttp&) = delete;
    ScriptHttp& operator=(const ScriptHttp&) = delete;

    std::deque<Asked> asked;
    [[nodiscard]] Asked& last() { return asked.back(); }
    [[nodiscard]] std::size_t open() const;

private:
    ScriptLoop& loop_;
};

}  // namespace chaise::testing
