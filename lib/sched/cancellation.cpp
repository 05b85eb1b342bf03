#include "sched/cancellation.hpp"

#include "base/diagnostic.hpp"
#include "base/throw_cancelled.hpp"
#include "context/resumers.hpp"
#include "sched/describe.hpp"
#include "sched/loop.hpp"
#include "sched/task_group.hpp"

#include <coir/detail/task_group_state.hpp>

#include <cstdlib>
#include <string>
#include <utility>

/// \file
/// Which fibers are cancelled: a tree of scopes, and one flag that the hot paths look at.
///
/// A fiber is in a chain of scopes, innermost first (scope_state::outer), and then in its function as a whole (cancel_called).
/// Of a member of a task group the chain goes on with the scope of that group, which is in the chain of the fiber that
/// opened the group; and so on. Cancellation comes from further out, and stops at a scope that shields. Whether it
/// reaches a fiber is worked out when something changes, for the fiber and all that are in its groups, and kept in
/// `cancel_requested`; that is all that blocking calls look at.
///
/// A group's scope keeps for its members whether cancellation reaches them (`reached`). So nobody has to look further out than
/// to the next group: what surrounds a group changes by being cancelled only, since scopes are left in reverse order, and
/// a cancellation passes on its way in through all the groups in between.
namespace coir::detail {
namespace {

enum class whom : bool { fiber, members };

// Who waits for the context that `place` is on the stack of, if `fiber` runs one. Most do not, and find_resumers() looks through all
// slabs there are.
resumers resumers_around(const fiber_base& fiber, const void* place) noexcept {
    const auto* const address = static_cast<const std::byte*>(place);
    const bool is_on_own_stack =
        fiber.stack && address >= fiber.stack && address < fiber.stack + fiber.stacks->geometry().bytes;
    return is_on_own_stack ? resumers{} : find_resumers(place);
}

// The running fiber and those who wait for the contexts that it is in.
resumers running_and_around(const fiber_base& running) noexcept {
    resumers all = resumers_around(running, __builtin_frame_address(0));
    all.add(thread_exceptions());
    return all;
}

// Exceptions that unwind their stacks.
int unwinding_now(const fiber_base& running) noexcept {
    return running_and_around(running).unwinding;
}

// The same when it was at a place that is in the same context as `scope`, and `unwinding` was std::uncaught_exceptions() there.
int unwinding_at(const scope_state& scope, int unwinding) noexcept {
    return unwinding + resumers_around(*scope.fiber, scope.place).unwinding;
}

// While exceptions unwind the stack: who is inside `scope` is told of its cancellation. For members of groups in there that need not
// be caught by the opener.
bool is_told(const scope_state& scope, int unwinding, whom asked) noexcept {
    if (scope.catches_at != scope_state::never && unwinding_at(scope, scope.catches_at) == unwinding)
        return true;
    return asked == whom::members && scope.group && unwinding_at(scope, scope.group->exceptions_at_start) == unwinding;
}

// Cancellation reaches the place in `fiber` around which `scope` is the next, or the members of a group there. While exceptions
// unwind the stack: that of a scope that catches it before they go on.
bool is_reached(const fiber_base& fiber, const scope_state* scope, int unwinding = 0,
                whom asked = whom::fiber) noexcept {
    for (; scope && scope->fiber == &fiber; scope = scope->outer) {
        if (scope->cancelled && (unwinding == 0 || is_told(*scope, unwinding, asked)))
            return true;
        if (scope->shields && !(scope->spares_members && asked == whom::members))
            return false;
    }
    if (unwinding != 0)
        return false;
    return fiber.cancel_called || (scope && scope->reached); // of which it is a member
}

// As unwinding_now(), of one that waits.
int unwinding_of(const fiber_base& fiber) noexcept {
    resumers all = resumers_around(fiber, fiber.stack_pointer);
    if (!fiber.is_plain)
        all.add(*fiber.exceptions);
    return all.unwinding;
}

// Fibers for which something has changed, in the order of update(). They are linked through their memberships: trees of
// groups may be deeper than a stack is.
class spreading {
public:
    // `fiber` itself; those in its groups have still to come.
    void update(fiber_base& fiber) noexcept {
        update_cancellation(fiber);
        for (scope_state* scope = fiber.scope; scope && scope->fiber == &fiber; scope = scope->outer) {
            if (!scope->group)
                continue;
            // Members know nothing more of what is around them: while a deep tree unwinds, each level does so once.
            const bool reached = reaches_members(*scope);
            if (std::exchange(scope->reached, reached) == reached)
                continue;
            scope->group->members.for_each([this](group_member& member) {
                member.next_to_update = nullptr;
                *end_ = &member;
                end_ = &member.next_to_update;
            });
        }
    }

