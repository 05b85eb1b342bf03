#include "base/spin_lock.hpp"

#include "base/pause.hpp"
#include "base/process_barrier.hpp"

#include <sched.h>

/// \file
/// A biased lock, after Vasudevan, Namjoshi and Edwards, "Simple and fast biased locks" (PACT 2010): most objects of a program
/// with several loops are used by one of them only, and an atomic operation costs as much as half a switch.
///
/// The first thread T that locks has the bias: from then on it takes the lock by a plain store to `held_biased_` and gives it
/// back by another. Anybody else, R, first takes `locked_`, as an ordinary spin lock, and then, if nobody has done it before,
/// takes the bias away for ever: says so in `bias_`, and waits until `held_biased_` is false. After that `locked_` alone
/// counts, for T as well.
///
///     T: held_biased_ = true;            if (bias_ == holds) it has the lock, else held_biased_ = false, and it goes for locked_
///     R: bias_ = is_being_taken;         process_barrier();         wait while held_biased_;         bias_ = is_gone
///
/// That is Dekker's protocol: one of the two must see what the other one has written. It needs a full barrier between the write
/// and the read on both sides, and T has none. process_barrier() is one on T's processor, at some point of T's instructions.
/// If that point is before T's store, T's load, being later still, sees what R has written. If it is after T's store, R sees
/// that T holds the lock, and waits; T's release is R's acquire.
///
/// T may set `held_biased_` for a moment later on, when it has read `biased_to_`, and not yet `bias_`; so nobody but T
/// concludes anything from it once the bias is gone.
///
/// A revocation takes microseconds and interrupts other threads. A program that makes many objects in order to use each of them
/// from several threads would pay it for each. So the number of revocations in a process is limited; after that new locks have
/// no bias. Nor have they if the system does not offer the barrier; or under ThreadSanitizer, which does not know it.
namespace coir::detail {
namespace {

constexpr int spins = 100; // about a microsecond: longer than any holder that runs

constexpr std::uint32_t most_threads = UINT32_MAX / 2; // leaves room for those that count at once

constinit std::atomic<std::uint32_t> threads{0}; // that have ever had a number

void wait_while(const std::atomic<bool>& held) noexcept {
    for (int i = 0; held.load(std::memory_order_acquire); ++i)
        if (i < spins)
            pause();
        else
            ::sched_yield(); // the holder is not running: let it
}

bool is_bias_worthwhile() noexcept {
#if defined(COIR_TSAN)
    return false;
#else
    return revocations_left.load(std::memory_order_relaxed) > 0 && has_process_barrier();
#endif
}

// False: there have been too many threads.
bool has_number() noexcept {
    if (thread_number == 0 && threads.load(std::memory_order_relaxed) < most_threads)
        thread_number = threads.fetch_add(1, std::memory_order_relaxed) + 1;
    return thread_number != 0;
}

} // namespace

constinit thread_local std::uint32_t thread_number = 0;
constinit std::atomic<int> revocations_left{256};

spin_lock::hold spin_lock::lock_slowly() noexcept {
    if (take_bias() && enter())
        return hold::biased;
    lock_unbiased();
    return hold::plain;
}

bool spin_lock::lock_or_unbias() noexcept {
    if (take_bias() && enter())
        return true;
    lock_unbiased();
    locked_.store(false, std::memory_order_release);
    return false;
}

bool spin_lock::take_bias() noexcept {
    std::uint32_t expected = nobody_yet;
    return biased_to_.load(std::memory_order_relaxed) == nobody_yet && is_bias_worthwhile() && has_number() &&
           biased_to_.compare_exchange_strong(expected, thread_number, std::memory_order_relaxed);
}

void spin_lock::lock_unbiased() noexcept {
    while (locked_.exchange(true, std::memory_order_acquire))
        wait_while(locked_);
    if (bias_.load(std::memory_order_relaxed) != bias::is_gone) [[unlikely]]
        revoke();
}

void spin_lock::revoke() noexcept {
    std::uint32_t expected = nobody_yet;
    const bool was_biased = !biased_to_.compare_exchange_strong(expected, nobody_ever, std::memory_order_relaxed);
    if (was_biased) {
        bias_.store(bias::is_being_taken, std::memory_order_relaxed);
        revocations_left.fetch_sub(1, std::memory_order_relaxed);
        process_barrier();
        wait_while(held_biased_);
    }
    bias_.store(bias::is_gone, std::memory_order_release);
}

} // namespace coir::detail
