#include "sched/timer_run.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace coir::detail {

void timer_run::reserve(std::size_t count) {
    if (entries_ && 2 * count <= mask_ + 1)
        return;
    const std::size_t larger = std::bit_ceil(std::max<std::size_t>(2 * count, 128));
    auto entries = std::make_unique_for_overwrite<timer_entry[]>(larger); // untouched pages cost nothing
    const std::unique_ptr<timer_entry[]> before = std::exchange(entries_, std::move(entries));
    const std::size_t mask_before = std::exchange(mask_, larger - 1);
    const std::size_t end = std::exchange(tail_, head_);
    for (std::size_t i = head_; i != end; ++i)
        if (const timer_entry& each = before[i & mask_before]; each.what)
            append(each);
}

void timer_run::close_gaps() noexcept {
    retain([](const timer&) { return true; });
}

} // namespace coir::detail
