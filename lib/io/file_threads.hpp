#pragma once

#include "sched/loop.hpp"

#include <coir/deadline.hpp>
#include <coir/detail/offloaded_call.hpp>

namespace coir::detail {

/// Waits until one of the threads for files has carried out `call`, which uses what belongs to the caller. Returns 0; or, when
/// it has not begun and never will, ETIMEDOUT, was_cancelled, or why there is no thread. May suspend.
int lend_to_thread(loop& here, offloaded_call& call, deadline until) noexcept;

} // namespace coir::detail
