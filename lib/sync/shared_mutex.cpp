#include <coir/shared_mutex.hpp>

#include "sync/holder.hpp"
#include "sync/waiter_queue.hpp"

/// \file
/// Whoever changes something lets in those at the front of the queue who can be, under the same lock: they hold it from then
/// on, though they have not run yet. So it is never free while somebody waits.
namespace coir {

using detail::claimed_waiters;
using detail::guard;
using detail::holder;
using detail::shared_mutex_state;
using detail::wake_reason;

namespace {

// What wait_record::value is for a writer.
void* writer_marker() noexcept {
    static char marker;
    return &marker;
}

// Lets in who can be, with the lock held.
void admit(shared_mutex_state& state, const guard& held, claimed_waiters& admitted) {
    (void)detail::loop::current(); // as in claim_first()
    while (state.writer == 0 && !state.waiters.empty()) {
        detail::wait_record& first = state.waiters.front();
        const bool writes = first.value != nullptr;
        if (writes && state.readers > 0 && first.reason.load(std::memory_order_relaxed) == wake_reason::none)
            return;
        state.waiters.pop_front();
        if (!claim(first, wake_reason::notified, held.how()))
            continue;
        admitted.add(first);
        if (writes)
            state.writer = detail::holder_of(first);
        else
            ++state.readers;
    }
}

// Waits at the end of the queue, whose lock is `held`, and lets those go on before whom the caller has admitted; false when
// `until` has passed.
bool wait_for_admission(shared_mutex_state& state, guard& held, claimed_waiters& admitted, void* marker, deadline until,
                        const char* operation) {
    detail::shared_wait record{detail::wait_kind::shared_mutex, &state};
    record.begin();
    record.value = marker;
    state.waiters.push_back(record);
    held.unlock();
    admitted.deliver_all();
    record.park(until);
    if (record.plainly_notified())
        return true;
    const wake_reason reason = record.end();
    if (reason == wake_reason::notified)
        return true;
    {
        const guard again{state.lock};
        if (record.is_linked())
            record.unlink();
        admit(state, again, admitted); // those behind it may have waited for nothing else
    }
    if (reason == wake_reason::cancelled)
        detail::throw_cancelled(*record.owner, operation);
    return false;
}

} // namespace

shared_mutex::~shared_mutex() {
    if ((state_.writer == 0 && state_.readers == 0) || detail::may_be_destroyed_while_held())
        return;
    detail::abort_for_misuse(detail::current_holder(), state_.writer != 0
                                                           ? "destroys a shared_mutex that a writer holds"
                                                           : "destroys a shared_mutex that readers hold");
}

bool shared_mutex::try_lock() noexcept {
    claimed_waiters admitted; // readers behind a writer that has given up need not wait until it has its turn
    const guard held{state_.lock};
    admit(state_, held, admitted);
    if (state_.writer != 0 || state_.readers > 0)
        return false;
    state_.writer = detail::current_holder();
    return true;
}

bool shared_mutex::try_lock_until(deadline until) {
    const holder self = detail::current_holder();
    claimed_waiters admitted;
    guard held{state_.lock};
    admit(state_, held, admitted);
    if (state_.writer == 0 && state_.readers == 0) {
        state_.writer = self;
        return true;
    }
    if (state_.writer == self) {
        held.unlock();
        detail::throw_deadlock(self, "locks a shared_mutex that it holds already");
    }
    return wait_for_admission(state_, held, admitted, writer_marker(), until, "shared_mutex::lock");
}

void shared_mutex::unlock() {
    const holder self = detail::current_holder();
    claimed_waiters admitted;
    guard held{state_.lock};
    if (state_.writer != self) {
        held.unlock();
        detail::throw_misuse(self, "unlocks a shared_mutex that it does not hold");
    }
    state_.writer = 0;
    admit(state_, held, admitted);
}

bool shared_mutex::try_lock_shared() noexcept {
    claimed_waiters admitted;
    const guard held{state_.lock};
    admit(state_, held, admitted);
    if (state_.writer != 0 || !state_.waiters.empty())
        return false;
    ++state_.readers;
    return true;
}

bool shared_mutex::try_lock_shared_until(deadline until) {
    claimed_waiters admitted;
    guard held{state_.lock};
    admit(state_, held, admitted);
    if (state_.writer == 0 && state_.waiters.empty()) {
        ++state_.readers;
        return true;
    }
    if (state_.writer != 0 && state_.writer == detail::current_holder()) {
        held.unlock();
        detail::throw_deadlock(detail::current_holder(), "locks a shared_mutex, shared, that it holds already");
    }
    return wait_for_admission(state_, held, admitted, nullptr, until, "shared_mutex::lock_shared");
}

void shared_mutex::unlock_shared() {
    claimed_waiters admitted;
    guard held{state_.lock};
    if (state_.readers == 0) {
        held.unlock();
        detail::throw_misuse(detail::current_holder(), "unlocks a shared_mutex, shared, that nobody holds shared");
    }
    --state_.readers;
    admit(state_, held, admitted);
}

} // namespace coir
