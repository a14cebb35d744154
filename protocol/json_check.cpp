#include "protocol/json_check.hpp"

#include "protocol/json_strings.hpp"
#include "protocol/json_walk.hpp"

namespace chaise::protocol {

bool JsonCheck::operator()(std::string_view text) {
    padded_.assign(text);
    padded_.append(JsonIndex::padding, ' ');
    text = std::string_view(padded_).substr(0, text.size());
    if (!index_.read(text)) return false;
    JsonWalk walk(text, index_);
    return walk.value(JsonWalk::max_depth) == JsonWalk::Found::value && walk.at_end() &&
           JsonStrings(text).well_escaped == text.size();
}

}  // namespace chaise::protocol
