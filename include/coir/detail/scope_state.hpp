#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/timer.hpp>
#include <coir/export.hpp>

#include <exception>

namespace coir::detail {

struct fiber_base;

/// A fiber that belongs to a task group: part of its closure.
struct group_member : list_node {
    fiber_base* fiber = nullptr;
};

/// A stretch of a fiber's execution that can be cancelled, or shielded, as a whole. Scopes of a fiber are nested; around those
/// of a member of a task group is the scope of the group, which another fiber has entered. Belongs to the thread of the
/// loop.
struct scope_state : timer {
    scope_state() noexcept : timer(use::scope) {}

    fiber_base* fiber = nullptr;                     ///< that is inside
    scope_state* outer = nullptr;                    ///< the next around it
    intrusive_list<group_member>* members = nullptr; ///< of a task group: they are inside as well
    const std::exception_ptr* failure = nullptr;     ///< what blocking calls of `fiber` throw, instead of `cancelled`
    bool failure_thrown = false;                     ///< by a blocking call
    bool cancelled = false;                          ///< sticky
    bool shields = false;                            ///< cancellation from further out does not reach in
};

/// The running fiber is inside from now on, until leave_scope(). Throws std::logic_error outside coir::run.
COIR_EXPORT void enter_scope(scope_state& scope, deadline until);
/// Scopes are left by the fiber that has entered them, in reverse order: anything else ends the program.
COIR_EXPORT void leave_scope(scope_state& scope) noexcept;
COIR_EXPORT void cancel_scope_state(scope_state& scope) noexcept;
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
