#pragma once

#include <atomic>

namespace coir::detail {

/// Guards what several threads share for a few instructions. Held by code that neither suspends nor calls a user's, so that
/// nobody waits long, unless the system has stopped the thread that holds it. Its functions are in lib/base/spin_lock.hpp.
class spin_lock {
public:
    spin_lock() = default;
    spin_lock(const spin_lock&) = delete;
    spin_lock& operator=(const spin_lock&) = delete;

    void lock() noexcept;
    void unlock() noexcept;

private:
    void lock_contended() noexcept;

    std::atomic<bool> locked_{false};
};

} // namespace coir::detail
