#include <coir/mutex.hpp>

#include "sync/holder.hpp"
#include "sync/waiter_queue.hpp"

/// \file
/// One word says who holds the mutex and whether somebody waits. Without waiters, locking and unlocking are one
/// compare-and-swap of it each; or, as long as only one thread uses the mutex, a comparison and a store under the queue's lock,
/// which is biased to that thread then, and costs nothing (lib/base/spin_lock.cpp).
///
/// Bit 0 is only changed under the queue's lock, and set as long as somebody is in the queue; so an unlock that finds it clear
/// has nobody to wake. unlock() goes another way when it is set: within the loop it hands the mutex over, that is it
/// writes the next holder into the word, and makes that one ready. For a waiter on another thread, whose waking up takes
/// microseconds, it leaves the mutex free, and wakes it to try again. Who loses then too often asks to be handed it.
///
/// A mutex may be destroyed by who has locked it next and unlocked it, while unlock() has not returned: the last that
/// unlock() touches is the word, when it lets go of it, or the queue's lock, when the next holder cannot run yet.
namespace coir {

using detail::holder;

namespace {

constexpr holder has_waiters = 1;

// Lost competitions after which a waiter on another thread is handed the mutex.
constexpr int most_losses = 4;

// What wait_record::value is for a waiter that will not compete any more.
void* hand_over_marker() noexcept {
    static char marker;
    return &marker;
}

bool is_of_this_thread(const detail::wait_record& record) noexcept {
    return record.owner && record.owner->owner == detail::loop::current();
}

} // namespace

mutex::~mutex() {
    const holder last = holder_.load(std::memory_order_relaxed);
    if (last == 0 || detail::may_be_destroyed_while_held())
        return;
    const holder self = detail::current_holder();
    detail::abort_for_misuse(self, (last & ~has_waiters) == self
                                       ? "destroys a mutex that it holds itself"
                                       : "destroys a mutex that another fiber or thread holds or waits for");
}

// If `expected` is the word, makes it `desired`.
inline bool mutex::exchange(holder expected, holder desired) noexcept {
    if (!queue_.lock.lock_if_biased())
        return holder_.compare_exchange_strong(expected, desired, std::memory_order_acq_rel, std::memory_order_relaxed);
    const bool is_expected = holder_.load(std::memory_order_relaxed) == expected;
    if (is_expected)
        holder_.store(desired, std::memory_order_relaxed);
    queue_.lock.unlock_biased();
    return is_expected;
}

bool mutex::try_lock() noexcept {
    return exchange(0, detail::current_holder());
}

void mutex::unlock() {
    const holder self = detail::current_holder();
    if (!queue_.lock.lock_if_biased()) [[unlikely]] {
        holder expected = self;
        if (!holder_.compare_exchange_strong(expected, 0, std::memory_order_release, std::memory_order_relaxed))
            unlock_slowly(self, queue_.lock.lock());
        return;
    }
    if (holder_.load(std::memory_order_relaxed) != self)
        return unlock_slowly(self, detail::spin_lock::hold::biased);
    holder_.store(0, std::memory_order_relaxed);
    queue_.lock.unlock_biased();
}

bool mutex::is_held() const noexcept {
    return (holder_.load(std::memory_order_relaxed) & ~has_waiters) == detail::current_holder();
}

// With the queue's lock, held so: as std::atomic::compare_exchange_weak().
inline bool mutex::replace(detail::spin_lock::hold how, holder& expected, holder desired) noexcept {
    if (how != detail::spin_lock::hold::biased) [[unlikely]]
        return holder_.compare_exchange_weak(expected, desired, std::memory_order_acquire, std::memory_order_relaxed);
    holder_.store(desired, std::memory_order_relaxed);
    return true;
}

void mutex::lock_or_park(detail::shared_wait& record, int losses, deadline until) {
    if (!lock_or_enter(record, losses))
        return park(record, until);
}

// True: there is nothing to wait for.
inline bool mutex::lock_or_enter(detail::shared_wait& record, int losses) {
    const holder self = detail::current_holder();
    detail::guard held{queue_.lock};
    holder now = holder_.load(std::memory_order_relaxed);
    for (;;) {
        if ((now & ~has_waiters) == self) {
            held.unlock();
            detail::throw_deadlock(self, "locks a mutex that it holds already");
        }
        if (now == 0 || now == has_waiters) {
            if (replace(held.how(), now, self | now)) {
                record.value = this;
                record.reason.store(detail::wake_reason::notified, std::memory_order_relaxed);
                return true;
            }
        } else if ((now & has_waiters) != 0 || replace(held.how(), now, now | has_waiters)) {
            break;
        }
    }
    record.begin();
    if (losses >= most_losses)
        record.value = hand_over_marker();
    if (losses == 0)
        queue_.waiters.push_back(record);
    else
        queue_.waiters.push_front(record); // it had its turn before
    return false;
}

mutex::attempt mutex::end_wait(detail::shared_wait& record) {
    const detail::wake_reason reason = record.end();
    if (reason == detail::wake_reason::notified)
        return record.value == this ? attempt::succeeded : attempt::lost; // on another thread: woken to compete
    {
        const detail::guard held{queue_.lock};
        if (record.is_linked())
            record.unlink();
        if (queue_.waiters.empty())
            holder_.fetch_and(~has_waiters, std::memory_order_relaxed);
    }
    if (reason == detail::wake_reason::timed_out)
        return attempt::timed_out;
    detail::throw_cancelled(*record.owner, "mutex::lock");
}

// With the queue's lock, held so.
void mutex::unlock_slowly(holder self, detail::spin_lock::hold how) {
    for (;;) {
        detail::guard held{queue_.lock, how};
        if ((holder_.load(std::memory_order_relaxed) & ~has_waiters) != self) [[unlikely]] {
            held.unlock();
            detail::throw_misuse(self, "unlocks a mutex that it does not hold");
        }
        detail::wait_record* const next = detail::claim_first(how, queue_.waiters);
        const holder others = queue_.waiters.empty() ? 0 : has_waiters;
        if (!next) [[unlikely]] {
            holder_.store(self, std::memory_order_relaxed);
            held.unlock();
            if (exchange(self, 0))
                return;
            how = queue_.lock.lock(); // somebody has come
            continue;
        }
        if (is_of_this_thread(*next)) [[likely]] {
            next->value = this; // it has it
            holder_.store(reinterpret_cast<holder>(next->owner) | others, std::memory_order_release);
            held.unlock();
            return next->owner->owner->make_ready_shared(static_cast<detail::shared_wait&>(*next));
        }
        const bool hand_over = next->value != nullptr;
        if (hand_over)
            next->value = this;
        // Not before `next` is claimed and cannot time out; and last, since the mutex may be gone after it.
        holder_.store(hand_over ? detail::holder_of(*next) | others : others, std::memory_order_release);
        held.unlock();
        return detail::deliver(*next);
    }
}

} // namespace coir
