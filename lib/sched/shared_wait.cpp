#include "sched/shared_wait.hpp"

/// \file
/// Waiting for what other threads use as well: the protocol, and why no wake-up is lost and none comes twice.
///
/// Those involved: the one that *waits* (a fiber of loop L, or a plain thread); an *object* with a lock and a list of waiters;
/// *wakers*, on any thread; and on L's own thread the timer queue and cancellation.
///
///     published --claim()--> claimed --deliver()--> ready --> runs on, takes the record out of everything, its frame goes
///
/// 1. The record is put into the object's list under the object's lock, by the one that is about to wait, in the same
///    critical section in which it found that it must wait. A waker makes the object's state true and looks at the list under
///    the same lock. So either the first sees the state, or the second sees the record.
/// 2. A record is claimed by one compare-and-swap of `reason`, away from `none`. Timer, cancellation and wakers compete; one
///    wins. A waker that loses goes on to the next in the list. While the object's lock is biased to L's thread (spin_lock.hpp) there
///    is no other thread to compete with, and a look and a store do for wakers; who ends the bias does so before it is one.
/// 3. Who has claimed, and nobody else, delivers, exactly once. Until then the fiber is parked, or about to park on its own
///    thread: delivering to a loop means its ready queue (from its own thread) or its inbox (from another), and both are
///    looked at only between fibers. So "about to park" needs no further care: the fiber becomes ready after it has parked.
///    Except where a user's code runs in between, which may itself wait, or wake (the unlock() of a lock that a
///    condition_variable is given): a fiber that is not parked with this record is only told (`delivered`), and then does
///    not park. A thread is told always, since it may find in its parker what was meant for a wait further out.
/// 4. So a record, and the stack that it is on, cannot go away between claim and delivery, and the claimer may use it: hand over
///    a value, or its place. After the delivery it must not be touched any more.
/// 5. Who was claimed by the timer or by cancellation is still in the object's list. It runs on, takes the object's lock, and
///    takes its record out, unless a waker, which found it claimed, has done so. Only then its frame goes.
///
/// The sleep of a loop. L's thread says that it will sleep (`sleeping_`), then looks at the inbox, then sleeps in the driver.
/// A waker puts the record into the inbox, then looks at `sleeping_`. All four are sequentially consistent: of "L did not
/// see the record" and "the waker did not see that L sleeps" one at most is true. The waker that takes `sleeping_` back is
/// the only one to notify the driver: one system call for as many records as come meanwhile. While L only spins, since the last
/// sleep was ended by a post (adaptive_spin.hpp), it does not say that it sleeps, and nobody notifies it.
///
/// The life of a loop. A waker touches L after the record's fiber may have run on and ended, and L with it: between pushing
/// and notifying. `posting_` counts the wakers that are there; it is raised before the record is pushed, when the fiber
/// cannot have ended, and L's destructor waits until it is zero.
namespace coir::detail {

void shared_wait::park(deadline until) noexcept {
    if (!thread)
        return owner->owner->park_shared(*this, until);
    if (!thread->park(delivered, until) && !claim(*this, wake_reason::timed_out))
        static_cast<void>(thread->park(delivered, deadline::never())); // claimed just now: is being delivered
}

wake_reason shared_wait::end() noexcept {
    if (owner)
        owner->owner->end_shared(*this);
    return reason.load(std::memory_order_relaxed);
}

bool claim_other(wait_record& record, wake_reason why) noexcept {
    if (record.scope == wait_scope::select) {
        auto& one = static_cast<select_case&>(record);
        if (!claim(one.select, why))
            return false;
        one.select.chosen = &one;
        return true;
    }
    if (record.reason.load(std::memory_order_relaxed) != wake_reason::none)
        return false;
    record.reason.store(why, std::memory_order_relaxed);
    return true;
}

void deliver_other(wait_record& record) noexcept {
    if (record.scope == wait_scope::local)
        return record.owner->owner->make_ready(record);
    auto& whole = static_cast<shared_wait&>(
        record.scope == wait_scope::select ? static_cast<select_case&>(record).select : record);
    if (whole.thread)
        return whole.thread->unpark(whole.delivered);
    loop& home = *whole.owner->owner;
    if (&home == loop::current())
        return home.make_ready_shared(whole);
    return home.post(whole);
}

} // namespace coir::detail
