#pragma once

namespace coir::detail {

/// Tells the processor that it is waiting for another one: some 10 to 50 ns.
inline void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb"); // waits about as long; `yield` does nothing on most cores
#endif
}

} // namespace coir::detail
