#pragma once

#include "sched/timer_entry.hpp"

#include <coir/detail/timer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace coir::detail {

/// Timers whose deadlines come in order: a ring that is sorted because it is appended to only. Arming and disarming take a few
/// instructions, and touch no other timer. One that is disarmed leaves a gap, which goes when an end of the ring comes to it, or
/// all at once when the ring is full and half of it are gaps: so each is paid for by one that was armed, and the others are moved
/// once for it. A ring has 16,384 places at most, so that this takes a millisecond or two at worst.
class timer_run {
public:
    /// What timer_index is here has `mark` in it, two bits that tell this run from other places.
    explicit timer_run(std::uint32_t mark) noexcept : mark_(mark) {}

    [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
    /// There must be one.
    [[nodiscard]] loop_time earliest() const noexcept { return at(head_).when; }
    [[nodiscard]] loop_time latest() const noexcept { return at(tail_ - 1).when; }

    /// From the first to the last, gaps and all.
    [[nodiscard]] std::size_t length() const noexcept { return tail_ - head_; }

    /// Places for `count` timers, or as many as there can be. Strong guarantee; amortised O(1) a timer.
    void reserve(std::size_t count);

    /// `when` comes after all others, and there is room.
    [[nodiscard]] bool takes(loop_time when) const noexcept {
        return (length() < capacity_ || 2 * gaps_ >= capacity_) && (empty() || latest() <= when);
    }
    /// It must be one that it takes().
    void arm(timer& added, loop_time when) noexcept {
        if (length() == capacity_) [[unlikely]]
            close_gaps();
        append({when, &added});
    }

    /// The one whose timer_index is `index`.
    void disarm(std::uint32_t index) noexcept {
        timer_entry& removed = entries_[index & (capacity_ - 1)];
        removed.what->timer_index = timer::no_timer;
        removed.what = nullptr;
        ++gaps_;
        for (; !empty() && !at(head_).what; ++head_)
            --gaps_;
        for (; !empty() && !at(tail_ - 1).what; --tail_)
            --gaps_;
    }

    /// Takes out the earliest.
    timer& pop() noexcept {
        timer& first = *at(head_).what;
        disarm(first.timer_index);
        return first;
    }

    /// Takes out all for which `keep(timer)` is false.
    template <class Keep> void retain(Keep keep) noexcept {
        const std::size_t end = std::exchange(tail_, head_);
        gaps_ = 0;
        for (std::size_t i = head_; i != end; ++i) {
            const timer_entry each = at(i);
            if (each.what && keep(*each.what))
                append(each);
            else if (each.what)
                each.what->timer_index = timer::no_timer;
        }
    }

private:
    [[nodiscard]] timer_entry& at(std::size_t place) const noexcept { return entries_[place & (capacity_ - 1)]; }

    void append(const timer_entry& added) noexcept {
        added.what->timer_index = mark_ | static_cast<std::uint32_t>(tail_ & (capacity_ - 1));
        at(tail_++) = added;
    }

    void close_gaps() noexcept;

    std::unique_ptr<timer_entry[]> entries_;
    std::size_t capacity_ = 0; // a power of two
    std::size_t head_ = 0;     // of the first, which is no gap
    std::size_t tail_ = 0;     // behind the last, which is none either
    std::size_t gaps_ = 0;     // between them
    std::uint32_t mark_;
};

} // namespace coir::detail
