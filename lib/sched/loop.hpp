#pragma once

#include "base/adaptive_spin.hpp"
#include "base/block_pool.hpp"
#include "base/ring.hpp"
#include "context/switch.hpp"
#include "sched/cancellation.hpp"
#include "sched/fiber_main.hpp"
#include "sched/fork.hpp"
#include "sched/inbox.hpp"
#include "sched/loop_driver.hpp"
#include "sched/timer_queue.hpp"
#include "stack/stack_pools.hpp"

#include <coir/deadline.hpp>
#include <coir/detail/fiber_base.hpp>
#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/wait_record.hpp>
#include <coir/run.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>

/// \file
/// The scheduler of one thread: ready queue, timers, driver, and the one way to wait.
///
/// States of a fiber, and who moves it:
///
///     spawned --next()--> running --park()--> parked --wake()--> ready --next()--> running
///                            |  \--yield()--> ready
///                            \--its function ends--> finished
///
/// A spawned fiber is in the ready queue and has no stack yet; next() gives it one. Parked is: a wait record on the
/// fiber's own stack, fiber_base::waiting points at it. Ready is: in the ready queue, exactly once.
///
/// Switches go from fiber to fiber directly. The thread's own stack, where run() was called, holds drive(): it is
/// switched to when no fiber is ready, and after a slice of switches so that IO and timers get their turn. It alone
/// calls the driver; the driver's callbacks only wake. So nothing ever switches from inside a wake, and user code never
/// runs on the thread's own stack.
///
/// Everything here belongs to the loop's thread, but for post(): what other threads do to a loop is told in
/// shared_wait.cpp.
namespace coir::detail {

class stack_statistics;
class stall_watch;

/// Stands in the ready queue in the place of a fiber that has been taken out.
struct vacancy final : fiber_base {
    vacancy() noexcept { stack_pointer = nullptr; }
    void call() override {}
    void discard_result() noexcept override {}
    void give_up(bool /*in_child*/) noexcept override {}
};

class loop {
public:
    loop(loop_driver& driver, const loop_options& options);
    ~loop();
    loop(const loop&) = delete;
    loop& operator=(const loop&) = delete;

    /// The loop that runs on this thread, or null.
    [[nodiscard]] static loop* current() noexcept { return current_ ? current_ : continued_in_child(); }
    /// The loop whose fiber is calling; std::logic_error naming `operation` if there is none.
    [[nodiscard, gnu::always_inline]] static loop& of_running_fiber(const char* operation) {
        loop* here = current();
        if (!here || !here->running_) [[unlikely]]
            throw_outside_loop(operation);
        return *here;
    }

    /// As of_running_fiber(), but null.
    [[nodiscard]] static loop* current_with_running_fiber() noexcept {
        loop* here = current();
        return here && here->running_ ? here : nullptr;
    }

    /// Runs `main` and everything spawned meanwhile to the end, or to the end of the shutdown deadline: then it
    /// is_abandoned(), and must not be destroyed.
    void run(fiber_base& main);
    [[nodiscard]] bool is_abandoned() const noexcept { return abandoned_; }
    /// Of this process, so far: their fibers hold for ever what they hold.
    [[nodiscard]] static bool was_any_abandoned() noexcept { return any_abandoned_.load(std::memory_order_relaxed); }

    /// spawn_fiber().
    static void spawn(fiber_base& fiber, const spawn_parameters& parameters);

    /// Suspends the running fiber until a source claims `record`, and says which. The caller has entered the record
    /// where its sources look. When wait() returns the record is in none of them.
    ///
    /// Without waiting: `cancelled` if the fiber is cancelled already, `timed_out` if `until` is deadline::passed().
    [[gnu::always_inline]] wake_reason wait(wait_record& record, deadline until) {
        park(record, until);
        return end_wait(record);
    }

    /// The two halves of wait(). Both are inlined, as is all on the way from a blocking call to the switch: a frame that
    /// returns after the switch costs a misprediction (docs/scheduler.md). Where even one matters, park() is the last
    /// thing a function does, hence a jump, and its caller ends the wait.
    [[gnu::always_inline]] void park(wait_record& record, deadline until) {
        if (enter_wait(record, until)) [[likely]]
            return switch_to_next(*running_);
    }
    [[gnu::always_inline]] wake_reason end_wait(wait_record& record) noexcept;

    /// park_until_end(): park(), among the joiners of `fiber`, until it has ended. One that has not started runs now, in the
    /// turn of the running fiber, and when it has run to its end, which gets the turn back: so a fiber that does not wait costs
    /// its joiner no more than a call would, and those who spawn and join in their turn come to an end before others are begun,
    /// which would need stacks. A fiber that waits, or a slice that ends, puts everybody into the ready queue as usual.
    static void join(wait_record& record, fiber_base& fiber, deadline until);

