#pragma once

#include "base/bounded_text.hpp"

namespace coir::detail {

/// If the access to `address`, which faulted while the stack pointer was `stack_pointer`, was an overflow of one of coir's
/// stacks: appends what to say of it, and returns true. Async-signal-safe, in any thread.
[[nodiscard]] bool describe_overflow(const void* address, const void* stack_pointer, bounded_text& text) noexcept;

} // namespace coir::detail