    fiber_base* next() noexcept {
        if (!first_)
            return nullptr;
        fiber_base* fiber = first_->fiber;
        first_ = first_->next_to_update;
        if (!first_)
            end_ = &first_;
        return fiber;
    }

private:
    group_member* first_ = nullptr;
    group_member** end_ = &first_;
};

// False: its loop has been given up, and there is nothing to cancel. Fibers are cancelled by their own thread: the ready queue and
// the scopes are not made for two.
bool is_of_this_thread(const fiber_base& fiber) noexcept {
    if (fiber.owner == loop::current()) [[likely]]
        return true;
    if (fiber.owner->is_abandoned())
        return false;
    report(describe(fiber) +
           " is cancelled by a thread that does not run it; set an event, or send into a channel, for which " +
           "a fiber beside it waits, and let that cancel it");
    std::abort();
}

// Something has changed for `fiber`, and so perhaps for those in its groups.
void update_all(fiber_base& fiber) noexcept {
    spreading change;
    for (fiber_base* each = &fiber; each; each = change.next())
        change.update(*each);
}

// The task group of the running fiber whose failure is why its calls fail. In a destructor that runs because of an exception
// nobody catches that.
task_group_state* find_failed_group(const fiber_base& running) noexcept {
    if (unwinding_now(running) != 0)
        return nullptr;
    for (scope_state* scope = running.scope; scope && scope->fiber == &running && !scope->shields; scope = scope->outer)
        if (scope->group && !scope->group->failures.empty() && is_cause_of_cancellation(*scope))
            return scope->group;
    return nullptr;
}

// That a fiber goes on after what a blocking call has thrown is said once. In a handler, it may still be passed on; in a
// destructor, it may be what is being passed on.
void report_if_swallowed(fiber_base& running, const char* what, const char* operation) noexcept {
    if (running.swallow_reported)
        return;
    if (const resumers all = running_and_around(running); all.handles || all.unwinding != 0)
        return;
    running.swallow_reported = true;
    report(
        [&] {
            return describe(running) + " has not passed on " + what +
                   " (is there a catch (...) without throw?), and now calls " + operation;
        },
        "a fiber has not passed on coir::cancelled (is there a catch (...) without throw?)");
}

// The same for who has been told by error codes only.
void report_if_deaf(fiber_base& running) noexcept {
    if (running.swallow_reported || unwinding_now(running) != 0)
        return;
    running.swallow_reported = true;
    report(
        [&] {
            return describe(running) +
                   " has been cancelled, which blocking calls have told it by error codes (operation_canceled), " +
                   "and goes on calling";
        },
        "a fiber has been cancelled, which blocking calls have told it by error codes, and goes on calling");
}

// A scope that was cancelled is so no more. What was thrown for it is not expected further out.
void forget_thrown(fiber_base& fiber) noexcept {
    if (!fiber.cancel_requested) {
        fiber.cancel_thrown = false;
        fiber.cancel_told = 0;
    }
}

// So often a fiber may be told by an error code before it is said that it does not listen. After an exception that it has not
// passed on, once: the first time it may be a call that goes on to throw. Else it may be putting things in order.
constexpr int patience_after_throw = 1;
constexpr int patience = 100;

} // namespace

// In a destructor that runs because of an exception the opener is told nothing from further out, and so are those who do a part of
// its work.
bool reaches_members(const scope_state& scope) noexcept {
    const int unwinding = unwinding_at(scope, scope.group->exceptions_at_start);
    return scope.cancelled || is_reached(*scope.fiber, scope.outer, unwinding, whom::members);
}

const scope_state* find_membership(const fiber_base& fiber) noexcept {
    const scope_state* scope = fiber.scope;
    while (scope && scope->fiber == &fiber)
        scope = scope->outer;
    return scope;
}

void update_cancellation(fiber_base& fiber) noexcept {
    fiber.cancel_requested = is_reached(fiber, fiber.scope);
    // As cancellation_due(), of a fiber that is not running.
    if (fiber.cancel_requested && fiber.waiting && is_reached(fiber, fiber.scope, unwinding_of(fiber)))
        fiber.owner->wake(*fiber.waiting, wake_reason::cancelled);
}

bool may_be_told(const fiber_base& running) noexcept {
    const int unwinding = unwinding_now(running);
    return unwinding == 0 || is_reached(running, running.scope, unwinding);
}

void cancel(fiber_base& fiber) noexcept {
    if (fiber.finished || fiber.cancel_called)
        return;
    if (!is_of_this_thread(fiber))
        return;
    fiber.cancel_called = true;
    update_all(fiber);
}

void cancel_shields(fiber_base& fiber) noexcept {
    for (scope_state* scope = fiber.scope; scope && scope->fiber == &fiber; scope = scope->outer)
        if (scope->shields && !scope->is_pause)
            cancel_scope_state(*scope);
}

void throw_cancelled(fiber_base& running, const char* operation, std::size_t transferred) {
    task_group_state* failed = find_failed_group(running);
    // In a destructor during unwinding it will stay there, and what comes from further out has not been told.
    if (unwinding_now(running) == 0) {
        if (running.cancel_thrown)
            report_if_swallowed(running, failed ? "the failure of its task group" : "coir::cancelled", operation);
        running.cancel_thrown = true;
        running.cancel_told = 0;
    }
    if (failed)
        throw_failure(*failed);
    if (transferred != 0)
        throw_transfer_cancelled(transferred);
    throw_cancelled();
}

// The group may have failed after the exception was thrown, while that unwound the stack. It cannot leave the group, outside of which
// nobody is cancelled.
void pass_on_cancelled() {
    const loop* here = loop::current_with_running_fiber();
    if (task_group_state* failed = here ? find_failed_group(here->running()) : nullptr)
        throw_failure(*failed);
    throw;
}

void note_refusal(fiber_base& running) noexcept {
    if (running.cancel_told < (running.cancel_thrown ? patience_after_throw : patience))
        ++running.cancel_told;
    else if (running.cancel_thrown)
        report_if_swallowed(running, find_failed_group(running) ? "the failure of its task group" : "coir::cancelled",
                            "what tells of it by an error code");
    else
        report_if_deaf(running);
}

void enter_scope(scope_state& scope, deadline until, const char* operation) {
    loop& here = loop::of_running_fiber(operation);
    fiber_base& running = here.running();
    scope.fiber = &running;
    scope.place = __builtin_frame_address(0); // not that of `scope`, which AddressSanitizer may have put elsewhere
    if (until <= deadline::passed())
        scope.cancelled = true;
    else if (!until.is_never())
        here.arm(scope, until);
    scope.outer = running.scope;
    running.scope = &scope;
    if (scope.cancelled || scope.shields) // otherwise nothing changes, however many there are around it
        update_cancellation(running);
}

cancellation_pause::cancellation_pause() noexcept {
    scope_.shields = scope_.is_pause = true;
    if (loop::current_with_running_fiber())
        enter_scope(scope_, deadline::never());
}

cancellation_pause::~cancellation_pause() {
    if (scope_.fiber)
        leave_scope(scope_);
}

// The fiber alone changes its chain of scopes, and does not while this lives.
outer_cancellation_pause::outer_cancellation_pause(scope_state& around) noexcept : place_(&around.fiber->scope) {
    while (*place_ != &around)
        place_ = &(*place_)->outer;
    scope_.fiber = around.fiber;
    scope_.shields = scope_.is_pause = scope_.spares_members = true;
    scope_.outer = std::exchange(*place_, &scope_);
    update_cancellation(*scope_.fiber);
}

outer_cancellation_pause::~outer_cancellation_pause() {
    *place_ = scope_.outer;
    update_cancellation(*scope_.fiber);
}

void leave_scope(scope_state& scope) noexcept {
    fiber_base& fiber = *scope.fiber;
    const loop* here = loop::current_with_running_fiber();
    if (!here || &here->running() != &fiber || fiber.scope != &scope) {
        report(describe(fiber) +
               ": a cancel_scope is destroyed by another fiber, or before one inside it; scopes must be local " +
               "variables of the fiber that is in them");
        std::abort();
    }
    if (scope.timer_index != timer::no_timer)
        fiber.owner->disarm(scope);
    fiber.scope = scope.outer;
    if (scope.cancelled || scope.shields)
        update_cancellation(fiber);
    if (scope.cancelled)
        forget_thrown(fiber);
}

void cancel_scope_state(scope_state& scope) noexcept {
    if (scope.cancelled || !is_of_this_thread(*scope.fiber))
        return;
    scope.cancelled = true;
    update_all(*scope.fiber);
}

void end_cancellation(scope_state& scope) noexcept {
    scope.cancelled = false;
    update_all(*scope.fiber);
    forget_thrown(*scope.fiber);
}

void set_scope_deadline(scope_state& scope, deadline until) {
    loop& here = *scope.fiber->owner;
    if (scope.timer_index != timer::no_timer)
        here.disarm(scope);
    if (until <= deadline::passed())
        cancel_scope_state(scope);
    else if (!until.is_never())
        here.arm(scope, until);
}

bool is_cause_of_cancellation(const scope_state& scope) noexcept {
    return scope.cancelled && (scope.shields || !is_reached(*scope.fiber, scope.outer, unwinding_now(*scope.fiber)));
}

} // namespace coir::detail
