#pragma once

#include <cstdint>
#include <limits>
#include <memory>

namespace coir::detail {

/// Nanoseconds of the loop's clock.
using loop_time = std::int64_t;
inline constexpr loop_time without_waiting = std::numeric_limits<loop_time>::min();
inline constexpr loop_time for_ever = std::numeric_limits<loop_time>::max();

/// What the scheduler needs of an event loop. lib/io implements it on libev; tests use one with a virtual clock.
/// All but notify() are called on the loop's thread, on the thread's own stack, never from a fiber; now() from anywhere
/// on the thread.
class loop_driver {
public:
    loop_driver() = default;
    loop_driver(const loop_driver&) = delete;
    loop_driver& operator=(const loop_driver&) = delete;
    virtual ~loop_driver() = default;

    /// The clock that deadlines are measured on: steady.
    [[nodiscard]] virtual loop_time now() noexcept = 0;

    /// Wakes the fibers whose events have come. If there are none yet: waits for some, for notify(), or for the clock to
    /// reach `until`, whichever is first. May return early without a reason. When it may wait, others may be left for wake_more().
    virtual void run_once(loop_time until) = 0;

    /// Wakes more of the fibers whose events run_once() has found. False: there are none. Must have been false before run_once()
    /// is asked to wait.
    virtual bool wake_more() noexcept { return false; }

    /// Makes run_once() return, now or when it is next called. From any thread.
    virtual void notify() noexcept = 0;

    /// In the child of a fork(), on the thread of the loop, which goes on there: shares nothing with the parent's driver from
    /// now on, and forgets all waits.
    virtual void continue_in_child() noexcept {}

    /// In the child of a fork(), where the thread of the loop does not exist: gives up what it shares with the parent's driver.
    virtual void abandon_in_child() noexcept {}
};

/// The driver of coir::run(). Declared here, where it is needed, and defined in lib/io, so that no layer includes one
/// above it.
std::unique_ptr<loop_driver> make_default_driver();

} // namespace coir::detail
