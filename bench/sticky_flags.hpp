#pragma once

#include <benchmark/benchmark.h>

#include <cfenv>

/// \file
/// For rows that come in two: with the sticky floating-point flags of both sides equal, and with them different.
///
/// A floating-point operation that rounds leaves FE_INEXACT behind in MXCSR. In the first row neither side has rounded
/// anything, in the second one side has, once. Both rows and both libraries start each batch from cleared flags,
/// because the harness computes with doubles between the batches.

enum class flags { equal, differ };

inline void clear_flags() {
    std::feclearexcept(FE_ALL_EXCEPT);
}

[[gnu::noinline]] inline void round_a_number() {
    volatile double three = 3; // volatile: or the compiler divides, and the flag is never set
    [[maybe_unused]] volatile double third = 1 / three;
}

inline bool is_inexact() {
    return std::fetestexcept(FE_INEXACT) != 0;
}

/// An innocent edit must not turn one row into the other.
inline void expect_flags(benchmark::State& state, flags wanted, bool inexact_inside) {
    if (inexact_inside != (wanted == flags::differ))
        state.SkipWithError("the other side's FE_INEXACT is not what this row measures");
}
