#include <coir/detail/gate.hpp>

#include "sync/waiter_queue.hpp"

namespace coir::detail {

void gate::open() noexcept {
    claimed_waiters claimed;
    const guard held{queue_.lock};
    is_open_.store(true, std::memory_order_release);
    claimed.claim_all(held.how(), queue_.waiters);
}

void gate::open_alone() noexcept {
    is_open_.store(true, std::memory_order_relaxed);
}

void gate::shut() noexcept {
    const guard held{queue_.lock};
    is_open_.store(false, std::memory_order_relaxed);
}

// Under the lock: who opens it must be through with it when somebody passes.
bool gate::try_pass() noexcept {
    if (!is_open())
        return false;
    const guard held{queue_.lock};
    return is_open_.load(std::memory_order_relaxed);
}

bool gate::pass(deadline until, wait_kind kind, const void* object, const char* operation) {
    (void)loop::current(); // in the child of a fork(): opens the gates of those who are gone, before this one is locked
    guard held{queue_.lock};
    if (is_open_.load(std::memory_order_relaxed))
        return true;
    return wait_for_turn(queue_, held, kind, object, until, operation);
}

bool gate::enter(wait_record& record) noexcept {
    const guard held{queue_.lock};
    if (is_open_.load(std::memory_order_relaxed))
        return false;
    queue_.waiters.push_back(record);
    return true;
}

void gate::leave(wait_record& record) noexcept {
    const guard held{queue_.lock};
    if (record.is_linked())
        record.unlink();
}

} // namespace coir::detail
