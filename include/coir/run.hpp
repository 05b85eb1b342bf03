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

/// How a loop is made.
struct loop_options {
    /// Usable bytes of stack of the fibers that do not ask for another size (fiber_options::stack_size).
    std::size_t stack_size = default_stack_size;
    /// Untouchable bytes below each stack, rounded up to an odd number of pages: an overflow ends the program there. Code
    /// that is not compiled with -fstack-clash-protection can step over a guard by a frame that is larger.
    std::size_t guard_size = 0;
    /// Stacks kept ready for new fibers, touched pages included. Of what ended fibers leave beyond these, that is given
    /// back to the system which has not been needed for 0.1 s.
    std::size_t pooled_stacks = 64;
    /// When run()'s function has ended, the remaining fibers are cancelled; how long run() waits for them. Those that have
    /// not ended then are named on stderr, with what they wait for, and given up: they never run again, and their stacks
    /// stay as they are until the process ends. An operation on a file that has begun still ends, in the memory that it was
    /// given. max() waits for ever.
    std::chrono::nanoseconds shutdown_deadline = std::chrono::nanoseconds::max();
    /// Explain stack overflows on stderr before the process dies of them: see overflow_report.
    bool report_overflow = true;
    /// Count how deep the stacks of ended fibers have been, for stack_report(). Costs each fiber that ends a few microseconds.
    bool measure_stacks = false;
    /// How long a fiber may keep the thread without handing over control, before one line on stderr names it, its spawn site
    /// and the instruction where it is; zero: it is not watched, and costs nothing. That includes a fiber that waits in the
    /// kernel, say for a std::mutex that another fiber of the loop holds. The line comes once for each time that a fiber
    /// runs, no later than half of the limit, or 10 ms, after it; nothing else changes.
    ///
    /// To that end a timer interrupts the thread by SIGURG, four times per limit or every 5 ms. Calls that it interrupts go
    /// on (SA_RESTART), but for those that signal(7) says never do: poll() and nanosleep() in a fiber may end with EINTR.
    /// The handler, which the first loop with a limit installs, stays, and hands every other SIGURG to the one that was
    /// there before; SIGURG is unblocked in the thread meanwhile. Not for programs that wait for it with a signal_set.
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
/// When the function has ended, the fibers that remain are cancelled and awaited, as `asyncio.run` does; at most for
/// loop_options::shutdown_deadline. One loop per thread: threads may each run one. While all fibers wait, the thread sleeps
/// in the kernel.
/// Throws std::logic_error inside another run() of the same thread, std::system_error when the loop cannot be made, or the
/// timer of loop_options::stall_limit. When all fibers wait for each other, and for nothing that could come from outside (a
/// descriptor, a deadline, another thread), each is named on stderr with what it waits for, all are cancelled, and
/// std::system_error with std::errc::resource_deadlock_would_occur is thrown. Once the process has had a second thread, each wait
/// for what threads can share (mutexes, channels, events, …) is one that could be ended from outside: then only fibers that all
/// wait for ends of fibers and for task groups are found so. Fibers that wait in a cycle for each other's mutexes or ends are
/// named as well, while others run and whatever threads there are, after a second or so, and go on waiting; not in loops of more
/// than 10,000 fibers.
/// The thread must not end meanwhile: pthread_exit() in a fiber, and pthread_cancel() of the thread, name the fiber on stderr
/// and abort, as all others would be lost. exit() may be called.
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
