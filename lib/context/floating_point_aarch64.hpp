#pragma once

#include <coir/detail/floating_point_control.hpp>

#include <cstdint>

namespace coir::detail {

/// FPCR, as it is now; its upper half is reserved.
[[nodiscard]] inline floating_point_control current_control_words() noexcept {
    std::uint64_t fpcr = 0;
    asm volatile("mrs %0, fpcr" : "=r"(fpcr));
    return {static_cast<std::uint32_t>(fpcr), 0};
}

/// Loads `words`, if they differ: a write to FPCR waits for all arithmetic before it.
inline void set_control_words(floating_point_control words) noexcept {
    if (current_control_words().first != words.first) [[unlikely]] {
        asm volatile("msr fpcr, %0" : : "r"(std::uint64_t{words.first}));
    }
}

} // namespace coir::detail
