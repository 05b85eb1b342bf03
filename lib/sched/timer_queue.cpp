#include "sched/timer_queue.hpp"

#include <algorithm>
#include <bit>

namespace coir::detail {
namespace {

constexpr std::size_t most_displaced = 4;

} // namespace

[[gnu::hot]] loop_time timer_queue::earliest() const noexcept {
    loop_time earliest = others_.empty() ? for_ever : others_.earliest();
    for (const timer_run& each : runs_)
        if (!each.empty())
            earliest = std::min(earliest, each.earliest());
    return earliest;
}

void timer_queue::reserve_more(std::size_t count) {
    const std::size_t larger = std::bit_ceil(count);
    for (timer_run& each : runs_)
        each.reserve(larger);
    others_.reserve(larger);
    reserved_ = larger;
}

[[gnu::hot]] void timer_queue::arm(timer& added, loop_time when) noexcept {
    if (timer_run* run = run_for(when))
        run->arm(added, when);
    else
        others_.arm(added, when);
}

// The one that ends next before `when`, or else an empty one; null: none takes it.
[[gnu::hot]] timer_run* timer_queue::run_for(loop_time when) noexcept {
    timer_run* best = nullptr;
    for (timer_run& each : runs_)
        if (each.takes(when) && (!best || best->empty() || (!each.empty() && best->latest() < each.latest())))
            best = &each;
    return best ? best : vacate_a_run();
}

// Null if all are long.
timer_run* timer_queue::vacate_a_run() noexcept {
    timer_run& shortest =
        *std::min_element(runs_.begin(), runs_.end(),
                          [](const timer_run& one, const timer_run& other) { return one.length() < other.length(); });
    if (shortest.length() > most_displaced)
        return nullptr;
    while (!shortest.empty()) {
        const loop_time displaced = shortest.earliest();
        others_.arm(shortest.pop(), displaced);
    }
    return &shortest;
}

[[gnu::hot]] void timer_queue::disarm(timer& removed) noexcept {
    const std::uint32_t index = removed.timer_index;
    if (const std::uint32_t mark = index >> mark_shift; mark != 0)
        runs_[mark - 1].disarm(index);
    else
        others_.disarm(index);
}

[[gnu::hot]] timer* timer_queue::pop_due(loop_time now) noexcept {
    const loop_time when = earliest();
    if (when > now)
        return nullptr;
    for (timer_run& each : runs_)
        if (!each.empty() && each.earliest() == when)
            return &each.pop();
    return others_.empty() ? nullptr : &others_.pop();
}

} // namespace coir::detail
