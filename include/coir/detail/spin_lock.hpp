#pragma once

#include <atomic>
#include <cstdint>

namespace coir::detail {

/// Guards shared data for a few instructions. Held by code that neither suspends nor calls user code, so that nobody waits
/// long, unless the system has preempted the thread that holds it.
///
/// Biased: the first thread that locks it needs no atomic operation, until another thread comes. lib/base/spin_lock.cpp
/// explains how; the functions are in lib/base/spin_lock.hpp.
class spin_lock {
public:
    spin_lock() = default;
    spin_lock(const spin_lock&) = delete;
    spin_lock& operator=(const spin_lock&) = delete;

    enum class hold : bool { plain, biased };

    /// How it is held now, which unlock() wants to know. `biased`: no other thread has ever locked it, or will, before it is
    /// unlocked.
    [[nodiscard]] hold lock() noexcept;
    void unlock(hold how) noexcept;

    /// True: the lock is biased to the calling thread, which holds it now, until unlock_biased(). False: it is not held, and
    /// will never be biased again; so code that changes the guarded data by an atomic operation instead competes only with code
    /// that does the same.
    [[nodiscard]] bool lock_if_biased() noexcept;
    void unlock_biased() noexcept;

    /// No other thread has ever locked it so far.
    [[nodiscard]] bool is_biased() const noexcept { return bias_.load(std::memory_order_relaxed) == bias::holds; }

private:
    enum class bias : std::uint8_t {
        holds,          ///< or will, for who comes first
        is_being_taken, ///< who has it may still be using it
        is_gone
    };

    static constexpr std::uint32_t nobody_yet = UINT32_MAX;
    static constexpr std::uint32_t nobody_ever = UINT32_MAX - 1;

    [[nodiscard]] bool enter() noexcept;
    [[nodiscard]] bool take_bias() noexcept;
    [[nodiscard]] bool lock_or_unbias() noexcept;
    [[nodiscard]] hold lock_slowly() noexcept;
    void lock_unbiased() noexcept;
    void revoke() noexcept;

    std::atomic<std::uint32_t> biased_to_{nobody_yet}; ///< number of a thread; written once, by compare-and-swap
    std::atomic<bias> bias_{bias::holds};              ///< written under locked_
    std::atomic<bool> held_biased_{false};             ///< written only by the thread that it is biased to
    std::atomic<bool> locked_{false};                  ///< by who comes without bias
};

} // namespace coir::detail
