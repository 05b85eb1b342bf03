#include "sched/timer_run.hpp"

#include <algorithm>
#include <bit>

namespace coir::detail {
namespace {

constexpr std::size_t least_places = 128;
constexpr std::size_t most_places = 16'384;

} // namespace

void timer_run::reserve(std::size_t count) {
    // Twice as many as timers, so that gaps need not be closed for each.
    const std::size_t larger = std::bit_ceil(std::clamp(2 * count, least_places, most_places));
    if (larger <= capacity_)
        return;
    auto entries = std::make_unique_for_overwrite<timer_entry[]>(larger); // untouched pages cost nothing
    const std::unique_ptr<timer_entry[]> before = std::exchange(entries_, std::move(entries));
    const std::size_t capacity_before = std::exchange(capacity_, larger);
    const std::size_t end = std::exchange(tail_, head_);
    gaps_ = 0;
    for (std::size_t i = head_; i != end; ++i)
        if (const timer_entry& each = before[i & (capacity_before - 1)]; each.what)
            append(each);
}

void timer_run::close_gaps() noexcept {
    retain([](const timer&) { return true; });
}

} // namespace coir::detail
