#include "sched/loop.hpp"

#include "base/diagnostic.hpp"
#include "base/single_threaded.hpp"
#include "context/floating_point.hpp"
#include "sched/describe.hpp"
#include "sched/fiber_main.hpp"
#include "sched/fiber_storage.hpp"
#include "sched/shared_wait.hpp"
#include "sched/stack_statistics.hpp"
#include "sched/stacks_at_exit.hpp"
#include "sched/stall_watch.hpp"
#include "sched/wait_graph.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

namespace coir::detail {
namespace {

// After this many switches drive() looks at the clock, and when it did so poll_interval ago, fires timers and, once all
// who were ready at the last look at IO have had their turn, looks at IO again. So timers and IO are not starved by fibers
// that yield to each other, and a switch costs a quarter of a nanosecond more. Looking at IO more often than once a
// round would gain nothing, as what it finds queues up behind the others; and it costs: epoll reports a descriptor
// each time, until its fiber has had its turn.
//
// Where fibers compute for long between their switches, so many would take too long: a slice that has taken more than
// longest_slice makes the next one shorter, down to one switch, and one that has taken less than a quarter of it makes it longer again.
// What those will do who have just been woken nobody knows: so the first slice of all, and the first one after a sleep, are short ones.
constexpr int switches_per_slice = 256;
constexpr int switches_per_first_slice = 16;
constexpr loop_time poll_interval = 50'000;
constexpr loop_time longest_slice = 200'000;

#ifdef COIR_RANDOM_SLICES
// For tests, the same in each run: a call that may yield does so now and then, wherever it is (-Dslices=random).
int next_slice(int longest) noexcept {
    constinit static thread_local std::uint32_t state = 1;
    state = state * 1'664'525 + 1'013'904'223;
    return std::min(longest, static_cast<int>(state >> 29)); // 0 to 7
}
#else
constexpr int next_slice(int longest) noexcept {
    return longest;
}
#endif

// How much memory goes back to the system at a time: when no fiber is ready, and when the loop looks at the clock while some
// are. A chunk holds the control blocks of some 5,000 fibers, and is as much work as 64 stacks.
constexpr std::size_t stacks_at_once_idle = 64;
constexpr std::size_t stacks_at_once_busy = 8;
constexpr std::size_t chunks_at_once = 1;
constexpr std::size_t spare_chunks = 1;

// Units of a slice that an exception costs, more or less.
constexpr int switches_per_refusal = 64;

// Cycles of fibers that wait for each other are searched when no fiber is ready, so often at most, and only among so many: that
// takes about a millisecond.
constexpr loop_time search_interval = 1'000'000'000;
constexpr std::size_t most_searched = 10'000;

// Ids are handed out to loops in blocks, so that spawning does not contend between threads.
constexpr std::uint64_t ids_per_block = 1024;
constinit std::atomic<std::uint64_t> next_block_of_ids{1};

[[gnu::noinline]] void set_name(fiber_base& fiber, std::string_view name) {
    fiber.name = std::make_unique<char[]>(name.size() + 1);
    std::memcpy(fiber.name.get(), name.data(), name.size());
}

// Of the sanitizer; without memory they have the name of one that ran before.
[[maybe_unused]] void set_name_in_reports(const fiber_base& running) noexcept {
    try {
        sanitizer::set_name(describe(running).c_str());
    } catch (const std::bad_alloc&) {}
}

} // namespace

constinit thread_local loop* loop::current_ = nullptr;
constinit std::atomic<bool> loop::any_abandoned_{false};

loop::loop(loop_driver& driver, const loop_options& options)
    : exceptions_(thread_exceptions()), errno_(errno), driver_(driver), slice_length_(switches_per_first_slice),
      stacks_(options.stack_size, options.guard_size, &fibers_as_owners), pooled_stacks_(options.pooled_stacks),
      shutdown_time_(options.shutdown_deadline) {
    if (current_)
        throw std::logic_error("coir: run() inside run(): this thread already has a loop");
    tune_switch();
    const bool at_exit = stacks_at_exit::are_wanted();
    if (options.measure_stacks || at_exit)
        ended_stacks_ = std::make_unique<stack_statistics>(at_exit);
    current_ = this;
}

loop::~loop() {
    // Whoever posted last may not be back from notifying: see shared_wait.cpp.
    while (posting_.load(std::memory_order_acquire) != 0)
        std::this_thread::yield();
    current_ = nullptr;
}

void loop::throw_outside_loop(const char* operation) {
    throw std::logic_error(std::string{"coir: "} + operation + " was called outside coir::run()");
}

// A fiber is once in the ready queue and has one timer at most: so neither waking nor parking can fail later.
inline bool loop::has_room_for_one_more() const noexcept {
    return fiber_count_ + vacancies_ < ready_.capacity() && fiber_count_ + armed_scopes_ < timers_.capacity();
}

inline void loop::add(fiber_base& fiber, stack_pool& stacks) {
    stacks.promise();
    if (next_id_ == last_id_) [[unlikely]] {
        next_id_ = next_block_of_ids.fetch_add(ids_per_block, std::memory_order_relaxed);
        last_id_ = next_id_ + ids_per_block;
    }
    fiber.id = next_id_++;
    fiber.owner = this;
    fiber.stacks = &stacks;
    fiber.control_words = current_control_words();
    if (shutting_down_) [[unlikely]]
        fiber.cancel_requested = fiber.cancel_called = true;
    fibers_.push_back(fiber);
    ++fiber_count_;
    fiber.place_in_queue = ready_.pushed();
    ready_.push(&fiber);
}

// Strong guarantee: all that can fail comes before anything has happened. It is out of line, behind a jump: so where it is not
// needed no registers are saved for it.
void loop::spawn(fiber_base& fiber, const spawn_parameters& parameters) {
    loop* const here = current_;
    if (here && here->running_ && !here->running_->storage && parameters.name.empty() && parameters.stack_size == 0 &&
        here->has_room_for_one_more() && here->stacks_.of_default_size().can_promise_at_once()) [[likely]]
        return here->add(fiber, here->stacks_.of_default_size());
    return spawn_prepared(fiber, parameters);
}

void loop::spawn_prepared(fiber_base& fiber, const spawn_parameters& parameters) {
    of_running_fiber("spawn()").prepare_and_add(fiber, parameters);
}

void loop::prepare_and_add(fiber_base& fiber, const spawn_parameters& parameters) {
    stack_pool& stacks =
        parameters.stack_size == 0 ? stacks_.of_default_size() : stacks_.of_size(parameters.stack_size);
    ready_.reserve(fiber_count_ + 1 + vacancies_);
    timers_.reserve(fiber_count_ + 1 + armed_scopes_);
    if (!parameters.name.empty())
        set_name(fiber, parameters.name);
    if (!running_ || running_->storage)
        inherit_context(fiber);
    add(fiber, stacks);
}

// The end of a fiber, except for leaving its stack. Frees it if nobody refers to it. Returns who has lent it the turn, and gets
// it back, or null.
inline fiber_base* loop::finish(fiber_base& fiber) noexcept {
    fiber.finished = true;
    fiber.unlink();
    --fiber_count_;
    fiber.stacks->end_promise();
    fiber_base* const lender = take_lender(fiber);
    if (!fiber.joiners.empty() || &fiber == main_ || !fiber.has_handle)
        announce_end(fiber);
    return lender;
}

void loop::announce_end(fiber_base& fiber) noexcept {
    wake_joiners(fiber);
    if (&fiber == main_)
        slice_ = 0; // drive() cancels the others
    if (!fiber.has_handle)
        delete &fiber;
}

void loop::start_failed(fiber_base& fiber) noexcept {
    fiber.failure = std::current_exception();
    if (!fiber.has_handle && !fiber.scope) // a task group is told
        report([&] { return describe(fiber) + ", which is detached, could not start: no stack"; },
               "a detached fiber could not start: no stack");
    (void)finish(fiber); // nobody has lent it a turn
}

execution& loop::next() noexcept {
    for (;;) {
        skip_vacancies();
        if (ready_.empty() && !inbox_.empty())
            take_posted();
        if (ready_.empty() || --slice_ < 0) {
            running_ = nullptr;
            return driving_;
        }
        fiber_base& fiber = pop_ready();
        if (fiber.stack || start(fiber)) {
            running_ = &fiber;
            errno_ = fiber.saved_errno;
            return fiber;
        }
    }
}

[[gnu::hot]] void loop::switch_to_any(fiber_base& self) noexcept {
    execution& to = next();
    // The next may be the same: it yields and is alone, or what it was about to wait for has happened in next(). A switch
    // to the execution that runs is not one: its handle is that of an earlier switch.
    if (&to == &self) [[unlikely]]
        return;
    return switch_stacks(exceptions_, self, to);
}

void loop::skip_vacancies() noexcept {
    while (vacancies_ > 0 && ready_.peek(0) == &vacancy_) {
        (void)ready_.pop();
        --vacancies_;
    }
}

inline void loop::leave_with(shared_wait& record, fiber_base& self) noexcept {
    self.waiting = &record;
    if (record.kind == wait_kind::mutex)
        waits_for_fiber_ = true;
    return switch_to_next(self);
}

void loop::park_shared(shared_wait& record, deadline until) noexcept {
    fiber_base& self = *running_;
    if (record.delivered.load(std::memory_order_relaxed) || self.cancel_requested || !until.is_never()) [[unlikely]]
        return park_shared_or_end(record, until);
    return leave_with(record, self);
}

// Out of line, since it calls what returns before the switch: see switch_to_any().
void loop::park_shared_or_end(shared_wait& record, deadline until) noexcept {
    fiber_base& self = *running_;
    if (record.delivered.load(std::memory_order_relaxed)) [[unlikely]]
        return;
    // Others see the record already. Who finds here that it has been claimed goes on and parks: it is being delivered.
    if (cancellation_due(self) && claim(record, wake_reason::cancelled)) [[unlikely]]
        return refuse();
    if (!until.is_never()) {
        if (until > deadline::passed())
            timers_.arm(record, until.time().time_since_epoch().count());
        else if (claim(record, wake_reason::timed_out))
            return;
    }
    return leave_with(record, self);
}

void loop::refuse() noexcept {
    note_refusal(*running_);
    spend(switches_per_refusal);
}

bool loop::wake_shared(wait_record& record, wake_reason reason) noexcept {
    if (!claim(record, reason))
        return false;
    deliver(record);
    return true;
}

void loop::post(shared_wait& record) noexcept {
    posting_.fetch_add(1, std::memory_order_relaxed);
    inbox_.push(record);
    if (sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false, std::memory_order_seq_cst))
        driver_.notify();
    posting_.fetch_sub(1, std::memory_order_release);
}

