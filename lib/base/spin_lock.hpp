#pragma once

#include <coir/detail/spin_lock.hpp>

#include <cstdint>

namespace coir::detail {

/// Of the calling thread; 0 until it first needs one. No two threads ever have the same.
extern constinit thread_local std::uint32_t thread_number;

/// How many locks may still lose their bias before new ones get none. May become negative.
extern constinit std::atomic<int> revocations_left;

// See the essay in spin_lock.cpp. The signal fences hold back the compiler; what holds back the processor is revoke().
inline bool spin_lock::enter() noexcept {
    if (biased_to_.load(std::memory_order_relaxed) != thread_number) [[unlikely]]
        return false;
    held_biased_.store(true, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (bias_.load(std::memory_order_relaxed) == bias::holds) [[likely]] {
        std::atomic_signal_fence(std::memory_order_seq_cst);
        return true;
    }
    held_biased_.store(false, std::memory_order_release);
    return false;
}

inline spin_lock::hold spin_lock::lock() noexcept {
    if (enter()) [[likely]]
        return hold::biased;
    return lock_slowly();
}

inline void spin_lock::unlock(hold how) noexcept {
    if (how == hold::biased) [[likely]]
        return unlock_biased();
    locked_.store(false, std::memory_order_release);
}

inline bool spin_lock::lock_if_biased() noexcept {
    if (enter()) [[likely]]
        return true;
    if (bias_.load(std::memory_order_acquire) == bias::is_gone) [[likely]]
        return false;
    return lock_or_unbias();
}

inline void spin_lock::unlock_biased() noexcept {
    held_biased_.store(false, std::memory_order_release);
}

/// Holds a lock to the end of its life, or to unlock(): what std::unique_lock is to a std::mutex.
class guard {
public:
    explicit guard(spin_lock& lock) noexcept : lock_(lock), how_(lock.lock()) {}
    /// Adopts a lock that is held.
    guard(spin_lock& lock, spin_lock::hold how) noexcept : lock_(lock), how_(how) {}
    ~guard() {
        if (owns_lock_)
            unlock();
    }
    guard(const guard&) = delete;
    guard& operator=(const guard&) = delete;

    void lock() noexcept {
        how_ = lock_.lock();
        owns_lock_ = true;
    }
    void unlock() noexcept {
        owns_lock_ = false;
        lock_.unlock(how_);
    }

    [[nodiscard]] spin_lock::hold how() const noexcept { return how_; }

private:
    spin_lock& lock_;
    spin_lock::hold how_;
    bool owns_lock_ = true;
};

} // namespace coir::detail
