#pragma once

#include "sync/waiter_queue.hpp"

#include <coir/event.hpp>

namespace coir::detail {

/// An event as select() sees it.
struct event_access {
    /// `record` waits for `which`; false if it is set.
    [[nodiscard]] static bool enter(event& which, wait_record& record) noexcept {
        const guard held{which.queue_.lock};
        if (which.is_set_.load(std::memory_order_relaxed))
            return false;
        which.queue_.waiters.push_back(record);
        return true;
    }
    static void leave(event& which, wait_record& record) noexcept {
        const guard held{which.queue_.lock};
        if (record.is_linked())
            record.unlink();
    }
};

} // namespace coir::detail