void loop::take_posted() noexcept {
    inbox_.take_all([this](shared_wait& record) { make_ready_shared(record); });
}

void loop::arm(scope_state& scope, deadline until) {
    timers_.reserve(fiber_count_ + armed_scopes_ + 1);
    timers_.arm(scope, until.time().time_since_epoch().count());
    ++armed_scopes_;
}

void loop::disarm(scope_state& scope) noexcept {
    timers_.disarm(scope);
    --armed_scopes_;
}

// Members of task groups are cancelled through those who opened them, and helpers through those they work for, who may shield
// them. But when all wait for what will never come, all are cancelled, and every shield.
void loop::cancel_all() noexcept {
    shutting_down_ = true;
    shutdown_end_ = deadline{shutdown_time_}.time().time_since_epoch().count();
    fibers_.for_each([this](fiber_base& fiber) {
        if (deadlocked_)
            cancel_shields(fiber);
        if (deadlocked_ || !(fiber.is_helper || find_membership(fiber)))
            cancel(fiber);
    });
}

// The body of every stack: runs the running fiber, and then, without a switch, fibers that have not started yet and want
// a stack of this size. Leaves the stack when the next fiber has one of its own.
inline void loop::run_fibers() {
    stack_pool& stacks = *running_->stacks;
    std::byte* const stack = running_->stack;
    for (;;) {
        fiber_base& self = *running_;
        if constexpr (sanitizer::enabled)
            set_name_in_reports(self);
        run_function(self);
        (void)current(); // drops the other fibers, if this one has forked and has not called us since
        if (ended_stacks_) [[unlikely]]
            ended_stacks_->count_ended(self);
        exceptions_ = {nullptr, 0}; // whatever it left behind is not the next one's (hazard A3)
        running_ = nullptr;         // finish() may free it, and the handler of a stall_watch looks
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (fiber_base* const lender = finish(self)) {
            --slice_;
            running_ = lender;
            errno_ = lender->saved_errno;
            stacks.deallocate(stack);
            leave_stack(exceptions_, ended_, *lender);
        }
        skip_vacancies();
        fiber_base* heir = ready_.empty() || slice_ <= 0 ? nullptr : ready_.peek(0);
        if (heir && !heir->stack && heir->stacks == &stacks) {
            --slice_;
            running_ = ready_.pop();
            heir->stack = stack;
            heir->is_plain = true;
            stacks.hand_over(stack, heir);
            errno_ = heir->saved_errno;
            set_control_words(heir->control_words);
            continue;
        }
        // next() may start a fiber, on another stack than this one: so this one goes back after it.
        execution& to = next();
        stacks.deallocate(stack);
        leave_stack(exceptions_, ended_, to);
    }
}

