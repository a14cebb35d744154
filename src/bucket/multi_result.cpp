#include <chaise/multi_result.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace chaise::detail {

namespace {
constexpr std::size_t key_block = 4096;
}  // namespace

std::string_view AnyMultiData::keep(std::string_view key) {
    if (key.size() > room_) {
        const std::size_t size = std::max(key.size(), key_block);
        keys_.push_back(std::make_unique<char[]>(size));
        free_ = keys_.back().get();
        room_ = size;
    }
    if (!key.empty()) std::memcpy(free_, key.data(), key.size());
    const std::string_view kept(free_, key.size());
    free_ += key.size();
    room_ -= key.size();
    return kept;
}

std::size_t AnyMultiData::find(std::string_view key, std::size_t size, KeyAt key_at) const {
    if (size <= few) {
        std::size_t at = 0;
        while (at != size && key_at(*this, at) != key) ++at;
        return at;
    }
    // Open addressing; a place holds an entry's number plus one.
    const std::size_t places = std::bit_ceil(2 * size);
    const std::uint32_t* index = index_.load(std::memory_order_acquire);
    if (!index) index = make_index(size, places, key_at);
    for (std::size_t place = std::hash<std::string_view>{}(key);; ++place) {
        const std::uint32_t entry = index[place & (places - 1)];
        if (entry == 0) return size;
        if (key_at(*this, entry - 1) == key) return entry - 1;
    }
}

const std::uint32_t* AnyMultiData::make_index(std::size_t size, std::size_t places, KeyAt key_at) const {
    auto made = std::make_unique<std::uint32_t[]>(places);
    for (std::size_t at = 0; at != size; ++at) {
        const std::string_view key = key_at(*this, at);
        std::size_t place = std::hash<std::string_view>{}(key);
        while (true) {
            std::uint32_t& entry = made[place++ & (places - 1)];
            if (entry == 0)
                entry = static_cast<std::uint32_t>(at + 1);
            else if (key_at(*this, entry - 1) != key)
                continue;
            break;  // the first of equal ones stays
        }
    }
    const std::uint32_t* first = nullptr;
    if (index_.compare_exchange_strong(first, made.get(), std::memory_order_acq_rel)) return made.release();
    return first;  // another thread was faster
}

}  // namespace chaise::detail
