#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/timer.hpp>
#include <coir/export.hpp>

#include <exception>
#include <utility>

namespace coir::detail {

struct fiber_base;
struct task_group_state;

/// A stretch of a fiber's execution that can be cancelled, or shielded, as a whole. Scopes of a fiber are nested; around those
/// of a member of a task group is the scope of the group, which another fiber has entered. Belongs to the thread of the
/// loop.
struct scope_state : timer {
    static constexpr int never = -1;

    scope_state() noexcept : timer(use::scope) {}

    fiber_base* fiber = nullptr;       ///< that is inside
    scope_state* outer = nullptr;      ///< the next around it
    const void* place = nullptr;       ///< where on the fiber's stack, or on that of a context, it was entered
    task_group_state* group = nullptr; ///< whose scope it is: the members are inside as well
    int catches_at = never;            ///< where coir::cancelled is caught: std::uncaught_exceptions() there
    bool cancelled = false;            ///< sticky
    bool shields = false;              ///< cancellation from further out does not reach in
    bool is_pause = false;             ///< of the library: nothing ends it early
    bool spares_members = false;       ///< shields its fiber only, not the members of groups inside
    bool reached = false;              ///< of a group: what is inside is cancelled, by this scope or from further out
};

/// While it lives, coir::cancelled caused by `scope` is caught: so it may be thrown even while an exception unwinds the stack.
class catching_scope {
public:
    explicit catching_scope(scope_state& scope) noexcept
        : scope_(scope), before_(std::exchange(scope.catches_at, std::uncaught_exceptions())) {}
    ~catching_scope() { scope_.catches_at = before_; }
    catching_scope(const catching_scope&) = delete;
    catching_scope& operator=(const catching_scope&) = delete;

private:
    scope_state& scope_;
    int before_;
};

/// The running fiber is inside from now on, until leave_scope(). Throws std::logic_error, naming `operation`, outside coir::run.
COIR_EXPORT void enter_scope(scope_state& scope, deadline until,
                             const char* operation = "with_timeout(), shield or cancel_scope");
/// Scopes are left by the fiber that has entered them, in reverse order: anything else ends the program.
COIR_EXPORT void leave_scope(scope_state& scope) noexcept;
COIR_EXPORT void cancel_scope_state(scope_state& scope) noexcept;
/// The cancellation of `scope` is over: blocking calls inside succeed again, unless it is cancelled anew.
COIR_EXPORT void end_cancellation(scope_state& scope) noexcept;
/// Replaces the deadline.
COIR_EXPORT void set_scope_deadline(scope_state& scope, deadline until);
/// True if the coir::cancelled that is unwinding, or has unwound, the scope's fiber is due to this scope, and not to anything
/// further out.
[[nodiscard]] COIR_EXPORT bool is_cause_of_cancellation(const scope_state& scope) noexcept;
/// In a handler of a coir::cancelled that is meant for something further out: rethrows it; or throws the failure of a task
/// group, if one around the handler has failed meanwhile and nothing else is to be reported.
[[noreturn]] COIR_EXPORT void pass_on_cancelled();

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
