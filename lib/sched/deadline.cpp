#include <coir/deadline.hpp>

#include "sched/loop.hpp"

#include <chrono>

namespace coir {

std::int64_t deadline::now() noexcept {
    if (const detail::loop* here = detail::loop::current())
        return here->driver().now();
    return std::chrono::nanoseconds{clock::now().time_since_epoch()}.count();
}

std::int64_t deadline::from_now(std::int64_t nanoseconds) noexcept {
    if (nanoseconds == never_)
        return never_;
    std::int64_t sum = 0;
    if (__builtin_add_overflow(now(), nanoseconds, &sum))
        return nanoseconds > 0 ? never_ : std::numeric_limits<std::int64_t>::min();
    return sum;
}

} // namespace coir
