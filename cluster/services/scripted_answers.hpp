#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace chaise::testing {

enum class HttpService : std::uint8_t { views, query, search, analytics };

struct ScriptedAnswer {
    int status = 200;
    std::string body;  ///< "{{requestID}}" and "{{clientContextID}}" are filled in
};

/// What tests say the services answer: to a statement (query and analytics), or a path (search).
class ScriptedAnswers {
public:
    void set(HttpService service, std::string_view request, ScriptedAnswer answer) {
        answers_[{service, trimmed(request)}] = std::move(answer);
    }
    void clear() { answers_.clear(); }
    /// Null: nothing was said.
    [[nodiscard]] const ScriptedAnswer* find(HttpService service, std::string_view request) const {
        const auto found = answers_.find({service, trimmed(request)});
        return found != answers_.end() ? &found->second : nullptr;
    }
    [[nodiscard]] static std::string filled(std::string body, std::string_view request_id,
                                            std::string_view client_context) {
        for (const auto& [mark, value] : {std::pair<std::string_view, std::string_view>{"{{requestID}}", request_id},
                                          {"{{clientContextID}}", client_context}}) {
            for (std::size_t at = body.find(mark); at != std::string::npos; at = body.find(mark, at + value.size())) {
                body.replace(at, mark.size(), value);
            }
        }
        return body;
    }

private:
    static std::string trimmed(std::string_view text) {
        const std::size_t begin = text.find_first_not_of(" \t\r\n;");
        const std::size_t end = text.find_last_not_of(" \t\r\n;");
        return begin == std::string_view::npos ? std::string{} : std::string(text.substr(begin, end + 1 - begin));
    }

    std::map<std::pair<HttpService, std::string>, ScriptedAnswer> answers_;
};

}  // namespace chaise::testing
