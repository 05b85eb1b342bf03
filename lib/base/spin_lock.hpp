#pragma once

#include "base/single_threaded.hpp"

#include <coir/detail/spin_lock.hpp>

namespace coir::detail {

inline void spin_lock::lock() noexcept {
    if (is_single_threaded())
        return locked_.store(true, std::memory_order_relaxed);
    if (locked_.exchange(true, std::memory_order_acquire)) [[unlikely]]
        lock_contended();
}

inline void spin_lock::unlock() noexcept {
    locked_.store(false, std::memory_order_release);
}

} // namespace coir::detail
