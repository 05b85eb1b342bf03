#include <coir/latch.hpp>

#include "sync/holder.hpp"

namespace coir {

void latch::count_down(std::ptrdiff_t update) {
    std::ptrdiff_t now = count_.load(std::memory_order_relaxed);
    do
        if (update < 0 || update > now)
            detail::throw_misuse(detail::current_holder(), "counts a latch down below zero");
    while (!count_.compare_exchange_weak(now, now - update, std::memory_order_acq_rel, std::memory_order_relaxed));
    if (now == update && update != 0)
        gate_.open();
}

} // namespace coir
