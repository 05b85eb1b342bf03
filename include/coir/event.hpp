#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/waiter_queue.hpp>
#include <coir/export.hpp>

#include <atomic>

namespace coir {

namespace detail {
struct event_access;
}

/// Something that has happened, or not yet: wait() returns once it is set, for all who wait and for all who come later,
/// until reset(). Between fibers of one loop or several, and threads without a loop, which then block as threads do.
///
///     coir::event stopping;
///     coir::spawn([&] { stopping.wait(); listener.close(); }).detach();
///     ...
///     stopping.set();
class COIR_EXPORT event {
public:
    event() = default;
    event(const event&) = delete;
    event& operator=(const event&) = delete;

    /// Wakes all who wait. Never suspends. What was done before is seen by those who find it set.
    void set() noexcept;
    void reset() noexcept;
    [[nodiscard]] bool is_set() const noexcept { return is_set_.load(std::memory_order_acquire); }

    /// Returns when the event is set; false when `until` has passed before. May suspend. Cancellation is looked at when it
    /// has to wait: then throws coir::cancelled. Returns true also when the event has been set and was reset since.
    /// Who has returned from here may destroy the event: set() does not touch it any more.
    bool wait(deadline until = {});

private:
    friend struct detail::event_access;

    std::atomic<bool> is_set_{false}; // written under the queue's lock
    detail::waiter_queue queue_;
};

} // namespace coir
