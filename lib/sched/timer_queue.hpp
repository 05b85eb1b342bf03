#pragma once

#include "sched/loop_driver.hpp"

#include <coir/detail/timer.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace coir::detail {

/// The deadlines of waits and scopes, earliest first: a heap of four children a node, the arity at which the children to
/// compare are one cache line. Every timer knows its place, so that a wait that ends early leaves at once.
///
/// A new deadline is usually the latest, and one that is taken out was usually put in last: both then touch the end
/// of the array only, however many there are.
class timer_queue {
public:
    [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
    /// The earliest deadline, or for_ever.
    [[nodiscard]] loop_time earliest() const noexcept { return heap_.empty() ? for_ever : heap_.front().when; }

    /// Room for `count` timers in all. Strong guarantee; amortised O(1) a timer.
    void reserve(std::size_t count) {
        if (count > heap_.capacity())
            heap_.reserve(std::bit_ceil(count));
    }

    /// `added` must not be in the queue, and there must be room. Among equals, no order is kept.
    void arm(timer& added, loop_time when) noexcept;

    /// `removed` must be in the queue.
    void disarm(timer& removed) noexcept;

    /// Takes out and returns a timer whose deadline is `now` or earlier; null if there is none.
    [[nodiscard]] timer* pop_due(loop_time now) noexcept;

    /// Takes out all for which `keep(timer)` is false.
    template <class Keep> void retain(Keep keep) noexcept {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < heap_.size(); ++i) {
            const entry each = heap_[i];
            if (keep(*each.what))
                sift_up(kept++, each);
            else
                each.what->timer_index = timer::no_timer;
        }
        heap_.erase(heap_.begin() + static_cast<std::ptrdiff_t>(kept), heap_.end());
    }

private:
    struct entry {
        loop_time when;
        timer* what;
    };

    void place(std::size_t index, const entry& value) noexcept;
    void sift_up(std::size_t index, const entry& value) noexcept;
    void sift_down(std::size_t index, const entry& value) noexcept;
    void remove(std::size_t index) noexcept;

    std::vector<entry> heap_;
};

} // namespace coir::detail
