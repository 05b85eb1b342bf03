#pragma once

#include "context/entry.hpp"

#include <coir/detail/floating_point_control.hpp>

#include <cstddef>

namespace coir::detail {

/// Writes the first frame of a stack, so that the first switch to the returned handle calls `entry(argument)` at the
/// top of [bottom, top), with these floating-point control words. `entry` must not return. `top` must be aligned to 16.
[[nodiscard]] void* make_first_frame(std::byte* bottom, std::byte* top, floating_point_control words,
                                     entry_function entry, void* argument);

/// Chooses the variant of coir_switch() that suits this processor. Takes some microseconds the first time. For speed
/// only: all variants are correct.
void tune_switch() noexcept;

} // namespace coir::detail

/// The switch itself: asm/<arch>_<abi>.S, or switch_boost.cpp. Only the floating-point control words and the registers
/// that a call preserves; everything else is up to switch_stacks().
extern "C" void coir_switch(void** suspended, void* resumed) noexcept;

#if defined(COIR_SWITCH_BOOST)
#elif defined(__x86_64__)
#include "context/frame_x86_64.hpp"
#elif defined(__aarch64__)
#include "context/frame_aarch64.hpp"
#elif defined(__riscv) && __riscv_xlen == 64
#include "context/frame_riscv64.hpp"
#endif
