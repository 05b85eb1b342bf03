#include "sched/task_group.hpp"

#include "base/diagnostic.hpp"
#include "sched/cancellation.hpp"
#include "sched/describe.hpp"
#include "sched/fiber_storage.hpp"
#include "sched/loop.hpp"

#include <bit>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace coir::detail {
namespace {

// One waiting of the running fiber in `list`; it may have to wait once more.
wake_reason wait_in(intrusive_list<wait_record>& list, const task_group_state& group) {
    wait_record record{wait_kind::task_group, &group};
    list.push_back(record);
    return loop::current()->wait(record, deadline::never());
}

// False: the running fiber has been cancelled before.
bool await_members(task_group_state& group) {
    while (group.running != 0)
        if (wait_in(group.waiting_for_end, group) == wake_reason::cancelled)
            return false;
    return true;
}

void await_members_to_the_end(task_group_state& group) {
    const cancellation_pause members_are_told;
    await_members(group);
}

// False: a scope inside that of the group has been cancelled, of which the members know nothing.
bool await_members_for_join(task_group_state& group) {
    const outer_cancellation_pause members_are_told{group.scope};
    return await_members(group);
}

// A place is promised, not only announced: otherwise one who comes while those who wait are still on their way would be
// faster, and one who comes often would always be.
void give_places(task_group_state& group) noexcept {
    while (!group.waiting_for_place.empty() && group.running + group.promised < group.most)
        if (loop::current()->wake(group.waiting_for_place.pop_front(), wake_reason::notified))
            ++group.promised;
}

[[noreturn]] void throw_misuse(const task_group_state& group, const fiber_base& running, const char* operation) {
    throw std::logic_error(std::string{"coir: "} + operation + " by " + describe(running) + " on a task group of " +
                           describe(*group.scope.fiber));
}

// For `more` failures.
void make_room(task_group_state& group, std::size_t more) {
    const std::size_t most = group.failures.size() + more;
    if (group.failures.capacity() < most)
        group.failures.reserve(std::bit_ceil(most));
}

bool is_member(const fiber_base& fiber, const task_group_state& group) noexcept {
    return find_membership(fiber) == &group.scope;
}

// A deadline will end what it waits for.
bool has_deadline(const fiber_base& fiber) noexcept {
    for (const scope_state* scope = fiber.scope; scope; scope = scope->outer)
        if (scope->timer_index != timer::no_timer)
            return true;
    return false;
}

// All members, `running` being the last, wait for a place, and for ever: only a member that ends gives one up. Those that have been
// woken meanwhile do not; and the opener allows no more of them, since it waits here, too, and for ever.
bool all_wait_for_place(task_group_state& group, const fiber_base& running) noexcept {
    const wait_record* const opener = group.scope.fiber->waiting;
    if (group.promised != 0 || group.members_waiting != group.running || !opener || opener->object != &group ||
        has_deadline(running) || has_deadline(*group.scope.fiber))
        return false;
    std::size_t waiting = 0;
    group.waiting_for_place.for_each([&](const wait_record& record) {
        if (record.reason.load(std::memory_order_relaxed) == wake_reason::none && is_member(*record.owner, group) &&
            !has_deadline(*record.owner))
            ++waiting;
    });
    return waiting + 1 == group.running;
}

wake_reason wait_for_place(task_group_state& group, const fiber_base& running) {
    if (!is_member(running, group))
        return wait_in(group.waiting_for_place, group);
    struct counted {
        explicit counted(std::size_t& number) noexcept : number_(++number) {}
        ~counted() { --number_; }
        std::size_t& number_;
    };
    const counted until_it_goes_on{group.members_waiting};
    if (all_wait_for_place(group, running))
        throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                                "coir: task_group::spawn by " + describe(running) + ": all places (" +
                                    std::to_string(group.running) +
                                    ") are taken by members that wait here for one more");
    return wait_in(group.waiting_for_place, group);
}

// The member's failure, and if a task group inside the member has thrown it, those that this one carries along.
void keep_failure(task_group_state& group, const std::exception_ptr& failure) noexcept {
    group.failures.push_back(failure); // has room: see add_member()
    try {
        for (const std::exception_ptr& each : find_exception_group(failure))
            if (each != failure) {
                make_room(group, group.running + 1); // those who still run keep theirs
                group.failures.push_back(each);
            }
    } catch (const std::bad_alloc&) { // the most important one is kept
    }
}

