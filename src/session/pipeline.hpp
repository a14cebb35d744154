#pragma once

#include "protocol/key_prefix.hpp"
#include "protocol/opcode.hpp"
#include "session/send_buffer.hpp"

#include <chaise/detail/slot.hpp>
#include <chaise/transport.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace chaise::detail {

/// The requests of one session, in the order of issue: first those that were sent and wait for a response, then those
/// that wait to be sent. It owns no slot; it knows nothing of transports, time or users.
class Pipeline {
public:
    Pipeline(std::size_t max_operations, std::size_t max_bytes, ByteBudget* budget = nullptr) noexcept
        : buffer_(max_bytes, budget), max_operations_(max_operations) {}

    /// Room to encode a request into, or null: the bounds are reached.
    [[nodiscard]] char* reserve(Slot& slot, std::size_t size) {
        if (count_ >= max_operations_) [[unlikely]]
            return nullptr;
        return buffer_.reserve(slot, size);
    }
    /// The request that was encoded into the room reserved, at the end of the line.
    void append(Slot& slot) noexcept {
        slot.sequence = ++last_sequence_;
        slot.owners |= owned_by_wire;
        slot.next = nullptr;
        slot.prev = tail_;
        (tail_ ? tail_->next : head_) = &slot;
        tail_ = &slot;
        if (!unsent_) {
            unsent_ = &slot;
            run_ = {slot.block, slot.offset, slot.offset + slot.length};
        } else if (slot.block == run_.block && slot.offset == run_.end) [[likely]] {
            run_.end += slot.length;
        } else {
            run_.block = nullptr;
        }
        ++count_;
    }
    /// Out of the line: answered, or given up before it was sent.
    void remove(Slot& slot) noexcept {
        unlink(slot);
        buffer_.unpin(slot);
    }
    /// Of a request of which nothing was sent: other bytes in its place. False if there is no room.
    [[nodiscard]] bool replace(Slot& slot, std::string_view request) {
        SendBlock* const from = slot.block;
        char* room = buffer_.reserve(slot, request.size());
        if (!room) return false;
        std::memcpy(room, request.data(), request.size());
        buffer_.unpin(from);
        run_.block = nullptr;
        return true;
    }
    /// The request goes to the end of another line (or of this one), to be sent from there, with `prefix` in place of
    /// the first `old_prefix` bytes of its key. False if there is no room.
    [[nodiscard]] bool move(Slot& slot, Pipeline& to, std::size_t old_prefix = 0, std::string_view prefix = {}) {
        speak(slot);
        SendBlock* const from = slot.block;
        const char* const request = from->data() + slot.offset;
        const std::uint32_t size = slot.length;
        if (&to != this && to.count_ >= to.max_operations_) return false;
        char* room = to.buffer_.reserve(slot, size - old_prefix + prefix.size());
        if (!room) return false;
        if (old_prefix == 0 && prefix.empty()) {
            std::memcpy(room, request, size);
        } else {
            protocol::replace_key_prefix({request, size}, old_prefix, prefix, room);
        }
        unlink(slot);
        buffer_.unpin(from);
        to.append(slot);
        return true;
    }

    [[nodiscard]] bool has_unsent() const noexcept { return unsent_ != nullptr; }
    /// All of it was handed to the transport: the server may have executed it.
    [[nodiscard]] bool sent(const Slot& slot) const noexcept { return slot.sequence <= sent_sequence_; }
    /// A part of it was handed to the transport: the rest must follow, whoever still wants it.
    [[nodiscard]] bool begun(const Slot& slot) const noexcept {
        return sent(slot) || (&slot == unsent_ && partly_written_ != 0);
    }

    /// What is to be written next: neighbours in one block make one buffer.
    [[nodiscard]] std::size_t gather(std::span<ConstBuffer> out) noexcept {
        if (run_.block && partly_written_ == 0 && unsent_) {
            gathered_bytes_ = run_.end - run_.begin;
            gathered_last_ = tail_;
            out[0] = {run_.block->data() + run_.begin, gathered_bytes_};
            return 1;
        }
        std::size_t n = 0;
        std::size_t skip = partly_written_;
        gathered_bytes_ = 0;
        gathered_last_ = nullptr;
        for (Slot* slot = unsent_; slot; slot = slot->next) {
            const char* from = slot->block->data() + slot->offset + skip;
            const std::size_t size = slot->length - skip;
            skip = 0;
            if (n != 0 && static_cast<const char*>(out[n - 1].data) + out[n - 1].size == from) {
                out[n - 1].size += size;
            } else if (n == out.size()) {
                break;
            } else {
                out[n++] = {from, size};
            }
            gathered_bytes_ += size;
            gathered_last_ = slot;
        }
        return n;
    }
    /// How much of what was last gathered has been written.
    void written(std::size_t bytes) noexcept {
        if (bytes == gathered_bytes_) {
            if (!gathered_last_) return;
            sent_sequence_ = gathered_last_->sequence;
            unsent_ = gathered_last_->next;
            partly_written_ = 0;
            return;
        }
        run_.block = nullptr;
        bytes += partly_written_;
        while (unsent_ && bytes >= unsent_->length) {
            bytes -= unsent_->length;
            sent_sequence_ = unsent_->sequence;
            unsent_ = unsent_->next;
        }
        partly_written_ = bytes;
    }
    [[nodiscard]] std::size_t gathered_bytes() const noexcept { return gathered_bytes_; }

