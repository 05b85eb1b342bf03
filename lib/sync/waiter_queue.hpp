#pragma once

#include "base/spin_lock.hpp"
#include "sched/cancellation.hpp"
#include "sched/shared_wait.hpp"

#include <coir/detail/waiter_queue.hpp>

namespace coir::detail {

/// Claims the first of `waiters` that nobody else has claimed, and takes it out; null if there is none. The lock that guards
/// them is held so. The caller must deliver() it, without the lock.
[[nodiscard]] inline wait_record* claim_first(spin_lock::hold held, intrusive_list<wait_record>& waiters,
                                              wake_reason why = wake_reason::notified) noexcept {
    if (waiters.empty())
        return nullptr;
    (void)loop::current(); // in the child of a fork(): those who are gone leave the list before one of them is claimed
    while (!waiters.empty()) {
        wait_record& record = waiters.pop_front();
        if (claim(record, why, held))
            return &record;
    }
    return nullptr;
}

/// Waiters that have been claimed under a lock and are to be delivered when it is free.
class claimed_waiters {
public:
    claimed_waiters() = default;
    claimed_waiters(const claimed_waiters&) = delete;
    claimed_waiters& operator=(const claimed_waiters&) = delete;
    ~claimed_waiters() { deliver_all(); }

    /// Now: for who is about to wait, perhaps for one of them.
    void deliver_all() noexcept {
        while (!list_.empty())
            deliver(list_.pop_front());
    }

    void add(wait_record& claimed) noexcept { list_.push_back(claimed); }

    /// claim_first(), and add(); false if there is none.
    bool claim_next(spin_lock::hold held, intrusive_list<wait_record>& waiters,
                    wake_reason why = wake_reason::notified) noexcept {
        wait_record* record = claim_first(held, waiters, why);
        if (record)
            add(*record);
        return record != nullptr;
    }

    void claim_all(spin_lock::hold held, intrusive_list<wait_record>& waiters,
                   wake_reason why = wake_reason::notified) noexcept {
        while (claim_next(held, waiters, why)) {}
    }

private:
    intrusive_list<wait_record> list_;
};

/// At the beginning of a call on the object that `lock` guards. Others on their own threads may always be so fast that it need not
/// wait, and its fiber must not keep its thread to itself for that (hazard E11). May suspend, but not if only this thread has used
/// the object so far.
[[gnu::always_inline]] inline void spend_turn(const spin_lock& lock) {
    if (lock.is_biased()) [[likely]]
        return;
    if (loop* here = loop::current_with_running_fiber())
        here->spend(1);
}

/// Ends a wait whose record has been parked in `queue`: true when claimed by a waker, false when its deadline has passed.
/// Throws cancelled, naming `operation`. Afterwards the record is in no list.
bool end_turn(waiter_queue& queue, shared_wait& record, const char* operation);

/// The second half of a blocking call: who calls has found, holding `held`, the lock of `queue`, that it must wait. Waits at the
/// end of the queue; true when claimed by a waker, false when `until` has passed. Throws cancelled, naming `operation`.
inline bool wait_for_turn(waiter_queue& queue, guard& held, wait_kind kind, const void* object, deadline until,
                          const char* operation) {
    shared_wait record{kind, object};
    record.begin();
    queue.waiters.push_back(record);
    held.unlock();
    record.park(until);
    return record.plainly_notified() || end_turn(queue, record, operation);
}

} // namespace coir::detail
