#pragma once

#include <coir/export.hpp>

#include <chrono>
#include <compare>
#include <concepts>
#include <cstdint>
#include <limits>
#include <ratio>

namespace coir {

namespace detail {

/// Nanoseconds, rounded up and clamped to what fits.
template <class Rep, class Period>
constexpr std::int64_t saturated_nanoseconds(std::chrono::duration<Rep, Period> duration) noexcept {
    using in_nanoseconds = std::ratio_divide<Period, std::nano>;
    if constexpr (std::integral<Rep> && in_nanoseconds::den == 1) {
        std::int64_t result = 0;
        if (__builtin_mul_overflow(duration.count(), in_nanoseconds::num, &result))
            return duration.count() > 0 ? std::numeric_limits<std::int64_t>::max()
                                        : std::numeric_limits<std::int64_t>::min();
        return result;
    } else { // floating point, or finer than a nanosecond
        constexpr long double limit = 9.2e18L;
        const auto wide = std::chrono::duration<long double, std::nano>(duration).count();
        if (!(wide < limit)) // also for not-a-number
            return std::numeric_limits<std::int64_t>::max();
        if (wide < -limit)
            return std::numeric_limits<std::int64_t>::min();
        const auto whole = static_cast<std::int64_t>(wide);
        return whole + (static_cast<long double>(whole) < wide ? 1 : 0);
    }
}

/// a - b, clamped to what fits; the ends of time are far away from everything.
constexpr std::int64_t saturated_difference(std::int64_t a, std::int64_t b) noexcept {
    using limits = std::numeric_limits<std::int64_t>;
    std::int64_t result = 0;
    if (a == limits::max() || a == limits::min() || __builtin_sub_overflow(a, b, &result))
        return a > b ? limits::max() : limits::min();
    return result;
}

} // namespace detail

/// A point in time after which a call gives up waiting. Absolute, on the steady clock, and saturating: no duration is too long.
/// Calls that wait for IO (io, net) or for a value (join(), receive(), get()) take one as their last argument; without one they
/// wait for ever. Where the standard has separate names, coir uses those: lock() takes no deadline, try_lock_until() does, and
/// so on. For operations that take none at all (a whole task_group, net::serve()), use with_timeout().
///
/// A duration converts implicitly, counted from now. So create the deadline of several calls once:
///
///     coir::deadline limit = 5s;                  // for the whole request
///     stream.read_all(header, limit);
///     stream.write_all(answer, limit);
///
/// A deadline in the past asks for what can be had without waiting. Inside coir::run "now" is the loop's clock, which
/// tests replace by a virtual one.
class deadline {
public:
    using clock = std::chrono::steady_clock;

    /// Never.
    constexpr deadline() noexcept = default;

    /// At `time`.
    template <class Duration>
    constexpr deadline(std::chrono::time_point<clock, Duration> time) noexcept // NOLINT(google-explicit-constructor)
        : nanoseconds_(detail::saturated_nanoseconds(time.time_since_epoch())) {}

    /// At `time` of another clock, converted now: setting that clock later does not move the deadline.
    template <class Clock, class Duration>
    deadline(std::chrono::time_point<Clock, Duration> time) noexcept // NOLINT(google-explicit-constructor)
        : nanoseconds_(
              from_now(detail::saturated_difference(detail::saturated_nanoseconds(time.time_since_epoch()),
                                                    detail::saturated_nanoseconds(Clock::now().time_since_epoch())))) {}

    /// `duration` from now, at most never(). A negative one has passed already.
    template <class Rep, class Period>
    deadline(std::chrono::duration<Rep, Period> duration) noexcept // NOLINT(google-explicit-constructor)
        : nanoseconds_(from_now(detail::saturated_nanoseconds(duration))) {}

    [[nodiscard]] static constexpr deadline never() noexcept { return {}; }

    /// In the past: do what can be done without waiting.
    [[nodiscard]] static constexpr deadline passed() noexcept { return deadline{clock::time_point::min()}; }

    [[nodiscard]] constexpr bool is_never() const noexcept { return nanoseconds_ == never_; }

    /// The clock has reached it.
    [[nodiscard]] bool has_passed() const noexcept { return !is_never() && nanoseconds_ <= now(); }

    /// `clock::time_point::max()` for never.
    [[nodiscard]] constexpr clock::time_point time() const noexcept {
        return clock::time_point{std::chrono::nanoseconds{nanoseconds_}};
    }

    constexpr auto
    operator<=>(const deadline&) const noexcept = default; // NOLINT(modernize-use-nullptr): clang-tidy 14

private:
    static constexpr std::int64_t never_ = std::numeric_limits<std::int64_t>::max();

    COIR_EXPORT static std::int64_t now() noexcept;
    COIR_EXPORT static std::int64_t from_now(std::int64_t nanoseconds) noexcept;

    std::int64_t nanoseconds_ = never_; // since the clock's epoch
};

} // namespace coir