void fiber_main(void* argument) {
    auto& here = *static_cast<loop*>(argument);
    sanitizer::after_switch(here.running());
    here.run_fibers();
}

void loop::run(fiber_base& main) {
    main_ = &main;
    prepare_and_add(main, {"main", 0});
    drive();
    if (deadlocked_)
        main.failure = std::make_exception_ptr(
            std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                              "coir::run: all fibers waited for each other (see stderr), and were cancelled"));
}

// What the thread's own stack does.
[[gnu::hot]] void loop::drive() {
    while (fiber_count_ > 0) {
        (void)current(); // as in run_fibers(): a signal handler may have forked
        poll();
        if (abandoned_) {
            any_abandoned_.store(true, std::memory_order_relaxed);
            report_fibers("has not ended by the shutdown deadline, and is given up");
            fibers_.for_each([](fiber_base& fiber) {
                if (fiber.waiting) // on other threads others wait for it as well: it must not be given to this one
                    static_cast<void>(claim(*fiber.waiting, wake_reason::cancelled));
                fiber.give_up(false);
            });
            current_ = nullptr;
            return;
        }
        slice_ = next_slice(slice_length_);
        if (execution& to = next(); &to != &driving_) {
            if (stalls_) [[unlikely]]
                stalls_->resume();
            switch_stacks(exceptions_, driving_, to);
        }
        if (main_->finished && !shutting_down_)
            cancel_all();
    }
}

