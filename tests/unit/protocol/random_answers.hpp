#pragma once

#include <array>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>

/// Documents as the services make them, and what they never would.
class RandomAnswers {
public:
    explicit RandomAnswers(unsigned seed) : engine_(seed) {}
    std::size_t below(std::size_t n) { return engine_() % n; }

    /// `most`: of rows.
    std::string document(std::size_t most = 5) {
        std::string out = space() + "{";
        const std::size_t members = below(5);
        bool has_rows = false;
        for (std::size_t i = 0; i < members; ++i) {
            if (i) out += space() + ",";
            out += space();
            if (!has_rows && below(2) == 0) {
                has_rows = true;
                out += "\"rows\"" + space() + ":" + space() + "[" + space();
                out += rows(most) + "]";
            } else {
                out += "\"m" + std::to_string(i) + text() + "\"" + space() + ":" + space() + value(0);
            }
        }
        return out + space() + "}" + space();
    }
    /// `most` or fewer, with what is between them.
    std::string rows(std::size_t most) {
        std::string out;
        const std::size_t count = below(most + 1);
        for (std::size_t r = 0; r < count; ++r) out += (r ? "," + space() : "") + value(0) + space();
        return out;
    }
    void spoil(std::string& text) {
        constexpr std::string_view bytes = "\"\\{}[],: x1\x80\n\xc3";
        for (std::size_t n = below(3); n > 0 && !text.empty(); --n) {
            const std::size_t at = below(text.size());
            switch (below(4)) {
                case 0:
                    text[at] = bytes[below(bytes.size())];
                    break;
                case 1:
                    text.insert(at, 1, bytes[below(bytes.size())]);
                    break;
                case 2:
                    text.erase(at, 1 + below(3));
                    break;
                default:
                    text.resize(at);
            }
        }
    }

private:
    std::string space() {
        constexpr std::array<std::string_view, 5> some{"", "", " ", "\r\n", "\t  "};
        return std::string(some[below(some.size())]);
    }
    std::string text() {
        constexpr std::array<std::string_view, 12> some{"a", "\\\"", "\\\\", "{",  "}",       "[",
                                                        "]", ",",    "ü",    "🍺", "\\u00e4", "rows"};
        std::string out;
        for (std::size_t n = below(below(10) == 0 ? 80 : 6); n > 0; --n) out += some[below(some.size())];
        return out;
    }
    std::string value(unsigned depth) {
        switch (below(depth < 4 ? 7 : 5)) {
            case 0:
                return "\"" + text() + "\"";
            case 1:
                return std::to_string(static_cast<int>(below(2000)) - 1000);
            case 2:
                return "1.5e-7";
            case 3:
                return "null";
            case 4:
                return below(2) ? "true" : "false";
            case 5: {
                std::string out = "{" + space();
                for (std::size_t n = below(4), i = 0; i < n; ++i) {
                    out += (i ? "," : "") + space() + "\"" + text() + "\"" + space() + ":" + value(depth + 1);
                }
                return out + space() + "}";
            }
            default: {
                std::string out = "[" + space();
                for (std::size_t n = below(4), i = 0; i < n; ++i) out += (i ? "," : "") + value(depth + 1) + space();
                return out + "]";
            }
        }
    }

    std::mt19937 engine_;
};