    /// park() and the first half of end_wait(), for a shared record.
    void park_shared(shared_wait& record, deadline until) noexcept;
    void end_shared(shared_wait& record) noexcept {
        if (record.timer_index != timer::no_timer)
            timers_.disarm(record);
    }

    /// Claims `record` for `reason` and makes its fiber ready; false if another source was first. Never switches.
    bool wake(wait_record& record, wake_reason reason) noexcept {
        if (record.scope != wait_scope::local) [[unlikely]]
            return wake_shared(record, reason);
        if (record.reason.load(std::memory_order_relaxed) != wake_reason::none)
            return false;
        record.reason.store(reason, std::memory_order_relaxed);
        make_ready(record);
        return true;
    }

    /// The fiber that waits with `record`, a claimed one, goes on when its turn comes.
    void make_ready(wait_record& record) noexcept {
        record.owner->waiting = nullptr;
        ready_.push(record.owner);
    }

    /// As make_ready(), for a fiber that may not have parked yet: then it will not.
    void make_ready_shared(shared_wait& record) noexcept {
        if (record.owner->waiting != &record) [[unlikely]]
            return record.delivered.store(true, std::memory_order_relaxed);
        make_ready(record);
    }

    /// As make_ready_shared(), from another thread.
    void post(shared_wait& record) noexcept;

    /// Puts the running fiber at the end of the ready queue and runs the next. Does not look at cancellation.
    void yield() noexcept;

    /// A blocking call has succeeded without waiting. After many in a row the fiber yields here, so that one whose
    /// calls always succeed does not starve the others (hazard E11). May suspend.
    [[gnu::always_inline]] void spend(int switches) {
        slice_ -= switches;
        if (slice_ < 0) [[unlikely]]
            yield();
    }

    /// Whether a blocking call must fail at its beginning, since the running fiber's cancellation is due. One that calls again
    /// and again nevertheless does not keep the thread to itself, so that the shutdown deadline can pass. May suspend.
    [[nodiscard, gnu::always_inline]] bool refuses() noexcept {
        if (!cancellation_due(*running_)) [[likely]]
            return false;
        refuse();
        return true;
    }

    /// Sees to it that `scope`, which has no timer yet, is cancelled at `until`.
    void arm(scope_state& scope, deadline until);
    void disarm(scope_state& scope) noexcept;

    [[nodiscard]] fiber_base& running() const noexcept { return *running_; }
    [[nodiscard]] loop_driver& driver() const noexcept { return driver_; }
    [[nodiscard]] block_pool& blocks() noexcept { return blocks_; }
    [[nodiscard]] std::size_t fiber_count() const noexcept { return fiber_count_; }

    /// For a signal handler: `fiber` is what this thread runs.
    [[nodiscard]] static bool is_running(const void* fiber) noexcept { return current_ && current_->running_ == fiber; }

    /// For the handler of a stall_watch, on this thread. Never a fiber that is gone; null: none runs.
    [[nodiscard]] const fiber_base* running_now() const noexcept { return running_; }
    /// Changes whenever a fiber begins to run, before running_now() does: by a pop, or by a step of the slice, when a join lends its
    /// turn.
    [[nodiscard]] std::size_t slices_begun() const noexcept {
        return (ready_.popped() << 10) - static_cast<std::size_t>(slice_);
    }
    [[nodiscard]] bool is_sleeping() const noexcept { return sleeping_.load(std::memory_order_relaxed); }

    /// `watch` is told when the loop may have slept, and in a child of fork(); null: nobody.
    void watch_stalls(stall_watch* watch) noexcept { stalls_ = watch; }

    /// As in every child of fork(): see fork.hpp.
    static void after_fork_in_child() noexcept;

    [[nodiscard]] bool measures_stacks() const noexcept { return ended_stacks_ != nullptr; }
    /// Of the fibers that exist, and of those that have ended if that was asked for.
    [[nodiscard]] stack_statistics measured_stacks();
    /// Adds those of the fibers that exist now.
    void count_stacks_in_use(stack_statistics& statistics);

private:
    friend void fiber_main(void* argument);

    [[noreturn]] static void throw_outside_loop(const char* operation);
    void refuse() noexcept;

