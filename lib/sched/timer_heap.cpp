#include "sched/timer_heap.hpp"

#include <algorithm>

namespace coir::detail {
namespace {

constexpr std::size_t children = 4;

constexpr std::size_t parent_of(std::size_t index) {
    return (index - 1) / children;
}

constexpr std::size_t first_child_of(std::size_t index) {
    return index * children + 1;
}

} // namespace

void timer_heap::arm(timer& added, loop_time when) noexcept {
    heap_.push_back({when, &added});
    sift_up(heap_.size() - 1, {when, &added});
}

timer& timer_heap::pop() noexcept {
    timer& first = *heap_.front().what;
    remove(0);
    return first;
}

void timer_heap::remove(std::size_t index) noexcept {
    heap_[index].what->timer_index = timer::no_timer;
    const timer_entry last = heap_.back();
    heap_.pop_back();
    if (index == heap_.size())
        return;
    // The last entry fills the gap; it may belong above or below it.
    if (index > 0 && last.when < heap_[parent_of(index)].when)
        sift_up(index, last);
    else
        sift_down(index, last);
}

void timer_heap::place(std::size_t index, const timer_entry& value) noexcept {
    heap_[index] = value;
    value.what->timer_index = static_cast<std::uint32_t>(index);
}

void timer_heap::sift_up(std::size_t index, const timer_entry& value) noexcept {
    while (index > 0 && value.when < heap_[parent_of(index)].when) {
        place(index, heap_[parent_of(index)]);
        index = parent_of(index);
    }
    place(index, value);
}

void timer_heap::sift_down(std::size_t index, const timer_entry& value) noexcept {
    for (;;) {
        const std::size_t first = first_child_of(index);
        const std::size_t end = std::min(first + children, heap_.size());
        if (first >= end)
            break;
        std::size_t earliest = first;
        for (std::size_t child = first + 1; child < end; ++child)
            if (heap_[child].when < heap_[earliest].when)
                earliest = child;
        if (value.when <= heap_[earliest].when)
            break;
        place(index, heap_[earliest]);
        index = earliest;
    }
    place(index, value);
}

} // namespace coir::detail
