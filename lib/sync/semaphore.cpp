#include <coir/semaphore.hpp>

#include "sync/holder.hpp"
#include "sync/waiter_queue.hpp"

namespace coir::detail {

bool semaphore_core::try_acquire() noexcept {
    const guard held{queue_.lock};
    if (count_ == 0)
        return false;
    --count_;
    return true;
}

bool semaphore_core::acquire(deadline until) {
    spend_turn(queue_.lock);
    guard held{queue_.lock};
    if (count_ > 0) {
        --count_;
        return true;
    }
    return wait_for_turn(queue_, held, wait_kind::semaphore, this, until, "counting_semaphore::acquire");
}

void semaphore_core::release(std::ptrdiff_t update, std::ptrdiff_t most) {
    claimed_waiters claimed;
    guard held{queue_.lock};
    if (update < 0 || update > most - count_) {
        held.unlock();
        throw_misuse(current_holder(), update < 0 ? "releases a negative number of permits of a counting_semaphore"
                                                  : "releases more than the maximum of a counting_semaphore");
    }
    while (update > 0 && claimed.claim_next(held.how(), queue_.waiters))
        --update;
    count_ += update;
}

} // namespace coir::detail
