#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/gate.hpp>
#include <coir/export.hpp>
#include <coir/semaphore.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace coir {

/// Lets pass so much per time: tokens come in at a steady rate, up to `burst` of them are kept, and acquire() takes some,
/// after waiting until they are there. Between fibers of one loop or several, and threads without a loop, which then block as
/// threads do. At the beginning there are `burst` tokens. In a time t at most burst + t·rate are given out; that many if so many
/// are asked for, since waking up late does not slow down the rate.
///
/// First come, first served: who asks for many is not overtaken by those who ask for few. Only the first in line waits
/// for the clock, and takes its tokens when they are there; so who gives up, by deadline or cancellation, takes none with him.
///
///     coir::rate_limiter limiter{100, 1s, 10};      // a hundred a second, ten of them at once
///     for (const request& each : requests) {
///         limiter.acquire();
///         send(each);
///     }
class COIR_EXPORT rate_limiter {
public:
    /// `tokens` come in `per` duration, evenly. Throws std::invalid_argument if any of the three is not positive.
    template <class Rep, class Period>
    rate_limiter(std::size_t tokens, std::chrono::duration<Rep, Period> per, std::size_t burst)
        : rate_limiter(tokens, detail::saturated_nanoseconds(per), burst, exactly{}) {}
    rate_limiter(const rate_limiter&) = delete;
    rate_limiter& operator=(const rate_limiter&) = delete;

    /// Takes `tokens`. May suspend. Cancellation is checked only when it has to wait: then throws coir::cancelled. Throws
    /// std::logic_error, which names the fiber, if `tokens` is more than the burst.
    void acquire(std::size_t tokens = 1) { try_acquire_until(deadline::never(), tokens); }

    /// Takes `tokens` if they are there and nobody waits in line. Never suspends.
    [[nodiscard]] bool try_acquire(std::size_t tokens = 1);

    /// As acquire(); false when `until` has passed before, or as soon as it is known that it will have.
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
