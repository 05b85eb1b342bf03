#include <coir/semaphore.hpp>

#include "sync/waiter_queue.hpp"

#include <stdexcept>

namespace coir::detail {

bool semaphore_core::try_acquire() noexcept {
    const guard held{queue_.lock};
    if (count_ == 0)
        return false;
    --count_;
    return true;
}

bool semaphore_core::acquire(deadline until) {
    guard held{queue_.lock};
    if (count_ > 0) {
        --count_;
        return true;
    }
    return wait_for_turn(queue_, held, wait_kind::semaphore, this, until, "counting_semaphore::acquire");
}

void semaphore_core::release(std::ptrdiff_t update, std::ptrdiff_t most) {
    claimed_waiters claimed;
    const guard held{queue_.lock};
    if (update < 0 || update > most - count_)
        throw std::logic_error("coir: counting_semaphore::release would exceed its maximum");
    while (update > 0 && claimed.claim_next(queue_))
        --update;
    count_ += update;
}

} // namespace coir::detail
