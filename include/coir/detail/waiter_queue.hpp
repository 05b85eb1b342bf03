#pragma once

#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/shared_wait.hpp>
#include <coir/detail/spin_lock.hpp>
#include <coir/export.hpp>

namespace coir::detail {

/// The object that `waiters` wait for is being destroyed: ends the program, naming one of them. Unless their loops have been
/// given up, at the end of the shutdown deadline, so that none of them will ever run again.
COIR_EXPORT void destroyed_with_waiters(intrusive_list<wait_record>& waiters) noexcept;

/// The waiters of an object that threads share, first come, first served, with the lock that guards the whole object. Its
/// operations are in lib/sync/waiter_queue.hpp.
struct waiter_queue {
    constexpr waiter_queue() = default;
    waiter_queue(const waiter_queue&) = delete;
    waiter_queue& operator=(const waiter_queue&) = delete;
    ~waiter_queue() {
        if (!waiters.empty()) [[unlikely]]
            destroyed_with_waiters(waiters);
    }

    spin_lock lock;
    intrusive_list<wait_record> waiters;
};

} // namespace coir::detail
