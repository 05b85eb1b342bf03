#pragma once

#include <coir/detail/intrusive_list.hpp>

#include <cstdint>

namespace coir::detail {

struct fiber_base;

/// What a parked fiber waits for; for people who ask who waits for what.
enum class wait_kind : std::uint8_t { sleep, join, readable, writable };

/// Who ended a wait. A record is claimed once: the first source wins, the others find it claimed and do nothing.
enum class wake_reason : std::uint8_t {
    none,      ///< nobody yet: still waiting
    notified,  ///< what it waited for has happened (or may have: readiness is a hint)
    closed,    ///< what it waited for has gone away: the descriptor was closed
    timed_out, ///< its deadline passed
    cancelled, ///< its fiber was cancelled
};

/// One wait of one fiber: lives on the stack of the fiber that waits, from before it parks until it runs again.
///
/// The sources that can end the wait know the record: the object's list of waiters (through list_node), the timer queue
/// (through timer_index), the fiber itself (fiber_base::waiting, for cancellation). Whichever comes first claims it with
/// loop::wake(), which only puts the fiber into the ready queue. The fiber, when it runs again, takes the record out of
/// all the others before its frame goes (loop::end_wait() does). So no source ever holds a record that is gone, and no
/// wait ends twice, in whatever order the sources fire within one pass of the loop (hazard F7).
struct wait_record : list_node {
    wait_record(wait_kind what, const void* which) noexcept : object(which), kind(what) {}

    static constexpr std::uint32_t no_timer = UINT32_MAX;

    fiber_base* owner = nullptr;            ///< set by park()
    const void* object;                     ///< address of what is waited for; for descriptors its number
    std::uint32_t timer_index = no_timer;   ///< place in the timer queue, which keeps it up to date
    wait_kind kind;                         ///< of `object`
    wake_reason reason = wake_reason::none; ///< written by the source that claims

    /// Nothing is left to be taken back: the object has notified it, which took it out of the object's list, and there
    /// was no deadline. Lets the most frequent end of a wait be seen without a call.
    [[nodiscard]] bool plainly_notified() const noexcept {
        return reason == wake_reason::notified && timer_index == no_timer && !is_linked();
    }
};

} // namespace coir::detail
