#pragma once

#include "sched/loop_driver.hpp"

#include <coir/detail/timer.hpp>

namespace coir::detail {

/// A timer and its deadline, where timers are compared: the timers themselves are on the stacks of their fibers.
struct timer_entry {
    loop_time when;
    timer* what;
};

} // namespace coir::detail
