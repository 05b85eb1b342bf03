#pragma once

#include "io/borrowed.hpp"
#include "io/errors.hpp"
#include "io/ev_driver.hpp"
#include "io/operation.hpp"
#include "sched/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <poll.h>

namespace coir::detail {

/// After this many system calls in a row that did not block, a call looks at its deadline: elsewhere only waiting does.
inline constexpr unsigned calls_per_look_at_clock = 64;

/// After so many calls in a row that were in vain, a fiber asks whether the descriptor is still reported as ready. If it is, the
/// loop would never sleep again: epoll reports some things for as long as they last, whatever one waits for, such as a message
/// in a socket's error queue (IP_RECVERR, ip(7)), which takes another call to read. So the fiber is not called any more, but looks
/// by itself, every `rest_after_calls_in_vain`, behind those who can still be called.
inline constexpr unsigned calls_in_vain = 8;
inline constexpr std::chrono::milliseconds rest_after_calls_in_vain{1};

/// The core of every blocking call on a descriptor: the system call first, waiting when it would block, until `Work` has
/// what it wants. May suspend.
///
/// Work is what differs between them:
///
///     direction way;                          what to wait for
///     bool takes;                             it uses up what it waits for, so waiters go first and are told in turn
///     bool is_empty();                        nothing to do
///     ssize_t attempt(kind, number);          the system call: bytes, or -1 and errno
///     bool is_short(moved);                   less than what was asked for
///     bool advance(moved);                    true: this was enough
///
/// Inlined into the public functions: a frame less to return through after the switch.
template <class Work>
[[gnu::always_inline]] inline outcome perform(loop& here, int number, Work& work, deadline until) noexcept {
    if (here.refuses()) [[unlikely]]
        return {0, was_cancelled};
    if (work.is_empty()) [[unlikely]]
        return {};
    descriptor_table& table = descriptors_of(here);
    descriptor_slot* found = table.find(number);
    if (!found) [[unlikely]] {
        int error = 0;
        found = table.obtain(number, error);
        if (!found)
            return {0, error};
    }
    descriptor_slot& slot = *found;
    descriptor_side& side = slot.side(work.way);
    const std::uint32_t generation = slot.generation;

    std::size_t bytes = 0;
    int last_try = 0;    // errno to end with if the next attempt would block
    bool waited = false; // since the last success
    unsigned called = 0; // so often since the last success, or since the descriptor was not ready
    bool try_first = !work.takes || !((work.way == direction::read && slot.drained) || slot.is_awaited(work.way));
    for (unsigned calls = 1;; ++calls) {
        bool rests = false; // see calls_in_vain
        if (try_first) [[likely]] {
            const ssize_t moved = work.attempt(slot.kind, number);
            if (moved > 0) [[likely]] {
                bytes += static_cast<std::size_t>(moved);
                const bool no_more = slot.short_means_no_more() && work.is_short(moved);
                if (work.takes) {
                    if (work.way == direction::read)
                        slot.drained = no_more;
                    if (!no_more && slot.is_awaited(work.way) && side.called == 0) [[unlikely]]
                        side.call_next(here);
                }
                const bool done = work.advance(moved);
                if (!waited)
                    here.spend(switches_per_system_call);
                if (done) [[likely]]
                    return {bytes, 0};
                if (slot.generation != generation)
                    return {bytes, EBADF};
                if (cancellation_due(here.running()))
                    return {bytes, was_cancelled};
                if (calls % calls_per_look_at_clock == 0 && until.has_passed())
                    return {bytes, ETIMEDOUT};
                waited = false;
                called = 0;
                if (!no_more)
                    continue;
            } else {
                int error = moved == 0 ? 0 : errno;
                if (error == EINTR)
                    continue;
                if (error != EAGAIN) {
                    if (side.has_waiters() && side.called == 0)
                        side.call_next(here); // the end and most errors are for all
                    if (ends_connection(error))
                        slot.broken = slot.is_owned() ? error : 0;
                    else if (slot.broken != 0 && (error == 0 || error == EPIPE))
                        error = slot.broken;
                    else if (error == 0 && work.way == direction::write)
                        error = EIO; // a device that takes nothing and says nothing
                    return {bytes, error};
                }
                if (last_try != 0)
                    return {bytes, last_try};
                if (called >= calls_in_vain) [[unlikely]] {
                    rests = is_ready(number, work.way == direction::read ? POLLIN : POLLOUT);
                    if (!rests)
                        called = 1; // and stays the first
                }
            }
        }
        try_first = true;

        wait_record record{work.way == direction::read ? wait_kind::readable : wait_kind::writable,
                           reinterpret_cast<const void*>(static_cast<std::intptr_t>(number))};
        if (rests) [[unlikely]] {
            if (!side.has_waiters_to_call())
                table.unwatch(slot, side);
            slot.enter_to_rest(record, work.way, here);
        } else {
            slot.enter(record, work.way, called != 0, here);
            if (until > deadline::passed()) [[likely]]
                table.watch(slot, side);
        }
        const wake_reason reason =
            here.wait(record, rests ? std::min(until, deadline{rest_after_calls_in_vain}) : until);

        if (slot.generation != generation) [[unlikely]]
            return {bytes, EBADF};
        if (reason == wake_reason::notified) [[likely]] {
            --side.called;
            waited = true;
            ++called;
            continue;
        }
        if (rests && reason == wake_reason::timed_out && !until.has_passed()) {
            waited = true;
            continue;
        }
        if (reason == wake_reason::closed)
            return {bytes, slot.refused};
        table.left(slot, side);
        if (reason == wake_reason::cancelled)
            return {bytes, was_cancelled};
        // What has come before the deadline is delivered after it, unless others wait for it who can still have it.
        if (work.takes && slot.is_awaited(work.way))
            return {bytes, ETIMEDOUT};
        last_try = ETIMEDOUT;
    }
}

} // namespace coir::detail
