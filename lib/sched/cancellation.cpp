#include "sched/cancellation.hpp"

#include "base/diagnostic.hpp"
#include "base/throw_cancelled.hpp"
#include "sched/describe.hpp"
#include "sched/loop.hpp"

#include <cstdlib>
#include <string>

/// \file
/// Which fibers are cancelled: a tree of scopes, and one flag that the hot paths look at.
///
/// A fiber is in a chain of scopes, innermost first (scope_state::outer), and then in its function as a whole (cancel_called).
/// Of a member of a task group the chain goes on with the scope of that group, which is in the chain of the fiber that
/// opened the group; and so on. Cancellation comes from further out, and stops at a scope that shields. Whether it reaches a fiber is worked
/// out when something changes, for the fiber and all that are in its groups, and kept in `cancel_requested`; that is
/// all that blocking calls look at.
namespace coir::detail {
namespace {

// Cancellation reaches the place in `fiber` around which `scope` is the next.
bool is_reached(const fiber_base* fiber, const scope_state* scope) noexcept {
    for (;; scope = scope->outer) {
        if (!scope || scope->fiber != fiber) { // on the way out, the function of `fiber` is passed here
            if (fiber->cancel_called)
                return true;
            if (!scope)
                return false;
            fiber = scope->fiber;
        }
        if (scope->cancelled)
            return true;
        if (scope->shields)
            return false;
    }
}

// Something has changed for `fiber`, and so perhaps for those in its groups. As deep as groups are nested.
void update_all(fiber_base& fiber) noexcept {
    update_cancellation(fiber);
    for (scope_state* scope = fiber.scope; scope && scope->fiber == &fiber; scope = scope->outer)
        if (scope->members)
            scope->members->for_each([](group_member& member) { update_all(*member.fiber); });
}

// The scope of a task group of the running fiber whose failure is why its calls fail.
scope_state* find_failed_group(const fiber_base& running) noexcept {
    for (scope_state* scope = running.scope; scope && scope->fiber == &running && !scope->shields; scope = scope->outer)
        if (scope->cancelled && scope->failure && is_cause_of_cancellation(*scope))
            return scope;
    return nullptr;
}

bool is_handling_an_exception() noexcept {
    return thread_exceptions().caught_exceptions != nullptr;
}

} // namespace

void update_cancellation(fiber_base& fiber) noexcept {
    fiber.cancel_requested = is_reached(&fiber, fiber.scope);
    if (!fiber.cancel_requested)
        fiber.cancel_thrown = false;
    // As cancellation_due(), of a fiber that is not running: its exceptions are in its control block.
    else if (fiber.waiting && (fiber.is_plain || fiber.uncaught_exceptions == 0))
        fiber.owner->wake(*fiber.waiting, wake_reason::cancelled);
}

void cancel(fiber_base& fiber) noexcept {
    if (fiber.finished || fiber.cancel_called)
        return;
    fiber.cancel_called = true;
    update_all(fiber);
}

void throw_cancelled(fiber_base& running, const char* operation) {
    if (scope_state* group = find_failed_group(running)) {
        group->failure_thrown = true;
        std::rethrow_exception(*group->failure);
    }
    // In a handler, the last one may still be passed on.
    if (running.cancel_thrown && !running.swallow_reported && !is_handling_an_exception()) {
        running.swallow_reported = true;
        report(describe(running) +
               " was cancelled, has not passed on coir::cancelled (is there a catch (...) without throw?), " +
               "and now calls " + operation);
    }
    running.cancel_thrown = true;
    throw_cancelled();
}

void enter_scope(scope_state& scope, deadline until) {
    loop& here = loop::of_running_fiber("cancel_scope");
    fiber_base& running = here.running();
    scope.fiber = &running;
    if (until <= deadline::passed())
        scope.cancelled = true;
    else if (!until.is_never())
        here.arm(scope, until);
    scope.outer = running.scope;
    running.scope = &scope;
    update_cancellation(running);
}

cancellation_pause::cancellation_pause() noexcept {
    scope_.shields = true;
    if (loop::current_with_running_fiber())
        enter_scope(scope_, deadline::never());
}

cancellation_pause::~cancellation_pause() {
    if (scope_.fiber)
        leave_scope(scope_);
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
    update_cancellation(fiber);
}

void cancel_scope_state(scope_state& scope) noexcept {
    if (scope.cancelled)
        return;
    scope.cancelled = true;
    update_all(*scope.fiber);
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
    return scope.cancelled && (scope.shields || !is_reached(scope.fiber, scope.outer));
}

} // namespace coir::detail
