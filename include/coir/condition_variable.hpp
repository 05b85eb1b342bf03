#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/scope_state.hpp>
#include <coir/detail/waiter_queue.hpp>
#include <coir/export.hpp>
#include <coir/mutex.hpp>

#include <atomic>
#include <concepts>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

namespace coir {

class condition_variable;

namespace detail {

/// A wait for a condition_variable. That may be gone as soon as all waiters have been notified, even while one of them
/// discovers that its deadline has passed.
struct COIR_EXPORT condition_wait : shared_wait {
    enum class place : std::uint8_t {
        queued,  ///< the record is in the queue, or has been notified
        leaving, ///< its owner is about to lock the queue and take it out
        left     ///< somebody else has taken it out
    };

    explicit condition_wait(const condition_variable& which) noexcept
        : shared_wait(wait_kind::condition_variable, &which) {}

    std::atomic<place> where{place::queued};
};

/// Locks whose try_lock() is known never to wait, and to return true if it has locked.
template <class Lock>
concept plainly_lockable = std::same_as<Lock, mutex> || std::same_as<Lock, std::unique_lock<mutex>>;

/// Its destructor locks again, whatever the reason, and is not interrupted.
template <class Lock> class relock_at_end {
public:
    explicit relock_at_end(Lock& lock) noexcept : lock_(lock) {}
    relock_at_end(const relock_at_end&) = delete;
    relock_at_end& operator=(const relock_at_end&) = delete;
    ~relock_at_end() {
        if constexpr (plainly_lockable<Lock>)
            if (lock_.try_lock()) [[likely]]
                return;
        const cancellation_pause in_peace;
        lock_.lock();
    }

private:
    Lock& lock_;
};

} // namespace detail

/// Waits until something protected by a mutex has changed: std::condition_variable, and std::condition_variable_any, for fibers
/// of one loop or several, and for threads without a loop, which then block as threads do.
///
/// The waits unlock `lock`, wait for a notification, and lock it again before they return or throw. Any type with lock() and
/// unlock() will do; with coir::mutex, re-locking makes only the fiber wait, not its thread. All waits may suspend, are ended
/// by cancellation (coir::cancelled is thrown, with the lock held), and may wake spuriously; so use a predicate. A notification
/// that has reached a waiter is not lost to a deadline or cancellation. A waiter whose unlock() notifies and then throws
/// consumes a notification: nobody else gets it. May be destroyed as soon as all waiters have been notified, before their waits
/// have returned.
///
///     std::unique_lock lock{mutex};
///     changed.wait(lock, [&] { return !queue.empty(); });
class COIR_EXPORT condition_variable {
public:
    condition_variable() = default;
    condition_variable(const condition_variable&) = delete;
    condition_variable& operator=(const condition_variable&) = delete;

    /// Wake the longest waiter; all waiters. Never suspend.
    void notify_one() noexcept;
    void notify_all() noexcept;

    template <class Lock> void wait(Lock& lock) { wait_until(lock, deadline::never()); }

    template <class Lock, class Predicate> void wait(Lock& lock, Predicate predicate) {
        while (!predicate())
            wait(lock);
    }

    template <class Lock> std::cv_status wait_until(Lock& lock, deadline until) {
        detail::condition_wait record{*this};
        enter(record); // before unlocking: from then on it can be notified
        try {
            lock.unlock(); // a user's code: may throw, suspend, and notify
        } catch (...) {
            withdraw(record);
            throw;
        }
        const detail::relock_at_end relock{lock};
        record.park(until);
        return record.plainly_notified() || end(record) ? std::cv_status::no_timeout : std::cv_status::timeout;
    }

    template <class Lock, class Predicate> bool wait_until(Lock& lock, deadline until, Predicate predicate) {
        while (!predicate())
            if (wait_until(lock, until) == std::cv_status::timeout)
                return predicate();
        return true;
    }

    template <class Lock> std::cv_status wait_for(Lock& lock, deadline duration) { return wait_until(lock, duration); }

    template <class Lock, class Predicate> bool wait_for(Lock& lock, deadline duration, Predicate predicate) {
        return wait_until(lock, duration, std::move(predicate));
    }

private:
    void enter(detail::condition_wait& record) noexcept;
    // Ends a wait that has not parked.
    void withdraw(detail::condition_wait& record) noexcept;
    // Ends a wait that has parked. True: notified. Throws cancelled.
    bool end(detail::condition_wait& record);
    void leave(detail::condition_wait& record) noexcept;

    detail::waiter_queue queue_;
};

/// coir::condition_variable takes any lock.
using condition_variable_any = condition_variable;

} // namespace coir
