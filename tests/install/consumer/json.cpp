// Reading a value with simdjson: chaise::json.
#include <chaise/json.hpp>

#include <cstdint>
#include <cstdio>

int main() {
    const auto value = chaise::ValueResult::of_counter(42, 0);
    simdjson::ondemand::parser parser;
    auto document = chaise::json(value, parser);
    std::uint64_t number = 0;
    const bool read = document.get(number) == simdjson::SUCCESS && number == 42;
    std::puts(read ? "json: 42" : "json: not 42");
    return read ? 0 : 1;
}
