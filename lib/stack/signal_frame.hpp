#pragma once

#include <algorithm>
#include <cstddef>
#include <unistd.h>

namespace coir::detail {

/// How much the kernel writes at most onto the stack that a signal interrupts, unless its handler has another: all registers.
/// Async-signal-safe.
[[nodiscard]] inline std::size_t signal_frame_bytes() noexcept {
    constexpr long least = 4096;
#if defined(_SC_MINSIGSTKSZ)
    return static_cast<std::size_t>(std::max(::sysconf(_SC_MINSIGSTKSZ), least));
#else
    return least;
#endif
}

} // namespace coir::detail
