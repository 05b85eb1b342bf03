#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/initial_count.hpp>
#include <coir/detail/waiter_queue.hpp>
#include <coir/export.hpp>

#include <cstddef>
#include <limits>

namespace coir {

namespace detail {

/// counting_semaphore without its template parameter.
class COIR_EXPORT semaphore_core {
public:
    explicit semaphore_core(std::ptrdiff_t count) noexcept : count_(count) {}
    /// Waits until `until` at most; false if that has passed.
    bool acquire(deadline until);
    bool try_acquire() noexcept;
    void release(std::ptrdiff_t update, std::ptrdiff_t most);

private:
    waiter_queue queue_;
    std::ptrdiff_t count_; // 0 while somebody waits, guarded by the queue's lock
};

} // namespace detail

/// A number of permits: std::counting_semaphore for fibers, of one loop or several, and for threads without a loop, which then
/// block as threads do. First come, first served: a permit goes to the longest waiter, and a newcomer cannot overtake it.
///
///     coir::counting_semaphore connections{10};
///     connections.acquire();
///     query();
///     connections.release();
template <std::ptrdiff_t LeastMaxValue = std::numeric_limits<std::ptrdiff_t>::max()> class counting_semaphore {
public:
    [[nodiscard]] static constexpr std::ptrdiff_t(max)() noexcept { return LeastMaxValue; }

    /// With `desired` permits. Throws std::invalid_argument unless that is between 0 and max().
    explicit counting_semaphore(std::ptrdiff_t desired)
        : core_(detail::initial_count(desired, LeastMaxValue, "counting_semaphore")) {}
    counting_semaphore(const counting_semaphore&) = delete;
    counting_semaphore& operator=(const counting_semaphore&) = delete;

    /// Takes a permit. May suspend. Cancellation is checked only when it has to wait: then throws coir::cancelled.
    void acquire() { core_.acquire(deadline::never()); }

    /// Takes a permit if there is one. Never suspends.
    bool try_acquire() noexcept { return core_.try_acquire(); }

    /// As acquire(); false if `until` passes first. A permit that has been granted is never lost.
    bool try_acquire_until(deadline until) { return core_.acquire(until); }
    bool try_acquire_for(deadline duration) { return core_.acquire(duration); }

    /// Gives permits back. Never suspends. Throws std::logic_error if that would make more than max() permits, before any
    /// waiter takes one.
    void release(std::ptrdiff_t update = 1) { core_.release(update, LeastMaxValue); }

private:
    detail::semaphore_core core_;
};

using binary_semaphore = counting_semaphore<1>;

} // namespace coir
