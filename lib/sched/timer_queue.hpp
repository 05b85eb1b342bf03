#pragma once

#include "sched/loop_driver.hpp"

#include <coir/detail/wait_record.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace coir::detail {

/// The deadlines of waiting fibers, earliest first: a heap of four children a node, the arity at which the children to
/// compare are one cache line. Every record knows its place, so that a wait that ends early leaves at once.
///
/// A new deadline is usually the latest, and one that is taken out was usually put in last: both then touch the end
/// of the array only, however many there are.
class timer_queue {
public:
    [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
    /// The earliest deadline, or for_ever.
    [[nodiscard]] loop_time earliest() const noexcept { return heap_.empty() ? for_ever : heap_.front().when; }

    /// Room for `count` records in all. Strong guarantee; amortised O(1) a record.
    void reserve(std::size_t count) {
        if (count > heap_.capacity())
            heap_.reserve(std::bit_ceil(count));
    }

    /// `record` must not be in the queue, and there must be room. Among equals, no order is kept.
    void arm(wait_record& record, loop_time when) noexcept;

    /// `record` must be in the queue.
    void disarm(wait_record& record) noexcept;

    /// Takes out and returns a record whose deadline is `now` or earlier; null if there is none.
    [[nodiscard]] wait_record* pop_due(loop_time now) noexcept;

private:
    struct entry {
        loop_time when;
        wait_record* record;
    };

    void place(std::size_t index, const entry& value) noexcept;
    void sift_up(std::size_t index, const entry& value) noexcept;
    void sift_down(std::size_t index, const entry& value) noexcept;
    void remove(std::size_t index) noexcept;

    std::vector<entry> heap_;
};

} // namespace coir::detail