    [[nodiscard]] bool has_room_for_one_more() const noexcept;
    [[gnu::noinline]] static void spawn_prepared(fiber_base& fiber, const spawn_parameters& parameters);
    void prepare_and_add(fiber_base& fiber, const spawn_parameters& parameters);
    void add(fiber_base& fiber, stack_pool& stacks);
    [[nodiscard, gnu::always_inline]] bool enter_wait(wait_record& record, deadline until);
    [[nodiscard]] execution& next() noexcept;
    [[nodiscard, gnu::always_inline]] fiber_base& pop_ready() noexcept;
    [[gnu::always_inline]] void switch_to_next(fiber_base& self) noexcept;
    void switch_to_any(fiber_base& self) noexcept;
    [[gnu::always_inline]] void leave_with(shared_wait& record, fiber_base& self) noexcept;
    [[gnu::noinline]] void park_shared_or_end(shared_wait& record, deadline until) noexcept;
    static bool wake_shared(wait_record& record, wake_reason reason) noexcept;
    void take_posted() noexcept;
    [[nodiscard, gnu::always_inline]] bool start(fiber_base& fiber) noexcept;
    [[gnu::always_inline]] void start_on(stack fresh, fiber_base& fiber) noexcept;
    [[gnu::cold]] void start_failed(fiber_base& fiber) noexcept;
    [[nodiscard, gnu::always_inline]] fiber_base* finish(fiber_base& fiber) noexcept;
    [[gnu::noinline]] void announce_end(fiber_base& fiber) noexcept;
    [[nodiscard, gnu::always_inline]] fiber_base* take_lender(fiber_base& ended) noexcept;
    void wake_joiners(fiber_base& ended) noexcept;
    [[nodiscard]] void* turn() const noexcept { return reinterpret_cast<void*>(ready_.popped()); }
    [[gnu::noinline]] static void join_otherwise(wait_record& record, fiber_base& fiber, deadline until);
    void park_until_end(wait_record& record, fiber_base& fiber, deadline until);
    [[nodiscard]] bool has_just_spawned(const fiber_base& fiber) const noexcept;
    void take_newest_out_of_queue() noexcept;
    [[nodiscard]] bool take_out_of_queue(fiber_base& unstarted) noexcept;
    [[gnu::always_inline]] void lend_turn(wait_record& record, fiber_base& self, fiber_base& fiber) noexcept;
    void skip_vacancies() noexcept;
    [[noreturn, gnu::always_inline]] void run_fibers();
    void drive();
    void measure_slice(loop_time now) noexcept;
    void poll();
    bool is_time_to_look(loop_time now) noexcept;
    void sleep_until(loop_time until);
    [[nodiscard]] bool has_memory_to_spare() const noexcept;
    loop_time give_memory_back(loop_time now, std::size_t stacks_at_once) noexcept;
    void fire_timers(loop_time now) noexcept;
    void cancel_all() noexcept;
    [[nodiscard]] bool is_deadlocked() noexcept;
    void report_fibers(std::string_view heading) noexcept;
    loop_time search_cycles(loop_time now) noexcept;
    [[gnu::cold]] static loop* continued_in_child() noexcept;
    void drop_others() noexcept;

    // What more fibers than these touch at a switch (a line of the control block, two or three of the stack) no longer fits
    // the first-level cache: it is fetched ahead, by so many places in the queue. Those whose events ev_driver delivers at once, no more
    // than these, it has fetched already.
    static constexpr std::size_t prefetch_least = 64;
    static constexpr std::size_t prefetch_control_block = 12;
    static constexpr std::size_t prefetch_stack = 6;

    static constinit thread_local loop* current_;
    static constinit thread_local loop* forked_; // what current_ was, in the child of a fork(), until it is asked for
    static constinit std::atomic<bool> any_abandoned_;

    // What a switch touches comes first and fits one cache line.
    ring<fiber_base> ready_;        // every fiber at most once
    fiber_base* running_ = nullptr; // null while drive() runs
    exception_globals& exceptions_; // of the thread
    int& errno_;                    // of the thread; its value is the running fiber's (hazard D2)
    int slice_ = 0;                 // switches left before drive() looks at the clock
    execution driving_;             // the thread's own stack

    loop_driver& driver_;
    timer_queue timers_;
    int slice_length_;                 // what slice_ begins with
    loop_time slice_began_ = for_ever; // for_ever: nobody has looked
    loop_time last_look_ = 0;          // when drive() last looked at the clock without having slept
    std::size_t round_end_ = 0; // when so many have been popped, all who were ready at the last look at IO have run
    vacancy vacancy_;
    std::size_t vacancies_ = 0; // how often it is in the ready queue
    stack_pools stacks_;
    block_pool blocks_;
    intrusive_list<fiber_base> fibers_; // all that have not finished
    std::size_t fiber_count_ = 0;
    std::uint64_t next_id_ = 0;
    std::uint64_t last_id_ = 0; // of the block of ids this loop has taken
    execution ended_;           // where the registers of a finished fiber go
    std::size_t armed_scopes_ = 0;
    const fiber_base* main_ = nullptr;
    std::size_t pooled_stacks_;
    std::chrono::nanoseconds shutdown_time_;
    loop_time shutdown_end_ = for_ever;
    bool shutting_down_ = false;
    bool waits_for_fiber_ = false; // somebody has begun to wait for another fiber since the last search for cycles
    loop_time next_search_ = 0;
    bool deadlocked_ = false; // all fibers waited for each other, and were cancelled for that
    bool abandoned_ = false;  // the shutdown deadline has passed

