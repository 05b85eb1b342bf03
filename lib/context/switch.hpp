#pragma once

#include "context/exception_state.hpp"
#include "context/frame.hpp"
#include "context/sanitizer.hpp"

namespace coir::detail {

/// switch_stacks() when there are exceptions to move.
[[gnu::noinline, gnu::cold]] void switch_with_exceptions(execution& from, execution& to) noexcept;

/// Suspends `from`, continues `to`: all that a switch does besides the registers.
///
/// Everything happens *before* the registers change, and what is rare is a function of its own, so that in ordinary
/// builds both calls are tail calls: no frame of ours waits to return on the way back, which the processor would
/// mispredict (18 ns, see docs/asm.md), and nothing is saved around them. Only the frame of who has exceptions stays: they
/// are kept there.
[[gnu::always_inline]] inline void switch_stacks(const exception_globals& thread, execution& from,
                                                 execution& to) noexcept {
    if constexpr (sanitizer::enabled) {
        exception_globals kept;
        exchange_exceptions(thread_exceptions(), kept, from, to);
        sanitizer::before_switch(from, to, false);
        coir_switch(&from.stack_pointer, to.stack_pointer);
        sanitizer::after_switch(from);
    } else {
        if (!to.is_plain || !is_empty(thread)) [[unlikely]]
            return switch_with_exceptions(from, to);
        return coir_switch(&from.stack_pointer, to.stack_pointer);
    }
}

/// As switch_stacks(), for an execution that has ended: its exceptions are dropped (hazard A3), nobody comes back.
[[noreturn, gnu::always_inline]] inline void leave_stack(exception_globals& thread, execution& from, execution& to) {
    restore_exceptions(thread, to);
    sanitizer::before_switch(from, to, true);
    coir_switch(&from.stack_pointer, to.stack_pointer);
    __builtin_unreachable();
}

} // namespace coir::detail
