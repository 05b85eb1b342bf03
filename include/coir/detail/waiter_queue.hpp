#pragma once

#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/shared_wait.hpp>
#include <coir/detail/spin_lock.hpp>

namespace coir::detail {

/// Who waits for an object that threads share, first come, first served; with the lock that guards the object as a whole.
/// What is done with it is in lib/sync/waiter_queue.hpp.
struct waiter_queue {
    spin_lock lock;
    intrusive_list<wait_record> waiters;
};

} // namespace coir::detail
