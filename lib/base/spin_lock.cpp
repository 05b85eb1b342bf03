#include "base/spin_lock.hpp"

#include <sched.h>

namespace coir::detail {
namespace {

constexpr int spins = 100; // about a microsecond: longer than any holder that runs

void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb"); // waits about as long; `yield` does nothing on most cores
#endif
}

} // namespace

void spin_lock::lock_contended() noexcept {
    do
        for (int i = 0; locked_.load(std::memory_order_relaxed); ++i)
            if (i < spins)
                pause();
            else
                ::sched_yield(); // the holder is not running: let it
    while (locked_.exchange(true, std::memory_order_acquire));
}

} // namespace coir::detail