// The scope is being left by another exception, or the failures have been thrown already: these must not disappear.
void report_failures(const task_group_state& group) noexcept {
    for (std::size_t i = group.failures_thrown; i < group.failures.size(); ++i)
        report(
            [&] {
                return "a member of a task group of " + describe(*group.scope.fiber) +
                       " failed, which is thrown nowhere: " + describe_failure(group.failures[i]);
            },
            "a member of a task group failed, which is thrown nowhere");
}

} // namespace

task_group_state::task_group_state() : exceptions_at_start(std::uncaught_exceptions()) {
    enter_scope(scope, deadline::never(), "task_group");
    scope.group = this;
    scope.reached = scope.fiber->cancel_requested && reaches_members(scope);
}

task_group_state::~task_group_state() {
    leave_scope(scope);
}

group_place::group_place(task_group_state& group, std::size_t most) : group_(group) {
    loop& here = loop::of_running_fiber("task_group::spawn");
    fiber_base& running = here.running();
    if (&here != group.scope.fiber->owner)
        throw_misuse(group, running, "task_group::spawn, in another loop,");
    if (most == 0)
        throw std::invalid_argument("coir: a task group with max_concurrent = 0 could never start a member");
    if (here.refuses())
        throw_cancelled(running, "task_group::spawn");
    group.most = most;
    give_places(group);                        // there may be more now
    if (group.running + group.promised < most) // then nobody waits
        ++group.promised;
    else if (wait_for_place(group, running) == wake_reason::cancelled)
        throw_cancelled(running, "task_group::spawn");
}

group_place::~group_place() {
    --group_.promised;
    give_places(group_);
}

void add_member(task_group_state& group, group_member& member, fiber_base& fiber, const spawn_parameters& parameters) {
    make_room(group, group.running + 1);
    spawn_fiber(fiber, parameters);
    fiber.has_handle = false;
    member.fiber = &fiber;
    group.members.push_back(member);
    ++group.running;
    fiber.scope = &group.scope;
    fiber.cancel_called = false; // while the loop shuts down, too: it is cancelled if the opener is
    update_cancellation(fiber);
}

void remove_member(task_group_state& group, group_member& member, const std::exception_ptr& failure) noexcept {
    fiber_base& ended = *std::exchange(member.fiber, nullptr);
    if (ended.storage && ended.stack)
        destroy_locals(ended); // now, and not when everybody believes that it has ended
    member.unlink();
    --group.running;
    if (failure && (ended.stack || !group.ignores_those_not_begun)) {
        keep_failure(group, failure);
        cancel_scope_state(group.scope);
    }
    give_places(group);
    if (group.running == 0)
        while (!group.waiting_for_end.empty())
            loop::current()->wake(group.waiting_for_end.pop_front(), wake_reason::notified);
}

void drop_members(task_group_state& group) noexcept {
    while (!group.members.empty())
        group.members.pop_front().fiber = nullptr;
    group.running = 0;
    group.promised = 0;
}

void throw_failure(task_group_state& group) {
    group.failure_was_thrown = true;
    set_current_exception_group(group.failures);
    std::rethrow_exception(group.failures.front());
}

void join_group(task_group_state& group) {
    fiber_base& running = loop::of_running_fiber("task_group::join").running();
    if (&running != group.scope.fiber) // a member would wait for itself
        throw_misuse(group, running, "task_group::join");
    if (!await_members_for_join(group)) {
        if (!group.scope.reached)
            throw_cancelled(running, "task_group::join");
        await_members_to_the_end(group);
    }
    if (!group.failures.empty()) {
        group.failures_thrown = group.failures.size();
        throw_failure(group);
    }
    if (is_cause_of_cancellation(group.scope))
        end_cancellation(group.scope); // by task_group::cancel(): it ends where the group does
    else if (cancellation_due(running))
        throw_cancelled(running, "task_group::join");
}

void close_group(task_group_state& group) {
    const bool unwinding = std::uncaught_exceptions() > group.exceptions_at_start;
    if (unwinding)
        cancel_scope_state(group.scope);
    await_members_to_the_end(group);
    if (group.failures.size() == group.failures_thrown)
        return;
    if (!unwinding && group.failures_thrown == 0)
        throw_failure(group);
    // If what leaves is the first failure, thrown by a blocking call, then whoever handles it finds all of them.
    if (group.failure_was_thrown && group.failures_thrown == 0)
        set_current_exception_group(group.failures);
    else
        report_failures(group);
}

} // namespace coir::detail
