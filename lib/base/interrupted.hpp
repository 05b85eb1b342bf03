#pragma once

#include <csignal>
#include <ucontext.h>

namespace coir::detail {

/// Where a signal has interrupted its thread, for a handler that was installed with SA_SIGINFO.
[[nodiscard]] const void* stack_pointer_of(const ucontext_t& interrupted) noexcept;
[[nodiscard]] const void* program_counter_of(const ucontext_t& interrupted) noexcept;

/// What a handler of SIGSEGV has been told: the kernel could not write the frame of another signal's handler, and has dropped
/// that signal.
[[nodiscard]] bool has_lost_signal(const siginfo_t& info, const ucontext_t& interrupted) noexcept;

/// Calls the handler of `action`, neither SIG_DFL nor SIG_IGN, as the kernel would.
void call_handler(const struct sigaction& action, int signal, siginfo_t* info, void* interrupted) noexcept;

} // namespace coir::detail
