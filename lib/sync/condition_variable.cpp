#include <coir/condition_variable.hpp>

#include "sync/waiter_queue.hpp"

namespace coir {

void condition_variable::notify_one() noexcept {
    detail::claimed_waiters claimed;
    const detail::guard held{queue_.lock};
    claimed.claim_next(queue_);
}

void condition_variable::notify_all() noexcept {
    detail::claimed_waiters claimed;
    const detail::guard held{queue_.lock};
    claimed.claim_all(queue_.waiters);
}

void condition_variable::enter(detail::shared_wait& record) noexcept {
    const detail::guard held{queue_.lock};
    queue_.waiters.push_back(record);
}

bool condition_variable::end(detail::shared_wait& record) {
    return detail::end_turn(queue_, record, "condition_variable::wait");
}

} // namespace coir
