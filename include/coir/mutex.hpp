#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/shared_wait.hpp>
#include <coir/detail/waiter_queue.hpp>
#include <coir/export.hpp>

#include <atomic>
#include <cstdint>

namespace coir {

/// Mutual exclusion across blocking calls, between fibers of one loop or several, and threads without a loop: std::mutex and
/// std::timed_mutex for fibers. A fiber that waits for the lock lets the others run; a thread without a loop blocks as threads
/// do. Works with std::lock_guard, std::unique_lock, std::scoped_lock.
///
/// Within one loop, code between two blocking calls needs no lock at all.
///
/// Fairness: first come, first served, within a loop; the mutex is handed over to the longest waiter. A waiter on another
/// thread is woken and has to compete, since waiting for it to wake up would hold up everybody; when it has lost a few times,
/// the mutex is handed over to it as well.
///
/// Cancellation is checked only when lock() has to wait: then it throws coir::cancelled; a lock that was obtained is kept.
/// Locking a mutex that the caller holds already throws std::system_error with std::errc::resource_deadlock_would_occur;
/// unlocking one that the caller does not hold throws std::logic_error; both name the fibers. Destroying a held mutex ends the
/// program. A fiber that ends while it holds a mutex leaves it locked, as a thread does, and a fiber created later may be
/// mistaken for the holder.
///
///     coir::mutex mutex;
///     const std::lock_guard hold{mutex};
///     connection.send(request);               // others may run meanwhile, but nobody else is in here
///     connection.receive(answer);
class COIR_EXPORT mutex {
public:
    constexpr mutex() = default;
    ~mutex();
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    /// May suspend.
    void lock() {
        if (!try_lock()) [[unlikely]]
            wait_for_lock(deadline::never());
    }
    /// Never suspends. Also false if the caller holds it already, and while others queue for it.
    [[nodiscard]] bool try_lock() noexcept;
    /// As lock(); false if `until` passes first.
    [[nodiscard]] bool try_lock_until(deadline until) { return try_lock() || wait_for_lock(until); }
    [[nodiscard]] bool try_lock_for(deadline duration) { return try_lock_until(duration); }
    /// Never suspends.
    void unlock();

    /// The caller holds it.
    [[nodiscard]] bool is_held() const noexcept;

private:
    [[gnu::visibility("hidden")]] bool exchange(std::uintptr_t expected, std::uintptr_t desired) noexcept;
    [[gnu::visibility("hidden")]] bool replace(detail::spin_lock::hold how, std::uintptr_t& expected,
                                               std::uintptr_t desired) noexcept;
    [[gnu::visibility("hidden")]] void unlock_slowly(std::uintptr_t self, detail::spin_lock::hold how);

    enum class attempt : std::uint8_t { succeeded, lost, timed_out };

    // In the caller's own frame: see loop::park().
    bool wait_for_lock(deadline until) {
        for (int losses = 0;; ++losses) {
            detail::shared_wait record{detail::wait_kind::mutex, &holder_};
            lock_or_park(record, losses, until);
            if (record.plainly_notified() && record.value == this)
                return true;
            if (const attempt result = end_wait(record); result != attempt::lost)
                return result == attempt::succeeded;
        }
    }
    // The switch is the last thing it does.
    void lock_or_park(detail::shared_wait& record, int losses, deadline until);
    [[gnu::visibility("hidden")]] bool lock_or_enter(detail::shared_wait& record, int losses);
    attempt end_wait(detail::shared_wait& record);

    // Who holds it, see lib/sched/holder_word.hpp, and in the lowest bit whether others wait. 0: nobody; 1: nobody, but some wait.
    std::atomic<std::uintptr_t> holder_{0};
    detail::waiter_queue queue_;
};

/// coir::mutex has it all.
using timed_mutex = mutex;

} // namespace coir
