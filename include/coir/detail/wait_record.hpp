#pragma once

#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/timer.hpp>

#include <atomic>
#include <cstdint>

namespace coir::detail {

struct fiber_base;

/// What a parked fiber waits for; for diagnostics.
enum class wait_kind : std::uint8_t {
    sleep,
    join,
    readable,
    writable,
    mutex, ///< `object` is the word that says who holds it: see lib/sched/holder_word.hpp
    shared_mutex,
    condition_variable,
    semaphore,
    event,
    latch,
    barrier,
    once,
    future,
    send,
    receive,
    select,
    task_group,
    offload,
    lookup,
    file,
    program,
};

/// Who ended a wait. A record is claimed once: the first source wins, the others find it claimed and do nothing.
enum class wake_reason : std::uint8_t {
    none,      ///< nobody yet: still waiting
    notified,  ///< what it waited for has happened (or may have: readiness is a hint)
    closed,    ///< what it waited for has gone away: the descriptor was closed
    timed_out, ///< its deadline passed
    cancelled, ///< its fiber was cancelled
};

/// Who may compete for a record.
enum class wait_scope : std::uint8_t {
    local,  ///< all its sources belong to the loop's thread
    shared, ///< a shared_wait: in the list of an object that other threads use as well
    select, ///< a select_case: stands for the shared_wait of its select()
};

/// One wait of one fiber (or of a thread without a loop): lives on the stack of the one that waits, from before it parks
/// until it runs again.
///
/// The sources that can end the wait know the record: the object's list of waiters (through list_node), the timer queue (as a
/// timer), the fiber itself (fiber_base::waiting, for cancellation). Whichever comes first claims it, and then only puts its
/// fiber into the ready queue. When the fiber runs again, it removes the record from all the other sources before its frame
/// goes. So no source ever holds a record that is gone, and no wait ends twice, in whatever order the sources fire within one
/// pass of the loop (hazard F7). lib/sched/shared_wait.cpp tells how that is done between threads.
struct wait_record : list_node, timer {
    wait_record(wait_kind what, const void* which, wait_scope where = wait_scope::local) noexcept
        : timer(use::wait), kind(what), scope(where), object(which) {}

    const wait_kind kind; ///< of `object`
    const wait_scope scope;
    std::atomic<wake_reason> reason{wake_reason::none}; ///< written by the source that claims
    fiber_base* owner = nullptr; ///< who waits: set by park(), and of a shared record before others can see it
    const void* object;          ///< address of what is waited for; for descriptors its number
    void* value = nullptr;       ///< what is handed over with the claim, or where to: depends on `kind`

    /// True if there is nothing to clean up: the object has notified the record, and removed it from its list, and there was no
    /// deadline. Recognises the most frequent end of a wait without a call.
    [[nodiscard]] bool plainly_notified() const noexcept {
        return reason.load(std::memory_order_relaxed) == wake_reason::notified && timer_index == no_timer &&
               !is_linked();
    }
};

} // namespace coir::detail