// The slice that ends `now`, and during which the loop has not slept, tells how long the next one may be.
[[gnu::hot]] void loop::measure_slice(loop_time now) noexcept {
    const loop_time taken = slice_began_ == for_ever ? longest_slice : now - slice_began_;
    if (taken > longest_slice)
        slice_length_ = static_cast<int>(std::max<loop_time>((slice_length_ - slice_) * longest_slice / taken, 1));
    else if (taken < longest_slice / 4)
        slice_length_ = std::min(4 * slice_length_, switches_per_slice);
    slice_began_ = now;
}

// Lets the driver look for IO, and waits there if no fiber is ready, and none is left of those for whom it found something; then
// fires timers.
[[gnu::hot]] void loop::poll() {
    if (!inbox_.empty())
        take_posted();
    if (ready_.empty() && driver_.wake_more()) {
        const loop_time now = driver_.now();
        measure_slice(now);
        if (is_time_to_look(now))
            fire_timers(now);
        round_end_ = ready_.pushed();
    } else if (ready_.empty()) {
        // Nothing to do: the moment to tidy up, a little at a time.
        const loop_time earliest = timers_.earliest();
        loop_time until = std::min(earliest, main_->finished ? shutdown_end_ : for_ever);
        if (has_memory_to_spare())
            until = std::min(until, give_memory_back(driver_.now(), stacks_at_once_idle));
        sleep_until(until);
        slice_length_ = switches_per_first_slice;
        slice_began_ = for_ever;
        if (earliest != for_ever || shutdown_end_ != for_ever) {
            slice_began_ = driver_.now();
            fire_timers(slice_began_);
        }
        round_end_ = ready_.pushed();
    } else {
        const loop_time now = driver_.now();
        measure_slice(now);
        if (!is_time_to_look(now))
            return;
        if (ready_.popped() >= round_end_) {
            if (!driver_.wake_more())
                driver_.run_once(without_waiting);
            round_end_ = ready_.pushed();
        }
        fire_timers(now);
        if (has_memory_to_spare())
            give_memory_back(now, stacks_at_once_busy);
    }
}

