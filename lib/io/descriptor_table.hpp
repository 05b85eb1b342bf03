#pragma once

#include "io/descriptor_slot.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

/// \file
/// Who waits for which descriptor, and what libev watches: the protocol.
///
/// Every descriptor number has a slot with two sides, read and write. A fiber that has to wait enters a wait record into
/// its side, sees to it that the side's watcher is started, and parks. Everything rests on one invariant, and on
/// epoll being level-triggered:
///
///     a side with a waiter that nobody has woken  =>  its watcher is started, or is looked at before the next poll,
///                                                     or all its waiters look by themselves (calls_in_vain)
///
/// As long as the descriptor is ready every poll reports it again, and every report wakes a waiter. So no wake-up can be
/// lost: not by a woken fiber that is cancelled, or that leaves data behind; not by a hint that came too early.
///
///  - An event calls the first waiter (`called`, until it runs again). While one is called, further events
///    call nobody: it is on its way, and it will take what is there. Events are collected during ev_run() and looked at
///    after it, a few at a time: the fibers of these are woken, with their memory fetched first, and run, before the next few are
///    looked at. So a fiber that runs finds in the cache what was touched to wake it: 5 % of the CPU at 1,000 busy connections,
///    and as much for fetching. A watcher that is stopped meanwhile takes its report back, as in libev.
///  - A fiber that was called and leaves, when there may be more, calls the next: saves a poll for each.
///  - A fiber that was called and finds nothing goes before all others again; a newcomer that finds somebody waiting
///    queues without trying. So waiters are served in the order in which they came.
///  - A waiter that a timer or a cancellation claimed is still listed until it runs. Whoever comes across it takes it out
///    and calls the next.
///
/// Watchers are stopped late, because each start costs an epoll_ctl (hazard E12). Of an owned descriptor, the one
/// for reading stays started between waits and is stopped by an event that nobody waits for. The one for writing is
/// stopped as soon as nobody waits, since a socket is nearly always writable; stopping and starting it between two
/// polls costs nothing. A borrowed number may have been closed and reopened since: each wait starts its watcher afresh,
/// with ev_io_set(), which makes libev register it again (hazard E2).
///
/// libev aborts the process when it registers a number that is not open (hazard E1). It registers at the beginning of
/// ev_run(), what was changed since the last; therefore settle() looks at the same changes just before. One more case is
/// left: after certain errors libev makes a new epoll and registers everything. It calls fork watchers before, and
/// so we check everything then.
///
/// Closing: stop watchers, take the file out of epoll (or a duplicate of it in another process would keep it there, hazard
/// E3), wake the waiters with wake_reason::closed, and change the generation, which tells a fiber that had been woken for
/// another reason that the number is not what it was. Then close(2).
namespace coir::detail {

class descriptor_table {
public:
    /// Becomes the user data of `events`.
    explicit descriptor_table(struct ev_loop* events);
    /// Does not touch `events`, which may be gone.
    ~descriptor_table();
    descriptor_table(const descriptor_table&) = delete;
    descriptor_table& operator=(const descriptor_table&) = delete;

    /// Null if the number has not been used yet.
    [[nodiscard]] descriptor_slot* find(int number) noexcept {
        const std::size_t index = static_cast<unsigned>(number) / slots_per_chunk;
        if (index >= chunks_.size() || !chunks_[index]) [[unlikely]]
            return nullptr;
        return &(*chunks_[index])[static_cast<unsigned>(number) % slots_per_chunk];
    }

    /// As find(), and makes it; null with an errno if the number is not open or there is no memory.
    [[nodiscard]] descriptor_slot* obtain(int number, int& error) noexcept;

    enum class origin : bool {
        unknown, ///< the number may have been in use: those who wait for it go on waiting
        fresh    ///< the system has just handed out the number: who waits for it has missed its closing
    };

    /// The slot's descriptor is owned from now on. Returns 0 or an errno.
    [[nodiscard]] int adopt(int number, descriptor_kind kind, origin from) noexcept;

    /// The number is about to be closed or given up.
    void withdraw(descriptor_slot& slot) noexcept;

    /// Makes events of `side` call those who wait there.
    void watch(descriptor_slot& slot, descriptor_side& side) noexcept {
        if (slot.is_owned() && ev_is_active(&side.watcher)) [[likely]]
            return;
        start(slot, side);
    }

    /// Events of `side` call nobody until the next watch(): all its waiters look by themselves.
    void unwatch(descriptor_slot& slot, descriptor_side& side) noexcept { stop(slot, side); }

    /// A waiter has left `side` without having been called.
    void left(descriptor_slot& slot, descriptor_side& side) noexcept {
        if (!side.has_waiters() && !(slot.is_owned() && &side == &slot.read))
            stop(slot, side);
    }

    /// Events have come that nobody has been woken for yet.
    [[nodiscard]] bool has_reports() const noexcept { return !reports_.empty(); }
    /// Wakes those for whom events have come: of the oldest `most`.
    void call_reported(std::size_t most) noexcept;

    /// In the child of a fork(): those who waited are not there.
    void forget_waiters() noexcept;

    /// There is something to settle.
    [[nodiscard]] bool has_changes() const noexcept { return changes_ != nullptr; }

    /// Must be called right before ev_run(). True: fibers have been woken, do not wait.
    [[nodiscard]] bool settle() noexcept;

private:
    static constexpr std::size_t slots_per_chunk = 64;
    using chunk = std::array<descriptor_slot, slots_per_chunk>;

    static void on_event(struct ev_loop* events, ev_io* watcher, int what);
    static void on_rebuild(struct ev_loop* events, ev_fork* watcher, int what);

    void start(descriptor_slot& slot, descriptor_side& side) noexcept;
    void stop(descriptor_slot& slot, descriptor_side& side) noexcept;
    void changed(descriptor_slot& slot) noexcept;
    void call(descriptor_side& side, loop& here) noexcept;
    void take_back_report(descriptor_side& side) noexcept;
    void forget_reports() noexcept;
    bool is_watchable(descriptor_slot& slot) noexcept;
    int error_of_epoll(int number) noexcept;
    void refuse(descriptor_slot& slot, wake_reason reason, int error) noexcept;
    [[nodiscard]] int epoll_descriptor() noexcept;

    std::vector<std::unique_ptr<chunk>> chunks_; // only grow
    // Sides with events that call_reported() has yet to look at, from first_report_ on; null: the watcher has been stopped. There is
    // room for every side.
    std::vector<descriptor_side*> reports_;
    std::size_t first_report_ = 0;
    std::size_t used_chunks_ = 0;        // of chunks_: not null
    descriptor_slot* changes_ = nullptr; // slots whose watchers were started or stopped since the last settle()
    struct ev_loop* events_;
    int epoll_ = -1; // see epoll_descriptor()
    ev_fork rebuild_;

    friend class ev_driver;
};

} // namespace coir::detail
