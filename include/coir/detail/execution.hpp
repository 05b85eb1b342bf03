#pragma once

#include <coir/export.hpp>

#include <cstddef>

namespace coir::detail {

/// Everything that has to be kept while an execution (a stack with an instruction pointer) is not running.
///
/// While it runs, its registers are in the processor and its exceptions are in the thread's `__cxa_eh_globals`; the
/// fields below are stale, except that the saved exceptions are zero (see switch_execution()).
struct execution {
    /// Handle of the suspended stack. Written by the switch that leaves it, read by the one that comes back; so it needs no
    /// initial value, and neither does what is there for the sanitizer. A resume() makes one of these each time.
    void* stack_pointer;

    /// What `__cxa_get_globals()` held when the execution was left: exceptions being handled, newest first, and the
    /// number of those thrown and not yet caught. Written and read by switch_execution().
    void* caught_exceptions = nullptr;
    std::size_t uncaught_exceptions = 0;

    /// For AddressSanitizer, the frames it keeps off the stack, and the bounds of the stack. For ThreadSanitizer, what
    /// it calls a fiber.
    void* sanitizer_state;
    const void* stack_bottom;
    std::size_t stack_size;
};

/// Suspends the caller into `from` and continues `to`.
///
/// Returns when somebody continues `from`. Both keep their floating-point control words and their C++ exceptions
/// (hazards A1, B1). `to` must be suspended. Any thread may continue an execution that was suspended by another, as
/// long as it is not inside a function that caches the address of a thread_local.
COIR_EXPORT void switch_execution(execution& from, execution& to);

} // namespace coir::detail
