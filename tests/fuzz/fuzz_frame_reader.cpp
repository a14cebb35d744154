// libFuzzer: any bytes in any pieces make the same frames as the whole, and no decoder reads past what it is given.
//
//     fuzz_frame_reader -max_len=4096 -timeout=10 corpus/

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "decode_everything.hpp"
#include "protocol/frame_reader.hpp"

using namespace chaise::protocol;

namespace {

// What is compared: enough to tell two frames apart.
struct Seen {
    std::string bytes;
    std::uint64_t cas;
    bool operator==(const Seen&) const = default;
};

Seen seen(const Frame& frame) {
    std::string bytes(frame.framing_extras);
    ((bytes += frame.extras) += frame.key) += frame.value;
    return {std::move(bytes), frame.cas ^ frame.opaque};
}

void check(bool truth) {
    if (!truth) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    constexpr std::uint32_t max_body = 1u << 16;
    const std::size_t piece = data[0] + std::size_t{1};
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);

    std::vector<Seen> whole;
    FrameError whole_error = FrameError::none;
    for (std::string_view left = input;;) {
        Frame frame;
        const ParseResult result = parse_frame(left, frame, max_body);
        whole_error = result.error;
        if (result.status != ParseStatus::complete) break;
        check(result.size <= left.size());
        whole.push_back(seen(frame));
        static chaise::testing::DecodeEverything decode;
        decode(frame);
        left.remove_prefix(result.size);
    }

    FrameReader reader(max_body);
    std::size_t count = 0;
    for (std::string_view left = input; !left.empty();) {
        const std::size_t taken = reader.feed(left.substr(0, piece));
        check(taken > 0);
        left.remove_prefix(taken);
        Frame frame;
        while (reader.next(frame) == ParseStatus::complete) {
            check(count < whole.size() && seen(frame) == whole[count]);
            ++count;
        }
    }
    check(count == whole.size() && reader.error() == whole_error);
    return 0;
}
