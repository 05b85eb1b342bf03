#pragma once

#include <coir/detail/floating_point_control.hpp>

#include <cstdint>

namespace coir::detail {

/// The rounding mode (frm), as it is now. The rest of fcsr are status flags: see asm/riscv64_lp64d.S.
[[nodiscard]] inline floating_point_control current_control_words() noexcept {
    std::uint64_t frm = 0;
    asm volatile("frrm %0" : "=r"(frm));
    return {static_cast<std::uint32_t>(frm), 0};
}

/// Loads `words`, if they differ: a write may wait for all arithmetic before it.
inline void set_control_words(floating_point_control words) noexcept {
    if (current_control_words().first != words.first) [[unlikely]] {
        asm volatile("fsrm %0" : : "r"(std::uint64_t{words.first}));
    }
}

} // namespace coir::detail
