#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/wait_record.hpp>
#include <coir/export.hpp>

#include <atomic>

namespace coir::detail {

class thread_parker;
struct select_case;

/// A wait for an object that other threads use as well: a mutex, a channel. The waiter may be a fiber of any loop, or a thread
/// without a loop, which then blocks as threads do.
///
/// The object keeps its waiters in a list under a lock of its own, and does
///
///     lock; if (there is nothing to wait for) { unlock; return; }
///     shared_wait record{...}; record.begin(); list.push_back(record); unlock;
///     record.park(until);
///     if (!record.plainly_notified() && record.end() != wake_reason::notified) { lock; unlink the record if it is linked; unlock; }
///
/// and to wake a waiter it takes, under the same lock, the first record out of the list and claims it; if the claim fails,
/// somebody else has ended that wait, and it takes the next. If it succeeds, the waiter cannot continue, and its frame stays,
/// until the record is delivered, which may happen after unlocking, and after handing over a value. lib/sched/shared_wait.hpp
/// has claim() and deliver().
struct COIR_EXPORT shared_wait : wait_record {
    shared_wait(wait_kind what, const void* which) noexcept : wait_record(what, which, wait_scope::shared) {}

    /// The waiter is the running fiber, or else the calling thread. To be called before anybody else sees the record.
    [[gnu::visibility("hidden")]] void begin() noexcept;

    /// Suspends until somebody has claimed and delivered the record. The switch is the last thing it does: see
    /// loop::park().
    void park(deadline until) noexcept;

    /// Ends the wait that park() began: takes the record out of the timer queue. Returns who claimed it.
    [[nodiscard]] wake_reason end() noexcept;

    thread_parker* thread = nullptr; ///< who waits, when it is not a fiber; else null
    /// To a thread; or to a fiber that has not parked yet: then it need not. By the one that delivers, of a fiber its own
    /// thread.
    std::atomic<bool> delivered{false};
    shared_wait* next_posted = nullptr; ///< in the inbox of its loop, after the claim; by the thread that claimed
    select_case* chosen = nullptr;      ///< through which it was claimed; by the thread that claimed
};

/// One of several records of a single wait, that of a select(). It is in the list of its object, and claiming it claims the
/// wait of its select().
struct select_case : wait_record {
    select_case(wait_kind what, const void* which, shared_wait& whole) noexcept
        : wait_record(what, which, wait_scope::select), select(whole) {
        owner = whole.owner;
    }
    shared_wait& select;
};

} // namespace coir::detail
