#pragma once

/// \file
/// What a loop runs when it is destroyed: how coroutines that never finished are freed with the loop they live on.
/// Any loop can own an `ExitHooks`; `chaise::spawn` puts an `ExitHook` into the frame of each root coroutine.

namespace chaise {

/// A place in a loop's list of exit hooks. Intrusive: adding and removing allocate nothing. It removes itself when
/// it is destroyed. Loop's thread only.
class ExitHook {
public:
    /// Called once, already removed from the list; may destroy the hook and add or remove others.
    using Run = void (*)(ExitHook& hook) noexcept;

    explicit ExitHook(Run run) noexcept : run_(run) {}
    ExitHook(const ExitHook&) = delete;
    ExitHook& operator=(const ExitHook&) = delete;
    ~ExitHook() { remove(); }

    [[nodiscard]] bool linked() const noexcept { return next_ != nullptr; }
    /// Takes it out of the list; harmless if it is in none.
    void remove() noexcept {
        if (next_ == nullptr) return;
        prev_->next_ = next_;
        next_->prev_ = prev_;
        prev_ = next_ = nullptr;
    }

private:
    friend class ExitHooks;
    Run run_;
    ExitHook* prev_ = nullptr;
    ExitHook* next_ = nullptr;
};

/// A loop's list of exit hooks.
class ExitHooks {
public:
    ExitHooks() noexcept { anchor_.prev_ = anchor_.next_ = &anchor_; }
    ExitHooks(const ExitHooks&) = delete;
    ExitHooks& operator=(const ExitHooks&) = delete;
    ~ExitHooks() {
        while (anchor_.next_ != &anchor_) anchor_.next_->remove();
    }

    void add(ExitHook& hook) noexcept {
        hook.remove();
        hook.prev_ = anchor_.prev_;
        hook.next_ = &anchor_;
        anchor_.prev_->next_ = &hook;
        anchor_.prev_ = &hook;
    }
    [[nodiscard]] bool empty() const noexcept { return anchor_.next_ == &anchor_; }
    /// Runs every hook, the last added first, those added meanwhile too.
    void run_all() noexcept {
        while (anchor_.prev_ != &anchor_) {
            ExitHook& hook = *anchor_.prev_;
            hook.remove();
            hook.run_(hook);
        }
    }

private:
    ExitHook anchor_{nullptr};
};

}  // namespace chaise
