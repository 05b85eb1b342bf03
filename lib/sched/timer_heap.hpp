#pragma once

#include "sched/timer_entry.hpp"

#include <bit>
#include <cstddef>
#include <vector>

namespace coir::detail {

/// Timers in any order, earliest first: a heap of four children a node, the arity at which the children to compare are one
/// cache line. Every timer knows its place, so that a wait that ends early leaves at once.
class timer_heap {
public:
    [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
    /// There must be one.
    [[nodiscard]] loop_time earliest() const noexcept { return heap_.front().when; }

    /// Room for `count` timers in all. Strong guarantee; amortised O(1) a timer.
    void reserve(std::size_t count) {
        if (count > heap_.capacity())
            heap_.reserve(std::bit_ceil(count));
    }

    /// There must be room. Among equals, no order is kept.
    void arm(timer& added, loop_time when) noexcept;

    /// The one whose timer_index is `index`.
    void disarm(std::uint32_t index) noexcept { remove(index); }

    /// Takes out the earliest.
    timer& pop() noexcept;

    /// Takes out all for which `keep(timer)` is false.
    template <class Keep> void retain(Keep keep) noexcept {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < heap_.size(); ++i) {
            const timer_entry each = heap_[i];
            if (keep(*each.what))
                sift_up(kept++, each);
            else
                each.what->timer_index = timer::no_timer;
        }
        heap_.erase(heap_.begin() + static_cast<std::ptrdiff_t>(kept), heap_.end());
    }

private:
    void place(std::size_t index, const timer_entry& value) noexcept;
    void sift_up(std::size_t index, const timer_entry& value) noexcept;
    void sift_down(std::size_t index, const timer_entry& value) noexcept;
    void remove(std::size_t index) noexcept;

    std::vector<timer_entry> heap_;
};

} // namespace coir::detail
