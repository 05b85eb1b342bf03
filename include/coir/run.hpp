#pragma once

#include <coir/detail/fiber_task.hpp>
#include <coir/export.hpp>
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
    /// Stacks kept ready for new fibers, touched pages included. What ended fibers leave beyond these is given back
    /// to the system when the loop is idle.
    std::size_t pooled_stacks = 64;
    /// When run()'s function has ended, the remaining fibers are cancelled; how long run() waits for them. Those that have
    /// not ended then are named on stderr, with what they wait for, and given up: they never run again, and their stacks
    /// stay as they are until the process ends. max() waits for ever.
    std::chrono::nanoseconds shutdown_deadline = std::chrono::nanoseconds::max();
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
/// Throws std::logic_error inside another run() of the same thread, std::system_error when the loop cannot be made. When
/// all fibers wait for each other, and for nothing that could come from outside (a descriptor, a deadline, another thread),
/// each is named on stderr with what it waits for, all are cancelled, and std::system_error with
/// std::errc::resource_deadlock_would_occur is thrown.
///
///     int main() {
///         return coir::run([] {
///             coir::this_fiber::sleep_for(1s);
///             return 0;
///         });
///     }
template <class Function>
    requires(std::invocable<Function&>)
std::invoke_result_t<Function&> run(Function&& function, const loop_options& options = {}) {
    using result = std::invoke_result_t<Function&>;
    auto call = [&function]() -> result { return function(); };
    detail::fiber_task<result, decltype(call)> main{call};
    detail::run_loop(main, options);
    if (main.failure)
        detail::rethrow_failure(main);
    return main.take();
}

} // namespace coir
