#pragma once

#include <ucontext.h>

namespace coir::detail {

/// Where a signal has interrupted its thread, for a handler that was installed with SA_SIGINFO.
[[nodiscard]] const void* stack_pointer_of(const ucontext_t& interrupted) noexcept;
[[nodiscard]] const void* program_counter_of(const ucontext_t& interrupted) noexcept;

} // namespace coir::detail
