#pragma once

/// \file
/// The floating-point control words of this architecture: current_control_words(), set_control_words().

#if defined(__x86_64__)
#include "context/floating_point_x86_64.hpp"
#elif defined(__aarch64__)
#include "context/floating_point_aarch64.hpp"
#elif defined(__riscv) && __riscv_xlen == 64
#include "context/floating_point_riscv64.hpp"
#else
#include "context/floating_point_unknown.hpp"
#endif
