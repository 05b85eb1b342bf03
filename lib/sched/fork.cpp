#include "sched/fork.hpp"

#include "sched/loop.hpp"
#include "sched/stall_watch.hpp"
#include "sched/task_group.hpp"

#include <coir/cancelled.hpp>

#include <exception>
#include <mutex>
#include <pthread.h>
#include <type_traits>
#include <utility>

namespace coir::detail {
namespace {

/// All loops of the process.
struct loop_registry {
    std::mutex mutex; // held across fork(), so that the child finds the list whole
    intrusive_list<fork_registration> loops;
    intrusive_list<fiber_base> dropped; // fibers without a handle: nobody owns them any more
};

constinit loop_registry registry;
static_assert(std::is_trivially_destructible_v<loop_registry>); // threads may run loops while main() returns

[[maybe_unused]] const int fork_handlers =
    ::pthread_atfork([] { registry.mutex.lock(); }, [] { registry.mutex.unlock(); }, loop::after_fork_in_child);

} // namespace

constinit thread_local loop* loop::forked_ = nullptr;

fork_registration::fork_registration(loop& registered) : loop_(registered) {
    const std::lock_guard lock{registry.mutex};
    registry.loops.push_back(*this);
}

fork_registration::~fork_registration() {
    const std::lock_guard lock{registry.mutex};
    unlink();
}

void loop::after_fork_in_child() noexcept {
    if (current_) // or a child that has not asked for it forks again
        forked_ = std::exchange(current_, nullptr);
    registry.loops.for_each([](fork_registration& each) {
        if (&each.registered() == forked_)
            return;
        each.registered().driver_.abandon_in_child();
        each.unlink(); // the thread that would do it does not exist, nor will its stack
    });
    registry.mutex.unlock();
}

loop* loop::continued_in_child() noexcept {
    current_ = std::exchange(forked_, nullptr);
    if (current_)
        current_->drop_others();
    return current_;
}

// The running fiber goes on as the first one of the loop: when it has ended, those that it has spawned meanwhile are cancelled,
// and run() returns.
void loop::drop_others() noexcept {
    const std::exception_ptr cancellation = std::make_exception_ptr(cancelled{});
    while (!ready_.empty())
        (void)ready_.pop();
    vacancies_ = 0;
    // Of the timers, those of the scopes that the running fiber is in go on.
    timers_.retain([this](const timer& each) {
        const scope_state* scope = running_ ? running_->scope : nullptr;
        while (scope && scope != &each)
            scope = scope->outer;
        armed_scopes_ -= each.timer_use == timer::use::scope && !scope ? 1 : 0;
        return scope != nullptr;
    });
    // Threads that were in the middle of posting do not exist here; what they had posted was for fibers that are dropped.
    posting_.store(0, std::memory_order_relaxed);
    inbox_.take_all([](shared_wait&) {});
    sleeping_.store(false, std::memory_order_relaxed);
    // The records stay in the lists of what they wait for, and the stacks stay where they are. Being claimed, they wake nobody.
    fibers_.for_each([](fiber_base& fiber) {
        if (wait_record* const record = std::exchange(fiber.waiting, nullptr))
            record->reason.store(wake_reason::cancelled, std::memory_order_relaxed);
    });
    fibers_.for_each([&](fiber_base& fiber) {
        if (&fiber == running_)
            return;
        fiber.give_up(true);
        fiber.unlink();
        --fiber_count_;
        fiber.finished = true;
        fiber.failure = cancellation;
        if (!fiber.has_handle)
            registry.dropped.push_back(fiber);
    });
    // Nor does it wait for the members of its task groups.
    for (scope_state* scope = running_ ? running_->scope : nullptr; scope; scope = scope->outer)
        if (scope->group && scope->fiber == running_)
            drop_members(*scope->group);
    if (running_)
        main_ = running_;
    round_end_ = ready_.pushed();
    driver_.continue_in_child();
    if (stalls_)
        stalls_->continue_in_child();
}

} // namespace coir::detail
