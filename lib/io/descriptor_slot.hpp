#pragma once

#include "io/operation.hpp"
#include "sched/loop.hpp"

#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/wait_record.hpp>

#include <cstddef>
#include <cstdint>
#include <ev.h>

namespace coir::detail {

/// What is known of the number's file. Only of a descriptor we own: a borrowed number may be another file tomorrow.
enum class descriptor_kind : std::uint8_t {
    borrowed,       ///< not ours: nothing is known
    stream_socket,  ///< TCP and the like: a short transfer means there is no more
    message_socket, ///< each transfer is one message: a short one means nothing
    pipe,           ///< as a stream, with other system calls
    file,           ///< regular files, directories, block devices: always ready, never watched (hazard E6)
    other,          ///< terminals, eventfd, …
};

/// One direction of a descriptor: who waits for it, and libev's watcher for it. Written on the loop's thread only.
struct descriptor_side {
    ev_io watcher;                       ///< must be first: see descriptor_table::on_event()
    intrusive_list<wait_record> waiting; ///< first come, first served
    const waiter* latest = nullptr;      ///< who has come last: only to be fetched into the cache, may be gone
    std::uint32_t called = 0;            ///< fibers that were notified and have not run since
    std::uint32_t reported = 0;          ///< place among the table's reports, from 1; 0: not there

    /// Somebody is to be served before a newcomer.
    [[nodiscard]] bool is_awaited() const noexcept { return called != 0 || has_waiters(); }
    [[nodiscard]] bool has_waiters() const noexcept { return !waiting.empty(); }

    /// Wakes the first that has not been woken by something else meanwhile.
    void call_next(loop& here) noexcept {
        while (has_waiters())
            if (here.wake(waiting.pop_front(), wake_reason::notified)) {
                ++called;
                return;
            }
    }

    /// Its first waiter will run soon. What it then touches first lies in two places: the fiber, and on its stack the frames
    /// in which it is suspended, with the record between them. All of it has been out of the cache for as long as the
    /// descriptor was not ready, and is fetched at once instead of piece by piece.
    void fetch_waiter() noexcept {
        constexpr std::ptrdiff_t line = 64;
        const auto* record = reinterpret_cast<const std::byte*>(&waiting.front());
        for (std::ptrdiff_t offset = -2 * line; offset <= 3 * line; offset += line)
            __builtin_prefetch(record + offset);
        __builtin_prefetch(latest);
    }

    /// Some do not look by themselves: see calls_in_vain.
    [[nodiscard]] bool has_waiters_to_call() noexcept {
        return waiting.find_if([](const wait_record& record) { return record.value != resting(); }) != nullptr;
    }

    /// What wait_record::value is for one that looks by itself.
    [[nodiscard]] static void* resting() noexcept {
        static char marker;
        return &marker;
    }

    void wake_all(loop& here, wake_reason reason) noexcept {
        while (has_waiters())
            here.wake(waiting.pop_front(), reason);
    }
};

/// What the loop knows of one descriptor number. Stays where it is; all zero but for the watchers until first used.
///
/// A read that waits touches the first two cache lines, an event the same two, a write that does not wait the second.
struct alignas(64) descriptor_slot {
    descriptor_side read;
    int number = -1;
    std::uint32_t generation = 0; ///< changes when the number is closed, given up or adopted anew
    descriptor_kind kind = descriptor_kind::borrowed;
    bool drained = false;        ///< owned only: the last read took all there was, so the next waits first
    bool is_in_kernel = false;   ///< epoll may know the file
    bool is_fresh = false;       ///< libev will register it even if the events have not changed
    bool is_changed = false;     ///< in the table's list of changes
    std::uint8_t registered = 0; ///< events libev has registered: those watched at the last settle()
    std::uint8_t entered = 0;    ///< sides (by direction) that may have waiters; spares most writes the look there
    bool is_shared = false;      ///< owned only: received, so others may have the open file, and set its mode
    int refused = 0;             ///< errno for waiters that are woken because it cannot be watched
    int broken = 0;              ///< errno with which an owned connection ended; the kernel reports it once only
    descriptor_slot* next_change = nullptr;
    descriptor_side write;

    [[nodiscard]] bool is_owned() const noexcept { return kind != descriptor_kind::borrowed; }
    [[nodiscard]] descriptor_side& side(direction way) noexcept { return way == direction::read ? read : write; }
    [[nodiscard]] std::uint8_t watched() const noexcept {
        return static_cast<std::uint8_t>((ev_is_active(&read.watcher) ? EV_READ : 0) |
                                         (ev_is_active(&write.watcher) ? EV_WRITE : 0));
    }
    /// Somebody is to be served before a newcomer.
    [[nodiscard]] bool is_awaited(direction way) noexcept {
        if ((entered & bit(way)) == 0) [[likely]]
            return false;
        if (side(way).is_awaited())
            return true;
        entered = static_cast<std::uint8_t>(entered & ~bit(way));
        return false;
    }
    /// `returns`: it was called and found nothing. Then it goes before all others, who came later.
    void enter(wait_record& record, direction way, bool returns, const loop& here) noexcept {
        entered |= bit(way);
        descriptor_side& entered_side = side(way);
        if (returns) [[unlikely]]
            entered_side.waiting.push_front(record);
        else
            entered_side.waiting.push_back(record);
        entered_side.latest = &here.running();
    }
    /// As enter(), to look by itself: behind all others, who may have more success.
    void enter_to_rest(wait_record& record, direction way, const loop& here) noexcept {
        record.value = descriptor_side::resting();
        enter(record, way, false, here);
    }
    /// A transfer of less than what was asked for means that the next would block.
    [[nodiscard]] bool short_means_no_more() const noexcept {
        return kind == descriptor_kind::stream_socket || kind == descriptor_kind::pipe;
    }

private:
    static constexpr std::uint8_t bit(direction way) noexcept {
        return way == direction::read ? std::uint8_t{EV_READ} : std::uint8_t{EV_WRITE};
    }
};

} // namespace coir::detail