[[gnu::hot]] bool loop::is_time_to_look(loop_time now) noexcept {
    if (now - last_look_ < poll_interval)
        return false;
    last_look_ = now;
    return true;
}

// Waits in the driver, which wakes fibers.
[[gnu::hot]] void loop::sleep_until(loop_time until) {
    if (until == for_ever && !deadlocked_ && is_deadlocked()) {
        deadlocked_ = true;
        report_fibers("is in a deadlock: nothing can wake it");
        return cancel_all();
    }
    if (waits_for_fiber_)
        until = std::min(until, search_cycles(driver_.now()));
    const bool may_spin =
        spin_.is_likely_to_help() && (until == for_ever || until - driver_.now() > adaptive_spin::longest_time);
    if (may_spin && spin_.wait_for([this] { return !inbox_.empty(); })) {
        // Others may be so fast for ever. Meanwhile the driver must be asked, too.
        if (is_time_to_look(driver_.now()))
            driver_.run_once(without_waiting);
    } else {
        sleeping_.store(true, std::memory_order_seq_cst);
        driver_.run_once(inbox_.empty(std::memory_order_seq_cst) ? until : without_waiting);
        sleeping_.store(false, std::memory_order_relaxed);
        spin_.slept(!inbox_.empty());
    }
    if (!inbox_.empty())
        take_posted();
}

// All fibers wait; but if one waits for something outside of this loop, it may come.
[[gnu::hot]] bool loop::is_deadlocked() noexcept {
    if (!inbox_.empty())
        return false;
    fiber_base* hopeful = fibers_.find_if([](const fiber_base& fiber) {
        const wait_record* record = fiber.waiting;
        return !record || record->kind == wait_kind::sleep || record->kind == wait_kind::readable ||
               record->kind == wait_kind::writable || record->kind == wait_kind::file ||
               (record->kind == wait_kind::select && record->value) || // on a descriptor
               (record->scope != wait_scope::local && !is_single_threaded());
    });
    if (!hopeful)
        return true;
    // The order has no meaning; so the next time it is found at once, however many there are.
    hopeful->unlink();
    fibers_.push_front(*hopeful);
    return false;
}

void loop::report_fibers(std::string_view heading) noexcept {
    std::optional<wait_graph> graph;
    try {
        graph.emplace(fibers_, fiber_count_);
    } catch (const std::bad_alloc&) {} // then nobody is told who holds what
    fibers_.for_each([heading, &graph](const fiber_base& fiber) {
        report(
            [&] {
                const std::string state = graph ? graph->describe_state(fiber) : describe_state(fiber);
                return describe(fiber) + ' ' + std::string{heading} + "; it " + state;
            },
            heading);
    });
}

// Fibers that wait for each other while others do not. Returns when it wants to be called again.
loop_time loop::search_cycles(loop_time now) noexcept {
    if (now < next_search_)
        return next_search_;
    next_search_ = now + search_interval;
    waits_for_fiber_ = false;
    if (fiber_count_ > most_searched)
        return for_ever;
    try {
        wait_graph{fibers_, fiber_count_}.report_cycles();
    } catch (const std::bad_alloc&) {
        waits_for_fiber_ = true; // next time
    }
    return for_ever;
}

[[gnu::hot]] bool loop::has_memory_to_spare() const noexcept {
    return stacks_.exceed(pooled_stacks_) || blocks_.exceeds(spare_chunks);
}

// Returns when it wants to be called again.
loop_time loop::give_memory_back(loop_time now, std::size_t stacks_at_once) noexcept {
    return std::min(stacks_.trim_idle(now, pooled_stacks_, stacks_at_once),
                    blocks_.trim_idle(now, spare_chunks, chunks_at_once));
}

[[gnu::hot]] void loop::fire_timers(loop_time now) noexcept {
    abandoned_ = now >= shutdown_end_ && main_->finished;
    while (timer* due = timers_.pop_due(now)) {
        if (due->timer_use == timer::use::wait) {
            wake(static_cast<wait_record&>(*due), wake_reason::timed_out);
        } else {
            --armed_scopes_;
            cancel_scope_state(static_cast<scope_state&>(*due));
        }
    }
}

} // namespace coir::detail
