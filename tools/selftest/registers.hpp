#pragma once

#include "duty.hpp"

#include <cstdint>

/// \file
/// registers_<architecture>.S: what the compiler hides. On other architectures registers_portable.cpp, which sees
/// nothing.
extern "C" {

/// The names, with spaces between them; empty if nothing is known of them.
extern const char selftest_preserved_registers[];

/// Fills the registers that a call preserves with values made of `seed`, calls, and returns a bit for each that has
/// another value then, in the order of the names. `damage` is added to one of them after the call.
unsigned selftest_fill_call_compare(void (*call)(void*), void* argument, std::uint64_t seed, std::uint64_t damage);

/// By how many bytes the stack pointer misses what the ABI asks for at a call, if it were lower by `damage`.
unsigned selftest_stack_misalignment(std::uint64_t damage);
}

namespace selftest {

/// Different in each register, each turn, and each execution.
[[nodiscard]] constexpr std::uint64_t register_seed(unsigned execution, int turn) {
    return (std::uint64_t{execution} << 48) + static_cast<std::uint64_t>(turn) * 0x1'0000'1000;
}

/// What the bits of all calls of selftest_fill_call_compare say.
[[nodiscard]] finding registers_kept(unsigned lost);

} // namespace selftest
