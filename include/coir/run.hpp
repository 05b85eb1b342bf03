#pragma once

#include <coir/detail/fiber_task.hpp>
#include <coir/export.hpp>
#include <coir/spawn_site.hpp>
#include <coir/stack_size.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>

namespace coir {

/// How a loop is created.
struct loop_options {
    /// Usable bytes of stack for fibers that do not request another size (fiber_options::stack_size).
    std::size_t stack_size = default_stack_size;
    /// Inaccessible bytes below each stack, rounded up to an odd number of pages: an overflow ends the program there. In code
    /// that is compiled without -fstack-clash-protection, a frame larger than the guard can step over it.
    std::size_t guard_size = 0;
    /// Number of stacks of ended fibers kept ready for new ones, with their touched pages. Stacks beyond these are given back
    /// to the system when they have not been needed for 0.1 s.
    std::size_t pooled_stacks = 64;
    /// When run()'s function has ended, the remaining fibers are cancelled, and run() waits for them for this long. Fibers that
    /// have not ended by then are named on stderr, with what they wait for, and given up: they never run again, and their
    /// stacks stay as they are until the process ends; what they hold stays held, what they wait for goes to others. A file
    /// operation that has begun still completes, in the memory that it was given. max() waits for ever.
    std::chrono::nanoseconds shutdown_deadline = std::chrono::nanoseconds::max();
    /// Explain stack overflows on stderr before the process dies of them: see overflow_report.
    bool report_overflow = true;
    /// Measure how deep the stacks of ended fibers were, for stack_report(). Costs a few microseconds per fiber.
    bool measure_stacks = false;
    /// How long a fiber may keep the thread without handing over control, before a line on stderr names it, its spawn site and
    /// the instruction where it is. Zero: no watching, at no cost. That includes a fiber that waits in the kernel, say for a
    /// std::mutex that another fiber of the loop holds. The line appears once for each time that a fiber runs, at most half of
    /// the limit, or 10 ms, after the limit; nothing else changes.
    ///
    /// To this end a timer interrupts the thread with SIGURG, four times per limit or every 5 ms. Interrupted system calls are
    /// restarted (SA_RESTART), except those that signal(7) says never are: poll() and nanosleep() in a fiber may end with
    /// EINTR. The first loop with a limit installs the handler, which stays, and passes every other SIGURG to the previous
    /// handler; SIGURG is unblocked in the thread meanwhile. Not for programs that wait for SIGURG with a signal_set.
    ///
    ///     coir::run(serve, {.stall_limit = 50ms});
    std::chrono::nanoseconds stall_limit = std::chrono::nanoseconds::zero();
};

namespace detail {

/// Makes a loop on this thread, runs `main` in it and everything it spawns; returns when all have ended.
COIR_EXPORT void run_loop(fiber_base& main, const loop_options& options);

} // namespace detail

/// Runs an event loop on the calling thread, with a first fiber that calls `function()`; returns what that returns, or
/// throws what it throws.
///
/// When the function has ended, the remaining fibers are cancelled and awaited, as by `asyncio.run`, for at most
/// loop_options::shutdown_deadline. One loop per thread: threads may each run one. While all fibers wait, the thread sleeps in
/// the kernel. Throws std::logic_error inside another run() of the same thread, std::system_error when the loop, or the timer
/// of loop_options::stall_limit, cannot be created. When all fibers wait for each other, and for nothing that could come from
/// outside (a descriptor, a deadline, another thread), each is named on stderr with what it waits for, all are cancelled, and
/// std::system_error with std::errc::resource_deadlock_would_occur is thrown. Once the process has had a second thread, each
/// wait for an object that threads can share (mutexes, channels, events, …) could be ended from outside: then a deadlock is
/// found only if all fibers wait for fibers to end and for task groups. Fibers that wait in a cycle for each other's mutexes or
/// ends are also named, after a second or so, even while others run and whatever threads there are; they go on waiting. Cycles
/// are not searched in loops of more than 10,000 fibers. The thread must not end meanwhile: pthread_exit() in a fiber, and
/// pthread_cancel() of the thread, name the fiber on stderr and abort, as all others would be lost. exit() may be called.
///
///     int main() {
///         return coir::run([] {
///             coir::this_fiber::sleep_for(1s);
///             return 0;
///         });
///     }
template <class Function>
    requires(std::invocable<Function&>)
std::invoke_result_t<Function&> run(Function&& function, const loop_options& options = {},
                                    spawn_site site = spawn_site::current()) {
    using result = std::invoke_result_t<Function&>;
    auto call = [&function]() -> result { return function(); };
    detail::fiber_task<result, decltype(call)> main{call};
    main.site = site;
    detail::run_loop(main, options);
    if (main.failure)
        detail::rethrow_failure(main);
    return main.take();
}

} // namespace coir
