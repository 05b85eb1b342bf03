#include "sched/timer_queue.hpp"

#include <algorithm>
#include <bit>

namespace coir::detail {

bool timer_queue::empty() const noexcept {
    return others_.empty() &&
           std::all_of(runs_.begin(), runs_.end(), [](const timer_run& each) { return each.empty(); });
}

loop_time timer_queue::earliest() const noexcept {
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

void timer_queue::arm(timer& added, loop_time when) noexcept {
    timer_run* best = nullptr; // the one that ends next before `when`, or else an empty one
    for (timer_run& each : runs_) {
        if (each.empty()) {
            if (!best)
                best = &each;
        } else if (each.latest() <= when && (!best || best->empty() || best->latest() < each.latest())) {
            best = &each;
        }
    }
    if (best)
        best->arm(added, when);
    else
        others_.arm(added, when);
}

void timer_queue::disarm(timer& removed) noexcept {
    const std::uint32_t index = removed.timer_index;
    if (const std::uint32_t mark = index >> mark_shift; mark != 0)
        runs_[mark - 1].disarm(index);
    else
        others_.disarm(index);
}

timer* timer_queue::pop_due(loop_time now) noexcept {
    const loop_time when = earliest();
    if (when > now)
        return nullptr;
    for (timer_run& each : runs_)
        if (!each.empty() && each.earliest() == when)
            return &each.pop();
    return others_.empty() ? nullptr : &others_.pop();
}

} // namespace coir::detail