    adaptive_spin spin_; // for what comes through the inbox

    // Shared with other threads.
    inbox inbox_;
    std::atomic<bool> sleeping_{false}; // set by the loop before it sleeps, taken back by the first that posts
    std::atomic<unsigned> posting_{0};  // threads inside post()

    std::unique_ptr<stack_statistics> ended_stacks_; // null: not asked for
    stall_watch* stalls_ = nullptr;                  // null: not asked for
    fork_registration fork_registration_{*this};
};

/// run_loop() on a driver of the caller's. False: fibers were given up, and the driver must outlive them, which is for ever.
bool run_loop_on(loop_driver& driver, fiber_base& main, const loop_options& options);

inline fiber_base& loop::pop_ready() noexcept {
    fiber_base* fiber = ready_.pop();
    if (ready_.size() > prefetch_least) {
        __builtin_prefetch(&ready_.peek(prefetch_control_block)->stack_pointer);
        const auto stack = reinterpret_cast<std::uintptr_t>(ready_.peek(prefetch_stack)->stack_pointer); // may be none
        __builtin_prefetch(reinterpret_cast<const void*>(stack));
        __builtin_prefetch(reinterpret_cast<const void*>(stack + 64));
    }
    return *fiber;
}

inline void loop::start_on(stack fresh, fiber_base& fiber) noexcept {
    fiber.stack = fresh.bottom;
    fiber.is_plain = true;
    sanitizer::fresh_stack(fiber, fresh.bottom, fresh.size());
    fiber.stack_pointer = make_first_frame(fresh.bottom, fresh.top, fiber.control_words, fiber_main, this);
}

// Gives a spawned fiber its stack. False: it could not have one, and has ended with that as its failure.
inline bool loop::start(fiber_base& fiber) noexcept {
    try {
        start_on(fiber.stacks->allocate(&fiber), fiber);
        return true;
    } catch (...) {
        start_failed(fiber);
        return false;
    }
}

// Who has lent `ended` the turn, and gets it back; it is no longer among the joiners. Else null. It would be the last of them: they
// come while others run, and then the turn has changed.
inline fiber_base* loop::take_lender(fiber_base& ended) noexcept {
    if (ended.joiners.empty() || slice_ <= 0)
        return nullptr;
    wait_record& last = ended.joiners.back();
    if (last.value != turn() || last.reason.load(std::memory_order_relaxed) != wake_reason::none)
        return nullptr;
    last.unlink();
    last.reason.store(wake_reason::notified, std::memory_order_relaxed);
    last.owner->waiting = nullptr;
    return last.owner;
}

// What is rare, a function that returns before the switch, is behind a jump to switch_to_any(): a call here would make
// every caller save registers for it, which the switch then saves once more.
inline void loop::switch_to_next(fiber_base& self) noexcept {
    self.saved_errno = errno_;
    if (ready_.empty() || slice_ <= 0 || !ready_.peek(0)->is_plain) [[unlikely]]
        return switch_to_any(self);
    --slice_;
    fiber_base& to = pop_ready();
    if (&to == &self) [[unlikely]] // yields and is alone, see switch_to_any()
        return;
    running_ = &to;
    errno_ = to.saved_errno;
    return switch_stacks(exceptions_, self, to);
}

// False: the wait is over before it has begun.
inline bool loop::enter_wait(wait_record& record, deadline until) {
    fiber_base& self = *running_;
    record.owner = &self;
    if (cancellation_due(self)) [[unlikely]] {
        record.reason.store(wake_reason::cancelled, std::memory_order_relaxed);
        refuse();
        return false;
    }
    if (!until.is_never()) {
        if (until <= deadline::passed()) {
            record.reason.store(wake_reason::timed_out, std::memory_order_relaxed);
            return false;
        }
        timers_.arm(record, until.time().time_since_epoch().count());
    }
    self.waiting = &record;
    return true;
}

inline wake_reason loop::end_wait(wait_record& record) noexcept {
    if (record.timer_index != timer::no_timer)
        timers_.disarm(record);
    if (record.is_linked())
        record.unlink();
    return record.reason.load(std::memory_order_relaxed);
}

inline void loop::yield() noexcept {
    fiber_base& self = *running_;
    ready_.push(&self); // there is room: it was in the queue before
    return switch_to_next(self);
}

} // namespace coir::detail
