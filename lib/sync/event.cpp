#include <coir/event.hpp>

#include "sync/waiter_queue.hpp"

namespace coir {

void event::set() noexcept {
    detail::claimed_waiters claimed;
    const detail::guard held{queue_.lock};
    is_set_.store(true, std::memory_order_release);
    claimed.claim_all(queue_.waiters);
}

void event::reset() noexcept {
    const detail::guard held{queue_.lock};
    is_set_.store(false, std::memory_order_relaxed);
}

bool event::wait(deadline until) {
    detail::guard held{queue_.lock};
    if (is_set_.load(std::memory_order_relaxed))
        return true;
    return detail::wait_for_turn(queue_, held, detail::wait_kind::event, this, until, "event::wait");
}

} // namespace coir