    // ---- quiet gets: that one has missed is told by the answer to a later request, on a server that keeps the order

    [[nodiscard]] static bool quiet(const Slot& slot) noexcept {
        const auto opcode = static_cast<protocol::Opcode>(slot.opcode);
        return opcode == protocol::Opcode::getq || opcode == protocol::Opcode::gatq;
    }
    /// A get (also get and touch) that is in the line and not begun. It is quiet on this connection only: sent anew, or
    /// from another line, it is an ordinary get, so that nobody need bring a later request along.
    void hush(Slot& slot) noexcept {
        const bool touches = slot.opcode == static_cast<std::uint8_t>(protocol::Opcode::gat);
        set_opcode(slot, touches ? protocol::Opcode::gatq : protocol::Opcode::getq);
        quiet_until_ = slot.sequence;
    }
    static void speak(Slot& slot) noexcept {
        if (!quiet(slot)) return;
        const bool touches = slot.opcode == static_cast<std::uint8_t>(protocol::Opcode::gatq);
        set_opcode(slot, touches ? protocol::Opcode::gat : protocol::Opcode::get);
    }
    /// No request behind this one is quiet.
    [[nodiscard]] std::uint64_t quiet_until() const noexcept { return quiet_until_; }
    [[nodiscard]] Slot* last() const noexcept { return tail_; }

    /// A new connection: everything in the line is to be sent again.
    void restart() noexcept {
        for (Slot* slot = head_; slot; slot = slot->next) {
            slot->sequence = ++last_sequence_;
            speak(*slot);
        }
        unsent_ = head_;
        partly_written_ = 0;
        run_.block = nullptr;
    }

    [[nodiscard]] Slot* first() const noexcept { return head_; }
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return buffer_.bytes(); }
    [[nodiscard]] std::size_t max_operations() const noexcept { return max_operations_; }
    [[nodiscard]] std::size_t max_bytes() const noexcept { return buffer_.max_bytes(); }
    void release_idle() noexcept { buffer_.release_idle(); }
    /// A request of `size` bytes would find room.
    [[nodiscard]] bool has_room(std::size_t size) const noexcept {
        return count_ < max_operations_ && buffer_.has_room(size);
    }
    /// Of the last request that was sent, or is being sent.
    [[nodiscard]] std::uint64_t begun_sequence() const noexcept {
        return partly_written_ != 0 ? unsent_->sequence : sent_sequence_;
    }

private:
    /// A piece of a block.
    struct Run {
        SendBlock* block = nullptr;
        std::uint32_t begin = 0;
        std::uint32_t end = 0;
    };

    static void set_opcode(Slot& slot, protocol::Opcode opcode) noexcept {
        slot.opcode = static_cast<std::uint8_t>(opcode);
        slot.block->data()[slot.offset + 1] = static_cast<char>(slot.opcode);
    }
    void unlink(Slot& slot) noexcept {
        if (slot.sequence > sent_sequence_) run_.block = nullptr;
        if (unsent_ == &slot) {
            unsent_ = slot.next;
            partly_written_ = 0;  // its, not its successor's
        }
        (slot.prev ? slot.prev->next : head_) = slot.next;
        (slot.next ? slot.next->prev : tail_) = slot.prev;
        slot.owners = static_cast<std::uint8_t>(slot.owners & ~owned_by_wire);
        --count_;
    }

    SendBuffer buffer_;
    Slot* head_ = nullptr;
    Slot* tail_ = nullptr;
    Slot* unsent_ = nullptr;
    Run run_;  ///< all that is unsent, as long as it lies in one piece: nobody need ask each slot for its part
    std::size_t partly_written_ = 0;  ///< bytes of `unsent_`
    std::size_t gathered_bytes_ = 0;
    Slot* gathered_last_ = nullptr;
    std::size_t count_ = 0;
    std::size_t max_operations_;
    std::uint64_t last_sequence_ = 0;
    std::uint64_t sent_sequence_ = 0;
    std::uint64_t quiet_until_ = 0;
};

}  // namespace chaise::detail
