#include <coir/once.hpp>

#include "sync/holder.hpp"
#include "sync/waiter_queue.hpp"

/// \file
/// A function that has failed is handed on to who has waited longest: end() makes that one the caller, under the lock, before it
/// runs. So those who come meanwhile do not overtake it.
namespace coir {

bool once_flag::begin(deadline until, bool& in_time) {
    const detail::holder self = detail::current_holder();
    detail::guard held{queue_.lock};
    if (is_done_.load(std::memory_order_relaxed))
        return false;
    if (caller_ == 0) {
        caller_ = self;
        return true;
    }
    if (caller_ == self) {
        held.unlock();
        detail::throw_deadlock(self, "calls call_once() inside a function that call_once() calls for the same flag");
    }
    in_time = detail::wait_for_turn(queue_, held, detail::wait_kind::once, this, until, "call_once");
    return in_time && !is_done_.load(std::memory_order_acquire);
}

void once_flag::end(bool succeeded) noexcept {
    detail::claimed_waiters claimed;
    const detail::guard held{queue_.lock};
    if (succeeded) {
        is_done_.store(true, std::memory_order_release);
        return claimed.claim_all(held.how(), queue_.waiters);
    }
    detail::wait_record* next = detail::claim_first(held.how(), queue_.waiters);
    caller_ = next ? detail::holder_of(*next) : 0;
    if (next)
        claimed.add(*next);
}

} // namespace coir
