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

inline void spin_lock::lock() noexcept {
    if (!enter()) [[unlikely]]
        lock_slowly();
}

inline void spin_lock::unlock() noexcept {
    if (biased_to_.load(std::memory_order_relaxed) == thread_number && held_biased_.load(std::memory_order_relaxed))
        [[likely]]
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

} // namespace coir::detail
