#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/waiter_queue.hpp>
#include <coir/export.hpp>

#include <cstddef>
#include <cstdint>

namespace coir {

namespace detail {

/// The state of a shared_mutex, all guarded by the queue's lock.
struct shared_mutex_state : waiter_queue {
    std::uintptr_t writer = 0; ///< who holds it exclusively, see lib/sync/holder.hpp
    std::size_t readers = 0;   ///< how many hold it shared
};

} // namespace detail

/// One writer or many readers: std::shared_mutex and std::shared_timed_mutex for fibers, of one loop or several, and for
/// threads without a loop, which then block as threads do. Works with std::unique_lock, std::shared_lock, std::scoped_lock.
///
/// Fairness: first come, first served. Consecutive readers in the queue are let in together; a reader that arrives while a
/// writer waits queues behind it. So neither starves the other, and a shared lock must not be taken recursively: a writer may
/// be waiting in between.
///
/// Cancellation is checked only when a call has to wait: then it throws coir::cancelled. Detected misuse: std::system_error
/// with std::errc::resource_deadlock_would_occur when the writer locks it again, in whatever way; std::logic_error when the
/// caller unlocks what it has not locked; both name the fiber. Destroying a held mutex ends the program.
///
///     coir::shared_mutex mutex;
///     std::string find(key which)            { const std::shared_lock hold{mutex}; return table.at(which); }
///     void change(key which, std::string to) { const std::unique_lock hold{mutex}; table[which] = std::move(to); }
class COIR_EXPORT shared_mutex {
public:
    constexpr shared_mutex() = default;
    ~shared_mutex();
    shared_mutex(const shared_mutex&) = delete;
    shared_mutex& operator=(const shared_mutex&) = delete;

    /// For writing: alone. May suspend.
    void lock() { try_lock_until(deadline::never()); }
    /// Never suspends.
    [[nodiscard]] bool try_lock() noexcept;
    /// As lock(); false if `until` passes first.
    bool try_lock_until(deadline until);
    [[nodiscard]] bool try_lock_for(deadline duration) { return try_lock_until(duration); }
    /// Never suspends.
    void unlock();

    /// For reading: with other readers. May suspend.
    void lock_shared() { try_lock_shared_until(deadline::never()); }
    /// Never suspends.
    [[nodiscard]] bool try_lock_shared() noexcept;
    /// As lock_shared(); false if `until` passes first.
    bool try_lock_shared_until(deadline until);
    [[nodiscard]] bool try_lock_shared_for(deadline duration) { return try_lock_shared_until(duration); }
    /// Never suspends.
    void unlock_shared();

private:
    detail::shared_mutex_state state_;
};

/// coir::shared_mutex has it all.
using shared_timed_mutex = shared_mutex;

} // namespace coir
