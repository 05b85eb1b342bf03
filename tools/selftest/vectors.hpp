#pragma once

#include "duty.hpp"

#include <coir/context.hpp>

#include <array>
#include <cstddef>
#include <type_traits>

namespace selftest {

/// Lets two executions take turns, each of which keeps its own values over all of them. `keep(suspend, number)` is
/// called in both, calls suspend() now and then, and says whether its values were kept.
template <class Keep> bool kept_by_two(Keep keep) {
    bool kept = true;
    const auto function = [&](int number) {
        return
            [&kept, keep, number](coir::context::self& self) { kept = keep([&] { self.suspend(); }, number) && kept; };
    };
    coir::context one{function(1)};
    coir::context other{function(2)};
    while (one.resume())
        other.resume();
    other.resume();
    return kept && other.done();
}

/// Vectors of `Vector` (a vector type of the compiler's), more than there are registers for, live across switches.
/// Always inlined: into a function that is compiled for the processor's larger registers.
template <class Vector, class Suspend>
[[gnu::always_inline]] inline bool keeps_vectors(const Suspend& suspend, int number, bool spoiled) {
    constexpr std::size_t count = 40;
    std::array<Vector, count> values;
    for (std::size_t i = 0; i < count; ++i)
        values[i] = Vector{} + static_cast<int>(i) * 100 + number;
    for (int turn = 0; turn < 10; ++turn) {
        suspend();
        for (Vector& each : values)
            each += 1;
    }
    if (spoiled)
        values[count / 2][0] ^= 1;
    for (std::size_t i = 0; i < count; ++i) {
        const Vector difference = values[i] - (Vector{} + static_cast<int>(i) * 100 + number + 10);
        for (std::size_t lane = 0; lane < sizeof(Vector) / sizeof difference[0]; ++lane)
            if (difference[lane] != 0)
                return false;
    }
    return true;
}

} // namespace selftest
