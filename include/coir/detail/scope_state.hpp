#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/timer.hpp>
#include <coir/export.hpp>

namespace coir::detail {

struct fiber_base;
struct task_group_state;

/// A stretch of a fiber's execution that can be cancelled, or shielded, as a whole. Scopes of a fiber are nested; around those
/// of a member of a task group is the scope of the group, which another fiber has entered. Belongs to the thread of the
/// loop.
struct scope_state : timer {
    scope_state() noexcept : timer(use::scope) {}

    fiber_base* fiber = nullptr;       ///< that is inside
    scope_state* outer = nullptr;      ///< the next around it
    task_group_state* group = nullptr; ///< whose scope it is: the members are inside as well
    bool cancelled = false;            ///< sticky
    bool shields = false;              ///< cancellation from further out does not reach in
    bool reached = false;              ///< of a group: what is inside is cancelled, by this scope or from further out
};

/// The running fiber is inside from now on, until leave_scope(). Throws std::logic_error outside coir::run.
COIR_EXPORT void enter_scope(scope_state& scope, deadline until);
/// Scopes are left by the fiber that has entered them, in reverse order: anything else ends the program.
COIR_EXPORT void leave_scope(scope_state& scope) noexcept;
COIR_EXPORT void cancel_scope_state(scope_state& scope) noexcept;
/// The cancellation of `scope` has done its work: blocking calls inside succeed again, unless it is cancelled anew.
COIR_EXPORT void end_cancellation(scope_state& scope) noexcept;
/// Replaces the deadline.
COIR_EXPORT void set_scope_deadline(scope_state& scope, deadline until);
/// What is now unwinding, or has unwound, the scope's fiber by coir::cancelled, is this scope's cancellation and none from
/// further out.
[[nodiscard]] COIR_EXPORT bool is_cause_of_cancellation(const scope_state& scope) noexcept;

/// While it lives cancellation does not reach the running fiber; outside of fibers it does nothing.
class COIR_EXPORT cancellation_pause {
public:
    cancellation_pause() noexcept;
    ~cancellation_pause();
    cancellation_pause(const cancellation_pause&) = delete;
    cancellation_pause& operator=(const cancellation_pause&) = delete;

private:
    scope_state scope_;
};

} // namespace coir::detail
