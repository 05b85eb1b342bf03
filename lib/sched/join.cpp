#include "base/throw_cancelled.hpp"
#include "sched/describe.hpp"
#include "sched/loop.hpp"
#include "sched/records_ahead.hpp"

#include <coir/fiber.hpp>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

/// \file
/// Waiting for the end of a fiber: the joiner lends its turn to one that has not started, and others are woken.

namespace coir::detail {
namespace {

[[noreturn]] void throw_wrong_joiner(const loop& here, const fiber_base& fiber) {
    if (&here.running() == &fiber)
        throw std::logic_error("coir: " + describe(fiber) + " cannot join itself: it would wait for ever");
    throw std::logic_error("coir: " + describe(fiber) + " belongs to the loop of another thread: join it there");
}

} // namespace

inline void loop::take_newest_out_of_queue() noexcept {
    (void)ready_.pop_newest();
    round_end_ = std::min(round_end_, ready_.pushed());
}

// The place of one that is not the newest remains, a vacancy, since the others would have to move. False: there is no room for a
// vacancy, as the fiber may soon need another place.
inline bool loop::take_out_of_queue(fiber_base& unstarted) noexcept {
    if (ready_.newest() != &unstarted) {
        if (ready_.capacity() <= fiber_count_ + vacancies_)
            return false;
        ready_.replace(unstarted.place_in_queue, &vacancy_);
        ++vacancies_;
        return true;
    }
    take_newest_out_of_queue();
    while (vacancies_ > 0 && ready_.newest() == &vacancy_) {
        take_newest_out_of_queue();
        --vacancies_;
    }
    return true;
}

inline void loop::lend_turn(wait_record& record, fiber_base& self, fiber_base& fiber) noexcept {
    record.value = turn();
    --slice_;
    running_ = &fiber;
    errno_ = fiber.saved_errno;
    return switch_stacks(exceptions_, self, fiber);
}

// The newest in the queue, has not started, and leaves no vacancy to look after.
inline bool loop::has_just_spawned(const fiber_base& fiber) const noexcept {
    return !ready_.empty() && ready_.newest() == &fiber && !fiber.stack && vacancies_ == 0;
}

// A join that is like a call: calls nothing, and therefore saves no registers. All else is behind a jump.
void loop::join(wait_record& record, fiber_base& fiber, deadline until) {
    loop* const here = current_;
    if (here && here->running_ && here->has_just_spawned(fiber) && until.is_never() && here->slice_ > 0 &&
        !here->running_->cancel_requested) [[likely]]
        if (const stack reused = fiber.stacks->reuse(&fiber); reused.bottom) [[likely]] {
            fiber_base& self = *here->running_;
            record.owner = &self;
            self.waiting = &record;
            self.saved_errno = here->errno_;
            fiber.joiners.push_back(record);
            here->take_newest_out_of_queue();
            here->start_on(reused, fiber);
            return here->lend_turn(record, self, fiber);
        }
    return join_otherwise(record, fiber, until);
}

void loop::join_otherwise(wait_record& record, fiber_base& fiber, deadline until) {
    loop& here = of_running_fiber("fiber::join()");
    if (&here.running() == &fiber || &here != fiber.owner) [[unlikely]]
        throw_wrong_joiner(here, fiber);
    if (fiber.finished) { // since the caller looked: in the child of a fork() the first line has dropped it
        record.reason.store(wake_reason::notified, std::memory_order_relaxed);
        return;
    }
    return here.park_until_end(record, fiber, until);
}

inline void loop::park_until_end(wait_record& record, fiber_base& fiber, deadline until) {
    fiber_base& self = *running_;
    fiber.joiners.push_back(record);
    if (!enter_wait(record, until)) [[unlikely]]
        return;
    if (fiber.stack) {
        waits_for_fiber_ = true; // who closes a cycle joins one that runs already
        return switch_to_next(self);
    }
    if (slice_ <= 0 || !take_out_of_queue(fiber))
        return switch_to_next(self);
    self.saved_errno = errno_;
    if (!start(fiber)) [[unlikely]]
        return switch_to_any(self); // it has ended
    return lend_turn(record, self, fiber);
}

void park_until_end(wait_record& record, fiber_base& fiber, deadline until) {
    return loop::join(record, fiber, until);
}

bool end_join(wait_record& record) {
    const wake_reason reason = record.owner->owner->end_wait(record);
    if (reason == wake_reason::cancelled)
        throw_cancelled(*record.owner, "fiber::join");
    return reason == wake_reason::notified;
}

// All of them but one that has lent its turn.
void loop::wake_joiners(fiber_base& ended) noexcept {
    records_ahead ahead{fibers_};
    while (!ended.joiners.empty()) {
        wait_record& joiner = ended.joiners.pop_front();
        // Whom it has woken has parked here: in the child of a fork() the other records have been claimed.
        if (wake(joiner, wake_reason::notified) && joiner.scope == wait_scope::local && !ended.joiners.empty())
            ahead.after(*joiner.owner);
        // Completion wins, until the joiner has run: who finds that it has ended need not look at the fiber, which another
        // may have joined and freed by then.
        joiner.reason.store(wake_reason::notified, std::memory_order_relaxed);
    }
}

bool end_case::try_now() {
    if (!fiber_)
        throw_not_joinable();
    if (fiber_->finished)
        return true;
    const loop& here = loop::of_running_fiber("select()");
    if (&here.running() == fiber_ || &here != fiber_->owner)
        throw_wrong_joiner(here, *fiber_);
    return false;
}

bool end_case::enter() noexcept {
    if (fiber_->finished)
        return false;
    fiber_->joiners.push_back(record());
    return true;
}

void end_case::leave() noexcept {
    if (record().is_linked()) // else it has ended, and may be gone
        record().unlink();
}

bool end_case::complete(wake_reason /*why*/) {
    return true;
}

} // namespace coir::detail
