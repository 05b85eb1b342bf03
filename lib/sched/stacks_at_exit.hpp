#pragma once

/// \file
/// What the environment variable COIR_STACK_REPORT=1 asks for: how deep stacks have been in all loops of the process together,
/// printed once, when it exits. A program may run many loops, one after another and side by side, and leave by exit() out of
/// the middle of a fiber.
namespace coir::detail {

class loop;
struct stack_depth;

namespace stacks_at_exit {

/// The environment asks for it, now that a loop begins: then the report is printed at exit.
[[nodiscard]] bool are_wanted() noexcept;

/// Of a fiber that has ended. Any thread. May throw std::bad_alloc.
void count(const stack_depth& depth);

/// Counts the stacks of those that `abandoned`, the calling thread's loop, will never go on with. Nothing, if not wanted.
void count_in_use(loop& abandoned) noexcept;

} // namespace stacks_at_exit
} // namespace coir::detail
