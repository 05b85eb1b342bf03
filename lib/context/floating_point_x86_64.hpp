#pragma once

#include <coir/detail/floating_point_control.hpp>

#include <cstdint>

namespace coir::detail {

/// MXCSR and the x87 control word, as they are now.
[[nodiscard]] inline floating_point_control current_control_words() noexcept {
    std::uint32_t mxcsr = 0;
    std::uint16_t x87 = 0;
    asm volatile("stmxcsr %0" : "=m"(mxcsr));
    asm volatile("fnstcw %0" : "=m"(x87));
    return {mxcsr, x87};
}

/// Loads the control bits of `words`. A load costs about 50 ns, so it compares first; status bits do not count.
inline void set_control_words(floating_point_control words) noexcept {
    constexpr std::uint32_t mxcsr_control_bits = 0xffc0;
    const floating_point_control now = current_control_words();
    if (((now.first ^ words.first) & mxcsr_control_bits) != 0) [[unlikely]] {
        asm volatile("ldmxcsr %0" : : "m"(words.first));
    }
    if (now.second != words.second) [[unlikely]] {
        const auto x87 = static_cast<std::uint16_t>(words.second);
        asm volatile("fnclex\n\tfldcw %0" : : "m"(x87)); // x87 traps late: see asm/x86_64_sysv.S
    }
}

} // namespace coir::detail
