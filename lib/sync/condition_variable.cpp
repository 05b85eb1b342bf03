#include <coir/condition_variable.hpp>

#include "sync/waiter_queue.hpp"

#include <thread>

/// \file
/// Who notifies may destroy the condition variable right after that, by the standard's rule, though those it has notified
/// have not returned yet. They do not touch it any more. But one whose deadline has passed, or which was cancelled, at the same
/// moment has not been notified, and is about to take its record out of the queue. So the two agree on who does that
/// (condition_wait::where). Who notifies and comes first takes it out; who comes second waits until the other one, which is
/// on its way to the queue's lock, has been there.
namespace coir {
namespace {

using detail::condition_wait;

// Claims the first that still waits, and takes it out, as all before it; null if there is none.
[[gnu::always_inline]] inline detail::wait_record* claim_next(detail::waiter_queue& queue,
                                                              detail::guard& held) noexcept {
    while (!queue.waiters.empty()) {
        auto& record = static_cast<condition_wait&>(queue.waiters.pop_front());
        if (claim(record, detail::wake_reason::notified, held.how()))
            return &record;
        if (record.where.exchange(condition_wait::place::left, std::memory_order_acq_rel) ==
            condition_wait::place::queued)
            continue; // may be gone now
        queue.waiters.push_front(record);
        held.unlock();
        std::this_thread::yield();
        held.lock();
    }
    return nullptr;
}

} // namespace

void condition_variable::notify_one() noexcept {
    detail::guard held{queue_.lock};
    detail::wait_record* next = claim_next(queue_, held);
    held.unlock();
    if (next)
        deliver(*next);
}

void condition_variable::notify_all() noexcept {
    detail::claimed_waiters claimed;
    detail::guard held{queue_.lock};
    while (detail::wait_record* next = claim_next(queue_, held))
        claimed.add(*next);
}

void condition_variable::enter(condition_wait& record) noexcept {
    record.begin();
    const detail::guard held{queue_.lock};
    queue_.waiters.push_back(record);
}

void condition_variable::leave(condition_wait& record) noexcept {
    if (record.where.exchange(condition_wait::place::leaving, std::memory_order_acq_rel) == condition_wait::place::left)
        return; // the condition variable may be gone
    const detail::guard held{queue_.lock};
    record.unlink();
}

void condition_variable::withdraw(condition_wait& record) noexcept {
    if (claim(record, detail::wake_reason::cancelled))
        leave(record);
    else
        record.park(deadline::never()); // has been notified: until it is told
}

bool condition_variable::end(condition_wait& record) {
    const detail::wake_reason reason = record.end();
    if (reason == detail::wake_reason::notified)
        return true;
    leave(record);
    if (reason == detail::wake_reason::cancelled)
        detail::throw_cancelled(*record.owner, "condition_variable::wait");
    return false;
}

} // namespace coir
