#pragma once

#include <coir/detail/floating_point_control.hpp>
#include <coir/export.hpp>

#include <cstddef>

namespace coir::detail {

struct exception_globals;

/// Everything that has to be saved while an execution (a stack with an instruction pointer) is not running.
///
/// While it runs, its registers are in the processor and its exceptions are in the thread's `__cxa_eh_globals`; what is
/// saved below is stale, and `is_plain` holds.
struct execution {
    /// Handle of the suspended stack. Written by the switch that leaves it, read by the one that comes back; so it needs no
    /// initial value, and neither does what is there for the sanitizer. A resume() makes one of these each time.
    union {
        void* stack_pointer;
        /// Of a fiber that has no stack yet: its creator's. Written and read by the scheduler.
        floating_point_control control_words;
    };

    /// To continue it, it suffices to load its registers: there are no saved exceptions to restore, and (if a fiber) it has a
    /// stack. Written by whoever changes that. In one cache line with the handle and the fields that the scheduler reads.
    bool is_plain = true;
    /// Its blocking calls throw coir::cancelled. Written by the owner of a context, or by the scheduler: see
    /// lib/sched/cancellation.cpp.
    bool cancel_requested = false;
    /// A fiber's errno while it is not running (hazard D2). Written and read by the scheduler; contexts do without.
    int saved_errno = 0;

    union {
        /// What `__cxa_get_globals()` held when the execution was left, kept on its stack. Written and read by
        /// switch_execution(); without a value if is_plain.
        exception_globals* exceptions;
        /// Of a fiber that has no stack yet: its place in the ready queue. Written and read by the scheduler.
        std::size_t place_in_queue;
    };

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
