#include <coir/task_group.hpp>

#include "base/diagnostic.hpp"
#include "sched/describe.hpp"
#include "sched/fiber_storage.hpp"
#include "sched/loop.hpp"

#include <exception>
#include <string>
#include <utility>

namespace coir::detail {
namespace {

// One waiting of the running fiber in `list`; it may have to wait once more.
wake_reason wait_in(intrusive_list<wait_record>& list, const task_group_state& group) {
    wait_record record{wait_kind::task_group, &group};
    list.push_back(record);
    return loop::current()->wait(record, deadline::never());
}

void wake_all(intrusive_list<wait_record>& list) noexcept {
    while (!list.empty())
        loop::current()->wake(list.pop_front(), wake_reason::notified);
}

void await_members(task_group_state& group) {
    const cancellation_pause members_are_told;
    while (group.running != 0)
        wait_in(group.waiting_for_end, group);
}

[[noreturn]] void throw_failure(const task_group_state& group) {
    set_current_exception_group(exception_group{group.failures});
    std::rethrow_exception(group.first_failure);
}

// The scope is being left by an exception. If it is the group's own failure, thrown by a blocking call, whoever handles it
// finds all of them; if it is another, it is none of the group's, and theirs must not disappear.
void keep_failures(const task_group_state& group) {
    set_current_exception_group(exception_group{group.failures});
    if (group.scope.failure_thrown)
        return;
    for (const std::exception_ptr& failure : group.failures)
        report("a member of a task group that " + describe(*group.scope.fiber) +
               " left by another exception failed: " + describe_failure(failure));
}

} // namespace

task_group_state::task_group_state() : exceptions_at_start(std::uncaught_exceptions()) {
    enter_scope(scope, deadline::never());
    scope.members = &members;
}

task_group_state::~task_group_state() {
    leave_scope(scope);
}

void await_place(task_group_state& group, std::size_t most) {
    fiber_base& running = loop::of_running_fiber("task_group::spawn").running();
    bool may_try = group.waiting_for_place.empty();
    for (;;) {
        if (running.cancel_requested && cancellation_due(running))
            throw_cancelled(running, "task_group::spawn");
        if (group.running < most && may_try)
            return;
        wait_in(group.waiting_for_place, group);
        may_try = true;
    }
}

void add_member(task_group_state& group, group_member& member, fiber_base& fiber, const spawn_parameters& parameters) {
    group.failures.reserve(group.failures.size() + group.running + 1);
    spawn_fiber(fiber, parameters);
    fiber.has_handle = false;
    member.fiber = &fiber;
    group.members.push_back(member);
    ++group.running;
    fiber.scope = &group.scope;
    update_cancellation(fiber);
}

void remove_member(task_group_state& group, group_member& member, std::exception_ptr failure) noexcept {
    member.unlink();
    --group.running;
    if (failure) {
        group.failures.push_back(std::move(failure)); // has room: see add_member()
        if (!group.first_failure) {
            group.first_failure = group.failures.front();
            group.scope.failure = &group.first_failure;
        }
        cancel_scope_state(group.scope);
    }
    wake_all(group.waiting_for_place);
    if (group.running == 0)
        wake_all(group.waiting_for_end);
}

void join_group(task_group_state& group) {
    fiber_base& running = loop::of_running_fiber("task_group::join").running();
    await_members(group);
    if (group.first_failure) {
        group.failure_thrown = group.scope.failure_thrown = true;
        throw_failure(group);
    }
    if (running.cancel_requested && cancellation_due(running))
        throw_cancelled(running, "task_group::join");
}

void close_group(task_group_state& group) {
    const bool unwinding = std::uncaught_exceptions() > group.exceptions_at_start;
    if (unwinding)
        cancel_scope_state(group.scope);
    await_members(group);
    if (!group.first_failure)
        return;
    if (unwinding)
        keep_failures(group);
    else if (!group.failure_thrown)
        throw_failure(group);
}

} // namespace coir::detail
