#pragma once

#include <coir/detail/fiber_task.hpp>
#include <coir/export.hpp>
#include <coir/spawn_site.hpp>
#include <coir/stack_size.hpp>

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
    /// Explain stack overflows on stderr before the process dies of them: see overflow_report.
    bool report_overflow = true;
    /// Count how deep the stacks of ended fibers have been, for stack_report(). Costs each fiber that ends a few microseconds.
    bool measure_stacks = false;
};

namespace detail {

/// Makes a loop on this thread, runs `main` in it and everything it spawns; returns when all have ended.
COIR_EXPORT void run_loop(fiber_base& main, const loop_options& options);

} // namespace detail

/// Runs an event loop on the calling thread, with a first fiber that calls `function()`; returns what that returns, or
/// throws what it throws.
///
/// When the function has ended, the fibers that remain are cancelled and awaited, as `asyncio.run` does. One loop per
/// thread: threads may each run one. While all fibers wait, the thread sleeps in the kernel.
/// Throws std::logic_error inside another run() of the same thread, std::system_error when the loop cannot be made.
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
        std::rethrow_exception(std::move(main.failure));
    return main.take();
}

} // namespace coir
