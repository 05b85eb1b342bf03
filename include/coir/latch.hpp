#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/gate.hpp>
#include <coir/detail/initial_count.hpp>
#include <coir/export.hpp>

#include <atomic>
#include <cstddef>
#include <limits>

namespace coir {

/// Counts down once; waiters continue when it has reached zero: std::latch for fibers, of one loop or several, and for threads
/// without a loop, which then block as threads do. A user that has seen it reach zero, by try_wait() or one of the waits, may
/// destroy it if nobody else waits or will, even though count_down() has not returned: that does not touch the latch any more.
///
/// The waits may suspend. Cancellation is checked only when they have to wait: coir::cancelled. Arrivals count whatever becomes
/// of the wait. Counting below zero throws std::logic_error that names the fiber; nothing is counted then.
///
///     coir::latch loaded{2};
///     coir::spawn([&] { load(left); loaded.count_down(); }).detach();
///     coir::spawn([&] { load(right); loaded.count_down(); }).detach();
///     loaded.wait();
class COIR_EXPORT latch {
public:
    [[nodiscard]] static constexpr std::ptrdiff_t(max)() noexcept { return std::numeric_limits<std::ptrdiff_t>::max(); }

    /// Counts from `expected`. Throws std::invalid_argument if that is negative.
    constexpr explicit latch(std::ptrdiff_t expected)
        : count_(detail::initial_count(expected, (max)(), "latch")), gate_(expected == 0) {}
    latch(const latch&) = delete;
    latch& operator=(const latch&) = delete;

    /// Never suspends. Everything done before is visible to the waiters.
    void count_down(std::ptrdiff_t update = 1);

    /// It has reached zero. Never suspends.
    [[nodiscard]] bool try_wait() const noexcept { return gate_.try_pass(); }

    /// Returns when it has reached zero; false if `until` passes first.
    bool wait(deadline until = {}) const { return gate_.pass(until, detail::wait_kind::latch, this, "latch::wait"); }

    /// count_down() and wait().
    bool arrive_and_wait(std::ptrdiff_t update = 1, deadline until = {}) {
        count_down(update);
        return wait(until);
    }

private:
    std::atomic<std::ptrdiff_t> count_;
    mutable detail::gate gate_; // open: zero
};

} // namespace coir
