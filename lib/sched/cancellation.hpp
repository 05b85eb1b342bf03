#pragma once

#include <coir/detail/fiber_base.hpp>

#include <exception>

namespace coir::detail {

/// The running fiber has been cancelled and may be told so: not while an exception unwinds its stack, when another one out
/// of a destructor would end the program (hazard A5).
[[nodiscard]] inline bool cancellation_due(const fiber_base& running) noexcept {
    return running.cancel_requested && std::uncaught_exceptions() == 0;
}

/// Cancels `fiber` as a whole.
void cancel(fiber_base& fiber) noexcept;

/// Of a task group: so it is cancelled with the fiber that opened the group.
[[nodiscard]] bool is_group_member(const fiber_base& fiber) noexcept;

/// `fiber` has changed its place in the tree of scopes.
void update_cancellation(fiber_base& fiber) noexcept;

/// Ends the call `operation` of the running fiber, whose cancellation is due: throws coir::cancelled, or the failure of a task
/// group that it is in. A fiber that has been told before, and has not passed it on, is reported.
[[noreturn]] void throw_cancelled(fiber_base& running, const char* operation);

} // namespace coir::detail
