#pragma once

#include <coir/detail/fiber_base.hpp>
#include <coir/detail/scope_state.hpp>

#include <cstddef>

namespace coir::detail {

/// The running fiber, which has been cancelled, may be told so.
[[nodiscard]] bool may_be_told(const fiber_base& running) noexcept;

/// The running fiber has been cancelled and may be told so: not while an exception unwinds its stack, or that of who waits for the
/// context that it is in, when another one out of a destructor would end the program (hazard A5); unless it is caught in there.
[[nodiscard]] inline bool cancellation_due(const fiber_base& running) noexcept {
    if (!running.cancel_requested) [[likely]]
        return false;
    return may_be_told(running);
}

/// Cancels `fiber` as a whole.
void cancel(fiber_base& fiber) noexcept;

/// Cancels the shields in which `fiber` is: what it waits for will never come.
void cancel_shields(fiber_base& fiber) noexcept;

/// The scope of the task group whose member it is, with whose opener it is cancelled; or null.
[[nodiscard]] const scope_state* find_membership(const fiber_base& fiber) noexcept;

/// The members of the group whose scope it is are cancelled, by it or from further out.
[[nodiscard]] bool reaches_members(const scope_state& scope) noexcept;

/// While it lives, the running fiber is cancelled by scopes inside `around` only: what cancels that one, or comes from further out,
/// does not reach it. For calls that are all about what is in `around`, which it does reach, as it does the members of groups
/// further in.
class outer_cancellation_pause {
public:
    explicit outer_cancellation_pause(scope_state& around) noexcept;
    ~outer_cancellation_pause();
    outer_cancellation_pause(const outer_cancellation_pause&) = delete;
    outer_cancellation_pause& operator=(const outer_cancellation_pause&) = delete;

private:
    scope_state scope_;
    scope_state** place_; // in the chain of scopes
};

/// `fiber` has changed its place in the tree of scopes.
void update_cancellation(fiber_base& fiber) noexcept;

/// Ends the call `operation` of the running fiber, whose cancellation is due: throws coir::cancelled, in its derived form if
/// the call has moved bytes before, or the failure of a task group that it is in. A fiber that has been told before, and has
/// not passed it on, is reported.
[[noreturn]] void throw_cancelled(fiber_base& running, const char* operation, std::size_t transferred = 0);

/// A blocking call of the running fiber, whose cancellation is due, fails at its beginning, by whatever means.
void note_refusal(fiber_base& running) noexcept;

} // namespace coir::detail
