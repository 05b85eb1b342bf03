#pragma once

#include "sched/timer_heap.hpp"
#include "sched/timer_run.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace coir::detail {

/// The deadlines of waits and scopes, earliest first.
///
/// Those of a server come nearly in order: each is as far from now as the one before, or there are two or three such distances.
/// So there are a few runs, which cost little; a deadline goes to the run that ends next before it (as in patience sorting), and
/// what no run takes goes to a heap. A few late ones do not keep a run for themselves: they move to the heap when another needs it.
class timer_queue {
public:
    /// The earliest deadline, or for_ever.
    [[nodiscard]] loop_time earliest() const noexcept;

    /// How many timers there may be before reserve() is needed.
    [[nodiscard]] std::size_t capacity() const noexcept { return reserved_; }

    /// Room for `count` timers in all. Strong guarantee; amortised O(1) a timer.
    void reserve(std::size_t count) {
        if (count > reserved_) [[unlikely]]
            reserve_more(count);
    }

    /// `added` must not be in the queue, and there must be room. Among equals, no order is kept.
    void arm(timer& added, loop_time when) noexcept;

    /// `removed` must be in the queue.
    void disarm(timer& removed) noexcept;

    /// Takes out and returns a timer whose deadline is `now` or earlier; null if there is none.
    [[nodiscard]] timer* pop_due(loop_time now) noexcept;

    /// Takes out all for which `keep(timer)` is false.
    template <class Keep> void retain(Keep keep) noexcept {
        for (timer_run& each : runs_)
            each.retain(keep);
        others_.retain(keep);
    }

private:
    static constexpr unsigned mark_shift = 30; // of timer::timer_index; 0: in the heap

    void reserve_more(std::size_t count);
    [[nodiscard]] timer_run* run_for(loop_time when) noexcept;
    [[nodiscard]] timer_run* vacate_a_run() noexcept;

    std::array<timer_run, 3> runs_{timer_run{1U << mark_shift}, timer_run{2U << mark_shift},
                                   timer_run{3U << mark_shift}};
    timer_heap others_;
    std::size_t reserved_ = 0;
};

} // namespace coir::detail
