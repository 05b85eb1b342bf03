#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/gate.hpp>
#include <coir/export.hpp>
#include <coir/semaphore.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace coir {

/// Limits a rate (a token bucket): tokens arrive at a steady rate, up to `burst` of them are kept, and acquire() waits until it
/// can take some. Works between fibers of one loop or several, and threads without a loop, which then block as threads do. It
/// starts with `burst` tokens. In a time t, at most burst + t·rate tokens are handed out; exactly that many if enough are
/// requested, since waking up late does not reduce the rate.
///
/// First come, first served: a caller that asks for many tokens is not overtaken by callers that ask for few. Only the first in
/// line waits for the clock, and takes its tokens when they are there; so a caller that gives up, by deadline or cancellation,
/// takes none.
///
///     coir::rate_limiter limiter{100, 1s, 10};      // a hundred a second, ten of them at once
///     for (const request& each : requests) {
///         limiter.acquire();
///         send(each);
///     }
class COIR_EXPORT rate_limiter {
public:
    /// `tokens` arrive per duration `per`, evenly. Throws std::invalid_argument if any of the three is not positive.
    template <class Rep, class Period>
    rate_limiter(std::size_t tokens, std::chrono::duration<Rep, Period> per, std::size_t burst)
        : rate_limiter(tokens, detail::saturated_nanoseconds(per), burst, exactly{}) {}
    rate_limiter(const rate_limiter&) = delete;
    rate_limiter& operator=(const rate_limiter&) = delete;

    /// Takes `tokens`. May suspend. Cancellation is checked only when it has to wait: then throws coir::cancelled. Throws
    /// std::logic_error, which names the fiber, if `tokens` is more than the burst.
    void acquire(std::size_t tokens = 1) { try_acquire_until(deadline::never(), tokens); }

    /// Takes `tokens` if they are available and nobody waits in line. Never suspends.
    [[nodiscard]] bool try_acquire(std::size_t tokens = 1);

    /// As acquire(); false when `until` has passed before, or as soon as it is certain that it will.
    bool try_acquire_until(deadline until, std::size_t tokens = 1);
    bool try_acquire_for(deadline duration, std::size_t tokens = 1) { return try_acquire_until(duration, tokens); }

private:
    struct exactly {};
    rate_limiter(std::size_t tokens, std::int64_t per, std::size_t burst, exactly /*nanoseconds*/);

    void check(std::size_t tokens) const;
    // For who is first in line.
    void fill(deadline::clock::time_point time, bool waited) noexcept;
    [[nodiscard]] deadline
    time_of(std::size_t tokens) const noexcept; // when there will be so many, which are not there

    const std::uint64_t rate_; // tokens
    const std::uint64_t per_;  // so many nanoseconds
    const std::uint64_t burst_;

    binary_semaphore first_in_line_{1};
    // Belong to who is first in line.
    std::uint64_t tokens_;
    std::uint64_t fraction_ =
        0; // of a token, in parts of `per_`: a nanosecond brings `rate_` of these, so nothing is rounded
    deadline::clock::time_point filled_at_;
    detail::gate clock_; // never opened: its deadline is all there is to wait for
};

} // namespace coir
