#pragma once

#include "sched/timer_entry.hpp"

#include <coir/detail/timer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace coir::detail {

/// Timers whose deadlines come in order: a ring that is sorted because it is appended to only. Arming and disarming take
/// the same few instructions however many there are, and touch no other timer. One that is disarmed leaves a gap, which goes
/// when an end of the ring comes to it, or when the ring is full: at least half of it are gaps then.
class timer_run {
public:
    /// What timer_index is here has `mark` in it, two bits that tell this run from other places.
    explicit timer_run(std::uint32_t mark) noexcept : mark_(mark) {}

    [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
    /// There must be one.
    [[nodiscard]] loop_time earliest() const noexcept { return at(head_).when; }
    [[nodiscard]] loop_time latest() const noexcept { return at(tail_ - 1).when; }

    /// Room for `count` timers in all. Strong guarantee; amortised O(1) a timer.
    void reserve(std::size_t count);

    /// There must be room, and none that is later.
    void arm(timer& added, loop_time when) noexcept {
        if (tail_ - head_ > mask_) [[unlikely]]
            close_gaps();
        append({when, &added});
    }

    /// The one whose timer_index is `index`.
    void disarm(std::uint32_t index) noexcept {
        timer_entry& removed = entries_[index & mask_];
        removed.what->timer_index = timer::no_timer;
        removed.what = nullptr;
        while (!empty() && !at(head_).what)
            ++head_;
        while (!empty() && !at(tail_ - 1).what)
            --tail_;
    }

    /// Takes out the earliest.
    timer& pop() noexcept {
        timer& first = *at(head_).what;
        disarm(first.timer_index);
        return first;
    }

    /// Takes out all for which `keep(timer)` is false.
    template <class Keep> void retain(Keep keep) noexcept {
        const std::size_t end = tail_;
        tail_ = head_;
        for (std::size_t i = head_; i != end; ++i) {
            const timer_entry each = at(i);
            if (each.what && keep(*each.what))
                append(each);
            else if (each.what)
                each.what->timer_index = timer::no_timer;
        }
    }

private:
    [[nodiscard]] timer_entry& at(std::size_t place) const noexcept { return entries_[place & mask_]; }

    void append(const timer_entry& added) noexcept {
        added.what->timer_index = mark_ | static_cast<std::uint32_t>(tail_ & mask_);
        at(tail_++) = added;
    }

    void close_gaps() noexcept;

    std::unique_ptr<timer_entry[]> entries_;
    std::size_t mask_ = 0;
    std::size_t head_ = 0; // of the first, which is no gap
    std::size_t tail_ = 0; // behind the last, which is none either
    std::uint32_t mark_;
};

} // namespace coir::detail
