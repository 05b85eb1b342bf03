#pragma once

#include "sched/loop.hpp"
#include "sched/thread_parker.hpp"

#include <coir/detail/shared_wait.hpp>
#include <coir/detail/spin_lock.hpp>

#include <atomic>

/// \file
/// What is done with a shared_wait, see shared_wait.cpp. Inlined: this is most of what a channel does, or a mutex.
namespace coir::detail {

inline void shared_wait::begin() noexcept {
    if (loop* here = loop::current_with_running_fiber()) [[likely]]
        owner = &here->running();
    else
        thread = &thread_parker::current();
}

/// What shared_wait::park() does, where one jump less matters.
[[gnu::always_inline]] inline void park(shared_wait& record, deadline until) noexcept {
    loop* const here = loop::current();
    if (!record.thread) [[likely]]
        return here->park_shared(record, until);
    return record.park(until);
}

/// claim() of what is not a shared_wait.
[[nodiscard]] bool claim_other(wait_record& record, wake_reason why) noexcept;

/// Claims `record` for `why`; false if another source was first. From any thread, under the lock of the record's object,
/// or on the thread of the loop that owns it.
[[nodiscard]] inline bool claim(wait_record& record, wake_reason why) noexcept {
    if (record.scope != wait_scope::shared) [[unlikely]]
        return claim_other(record, why);
    wake_reason unclaimed = wake_reason::none;
    return record.reason.compare_exchange_strong(unclaimed, why, std::memory_order_acq_rel, std::memory_order_relaxed);
}

/// As claim(), with the lock of the record's object, which the caller holds so. While it is biased to the calling thread, all
/// who wait for the object do so on this thread; so a record of one object only has nobody to compete with.
[[nodiscard]] inline bool claim(wait_record& record, wake_reason why, spin_lock::hold held) noexcept {
    if (record.scope != wait_scope::shared || held != spin_lock::hold::biased) [[unlikely]]
        return claim(record, why);
    if (record.reason.load(std::memory_order_relaxed) != wake_reason::none) [[unlikely]]
        return false;
    record.reason.store(why, std::memory_order_relaxed);
    return true;
}

/// deliver() to a fiber of another loop, to a thread, or of what is not a shared_wait.
void deliver_other(wait_record& record) noexcept;

/// Makes who waits with the claimed `record` go on; `record` may be gone when this returns. From any thread.
inline void deliver(wait_record& record) noexcept {
    loop* const here = loop::current();
    if (record.scope == wait_scope::shared && record.owner && record.owner->owner == here) [[likely]]
        return here->make_ready_shared(static_cast<shared_wait&>(record));
    return deliver_other(record);
}

} // namespace coir::detail
