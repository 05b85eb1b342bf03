#pragma once

#include <coir/detail/fiber_base.hpp>
#include <coir/detail/intrusive_list.hpp>

namespace coir::detail {

/// Fetches what waking many fibers is about to touch.
///
/// Waking them one after the other would miss the caches and the page tables for each wait record, on a stack of its own, before
/// it is known where the next one is. But those who wait for the same have mostly been spawned one after the other: so the records
/// of those who come next among all fibers, whose control blocks lie side by side, are fetched ahead.
class records_ahead {
public:
    explicit records_ahead(const intrusive_list<fiber_base>& fibers) noexcept : fibers_(fibers) {}

    /// `woken`, one of the list, has just been woken.
    void after(fiber_base& woken) noexcept {
        if (&woken != expected_) {
            last_ = &woken;
            distance_ = 0;
        }
        expected_ = fibers_.after(woken);
        for (int step = 0; step < 2 && distance_ < most_ahead && last_; ++step) {
            last_ = fibers_.after(*last_);
            ++distance_;
            if (last_)
                __builtin_prefetch(last_->waiting);
        }
        --distance_;
    }

private:
    static constexpr int most_ahead = 16;

    const intrusive_list<fiber_base>& fibers_;
    fiber_base* expected_ = nullptr; // if the guess is right
    fiber_base* last_ = nullptr;     // whose record has been fetched; null behind the last fiber
    int distance_ = 0;               // of it, from the fiber woken last
};

} // namespace coir::detail
