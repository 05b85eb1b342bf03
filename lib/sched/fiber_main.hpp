#pragma once

#include <coir/detail/fiber_base.hpp>

namespace coir::detail {

/// Where the stack of every fiber begins; `loop` is the loop. Never returns.
void fiber_main(void* loop);

/// Calls the fiber's function and keeps its result or failure in the fiber. An exception out of a detached fiber is left
/// uncaught: the program terminates with the throw site still on the stack.
void run_function(fiber_base& fiber);

} // namespace coir::detail
