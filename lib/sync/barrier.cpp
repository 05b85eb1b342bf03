#include <coir/barrier.hpp>

#include "sync/holder.hpp"
#include "sync/waiter_queue.hpp"

namespace coir::detail {

barrier_arrival barrier_core::arrive(std::ptrdiff_t update, bool leaves) {
    guard held{queue_.lock};
    if (update <= 0 || update > missing_) {
        held.unlock();
        throw_misuse(current_holder(), "arrives at a barrier more often than it expects");
    }
    if (leaves)
        --expected_;
    missing_ -= update;
    return {phase_, missing_ == 0};
}

void barrier_core::begin_next_phase() noexcept {
    claimed_waiters claimed; // delivered when the lock is free: then the barrier may be gone
    const guard held{queue_.lock};
    ++phase_;
    missing_ = expected_;
    claimed.claim_all(held.how(), queue_.waiters);
}

bool barrier_core::wait(std::uint64_t phase, deadline until) const {
    guard held{queue_.lock};
    if (phase_ != phase)
        return true;
    return wait_for_turn(queue_, held, wait_kind::barrier, this, until, "barrier::wait");
}

} // namespace coir::detail
