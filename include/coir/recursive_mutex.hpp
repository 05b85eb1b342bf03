#pragma once

#include <coir/deadline.hpp>
#include <coir/export.hpp>
#include <coir/mutex.hpp>

namespace coir {

/// A coir::mutex that its holder may lock again: std::recursive_mutex and std::recursive_timed_mutex for fibers, of one loop or
/// several, and for threads without a loop. It is free when it has been unlocked as often as locked.
///
/// Suspension, cancellation, fairness and misuse: as for coir::mutex. Unlike with std::recursive_mutex, two fibers of one
/// thread are different owners.
///
///     coir::recursive_mutex mutex;
///     void add(item one) { const std::lock_guard hold{mutex}; items.push_back(std::move(one)); save(); }
///     void save()        { const std::lock_guard hold{mutex}; file.write_all(encode(items)); }
class COIR_EXPORT recursive_mutex {
public:
    constexpr recursive_mutex() = default;
    recursive_mutex(const recursive_mutex&) = delete;
    recursive_mutex& operator=(const recursive_mutex&) = delete;

    /// May suspend, if the caller does not hold it. Throws std::system_error with std::errc::resource_unavailable_try_again when it
    /// has been locked too often to be counted.
    void lock();
    /// Never suspends.
    [[nodiscard]] bool try_lock();
    /// As lock(); false if `until` passes first.
    [[nodiscard]] bool try_lock_until(deadline until);
    [[nodiscard]] bool try_lock_for(deadline duration) { return try_lock_until(duration); }
    /// Never suspends.
    void unlock();

    /// The caller holds it.
    [[nodiscard]] bool is_held() const noexcept { return mutex_.is_held(); }

private:
    // True: the caller has held it before, and holds it once more.
    bool lock_again();

    mutex mutex_;
    unsigned again_ = 0; // locked after the first time; the holder's own
};

/// coir::recursive_mutex has it all.
using recursive_timed_mutex = recursive_mutex;

} // namespace coir
