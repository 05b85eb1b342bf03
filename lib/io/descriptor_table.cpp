#include "io/descriptor_table.hpp"

#include "io/ev_driver.hpp"
#include "io/fork_canary.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <new>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <utility>

namespace coir::detail {

descriptor_table::descriptor_table(struct ev_loop* events) : events_(events) {
    ev_set_userdata(events_, this);
    ev_fork_init(&rebuild_, on_rebuild);
    ev_fork_start(events_, &rebuild_);
}

descriptor_table::~descriptor_table() = default;

descriptor_slot* descriptor_table::obtain(int number, int& error) noexcept {
    if (descriptor_slot* slot = find(number)) [[likely]]
        return slot;
    // So that a wild number costs no memory.
    if (::fcntl(number, F_GETFD) == -1) {
        error = errno;
        return nullptr;
    }
    const std::size_t index = static_cast<unsigned>(number) / slots_per_chunk;
    try {
        if (index >= chunks_.size())
            chunks_.resize(index + 1);
        // Twice each side: once among those that have been looked at since reports_ was empty, and once behind them.
        if (const std::size_t most = 4 * slots_per_chunk * (used_chunks_ + 1); reports_.capacity() < most)
            reports_.reserve(2 * most);
        chunks_[index] = std::make_unique<chunk>();
        ++used_chunks_;
    } catch (const std::bad_alloc&) {
        error = ENOMEM;
        return nullptr;
    }
    int next = static_cast<int>(index * slots_per_chunk);
    for (descriptor_slot& slot : *chunks_[index]) {
        slot.number = next++;
        ev_io_init(&slot.read.watcher, on_event, slot.number, EV_READ);
        ev_io_init(&slot.write.watcher, on_event, slot.number, EV_WRITE);
        slot.read.watcher.data = slot.write.watcher.data = &slot;
    }
    return find(number);
}

int descriptor_table::adopt(int number, descriptor_kind kind, origin from) noexcept {
    int error = 0;
    descriptor_slot* slot = obtain(number, error);
    if (!slot)
        return error;
    if (from == origin::fresh || slot->is_owned()) {
        slot->is_in_kernel = false; // that was another file, and the kernel has forgotten it
        withdraw(*slot);
    }
    slot->kind = kind;
    for (descriptor_side* side : {&slot->read, &slot->write}) {
        // The file may be another than the one libev knows.
        stop(*slot, *side);
        ev_io_set(&side->watcher, number, side == &slot->read ? EV_READ : EV_WRITE);
        slot->is_fresh = true;
        if (side->has_waiters())
            start(*slot, *side);
    }
    return 0;
}

void descriptor_table::withdraw(descriptor_slot& slot) noexcept {
    stop(slot, slot.read);
    stop(slot, slot.write);
    if (slot.is_in_kernel) {
        fork_canary::require_own_process();
        epoll_event unused{};
        ::epoll_ctl(epoll_descriptor(), EPOLL_CTL_DEL, slot.number, &unused);
        slot.is_in_kernel = false;
    }
    loop* here = loop::current();
    for (descriptor_side* side : {&slot.read, &slot.write}) {
        if (here)
            side->wake_all(*here, wake_reason::closed);
        side->called = 0;
    }
    ++slot.generation;
    slot.kind = descriptor_kind::borrowed;
    slot.drained = false;
    slot.is_shared = false;
    slot.refused = EBADF;
    slot.broken = 0;
}

void descriptor_table::start(descriptor_slot& slot, descriptor_side& side) noexcept {
    if (!slot.is_owned()) {
        ev_io_stop(events_, &side.watcher);
        ev_io_set(&side.watcher, slot.number, &side == &slot.read ? EV_READ : EV_WRITE);
        slot.is_fresh = true;
    }
    ev_io_start(events_, &side.watcher);
    changed(slot);
}

void descriptor_table::stop(descriptor_slot& slot, descriptor_side& side) noexcept {
    take_back_report(side);
    if (!ev_is_active(&side.watcher))
        return;
    ev_io_stop(events_, &side.watcher);
    changed(slot);
}

void descriptor_table::take_back_report(descriptor_side& side) noexcept {
    if (side.reported != 0)
        reports_[std::exchange(side.reported, 0) - 1] = nullptr;
}

void descriptor_table::changed(descriptor_slot& slot) noexcept {
    if (slot.is_changed)
        return;
    slot.is_changed = true;
    slot.next_change = changes_;
    changes_ = &slot;
}

// An event has come. libev's own stack: nothing here may switch or throw.
[[gnu::hot]] void descriptor_table::on_event(struct ev_loop* events, ev_io* watcher, int what) {
    auto& table = *static_cast<descriptor_table*>(ev_userdata(events));
    auto& slot = *static_cast<descriptor_slot*>(watcher->data);
    if (what & EV_ERROR) [[unlikely]] {
        // epoll would not take it, and libev has stopped both watchers: the user's limit of watches, or no memory.
        table.refuse(slot, wake_reason::closed, ENOMEM);
        return;
    }
    auto& side = *reinterpret_cast<descriptor_side*>(watcher);
    if (side.reported != 0 || table.reports_.size() == table.reports_.capacity())
        return; // without room, which does not happen, epoll would report it again
    table.reports_.push_back(&side);
    side.reported = static_cast<std::uint32_t>(table.reports_.size());
}

[[gnu::hot]] void descriptor_table::call_reported(std::size_t most) noexcept {
    if (reports_.empty())
        return;
    loop& here = *loop::current();
    const std::size_t end = first_report_ + std::min(most, reports_.size() - first_report_);
    for (std::size_t i = first_report_; i < end; ++i)
        if (descriptor_side* side = reports_[i]; side && side->has_waiters())
            side->fetch_waiter();
    // A signal handler that forks leaves none to the child: see forget_waiters().
    for (; first_report_ < std::min(end, reports_.size()); ++first_report_)
        if (descriptor_side* side = reports_[first_report_]) {
            side->reported = 0;
            call(*side, here);
        }
    if (first_report_ >= reports_.size())
        forget_reports();
}

void descriptor_table::forget_reports() noexcept {
    reports_.clear();
    first_report_ = 0;
}

[[gnu::hot]] void descriptor_table::call(descriptor_side& side, loop& here) noexcept {
    auto& slot = *static_cast<descriptor_slot*>(side.watcher.data);
    if (side.called == 0)
        side.call_next(here);
    if (side.has_waiters() || (side.called != 0 && slot.is_owned() && &side == &slot.read))
        return;
    stop(slot, side);
}

[[gnu::hot]] bool descriptor_table::settle() noexcept {
    bool woken = false;
    descriptor_slot* next = changes_;
    changes_ = nullptr;
    while (next) {
        descriptor_slot& slot = *next;
        next = slot.next_change;
        slot.is_changed = false;
        const std::uint8_t watched = slot.watched();
        // With nothing to watch, and when nothing has changed in the end, libev does not go to epoll.
        if (watched != 0 && (slot.is_fresh || watched != slot.registered)) {
            if (is_watchable(slot))
                slot.is_in_kernel = true;
            else
                woken = true;
        }
        slot.registered = slot.watched();
        slot.is_fresh = false;
    }
    return woken;
}

// False: libev must not register it. Then its waiters are awake, with the reason.
bool descriptor_table::is_watchable(descriptor_slot& slot) noexcept {
    if (slot.is_owned() && slot.kind != descriptor_kind::other) {
        if (::fcntl(slot.number, F_GETFD) != -1)
            return true;
        refuse(slot, wake_reason::closed, EBADF);
        return false;
    }
    struct stat file {};
    if (::fstat(slot.number, &file) == -1) {
        refuse(slot, wake_reason::closed, errno);
        return false;
    }
    switch (file.st_mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFBLK:
        // Nearly all are always ready (hazard E6); not so message queues, and some files of /proc.
        if (error_of_epoll(slot.number) != EPERM)
            return true;
        refuse(slot, wake_reason::notified, 0);
        return false;
    case 0:
        // An anonymous inode: maybe an epoll, which cannot contain itself, nor a circle, nor too deep a nesting. On
        // those errors libev aborts, so they are provoked here.
        if (const int error = error_of_epoll(slot.number); error == EINVAL || error == ELOOP) {
            refuse(slot, wake_reason::closed, EINVAL);
            return false;
        }
        return true;
    default:
        return true;
    }
}

// What epoll says to a descriptor that is not there yet: an errno, or 0, and then it is not there afterwards either.
int descriptor_table::error_of_epoll(int number) noexcept {
    epoll_event nothing{};
    if (::epoll_ctl(epoll_descriptor(), EPOLL_CTL_ADD, number, &nothing) == -1)
        return errno;
    ::epoll_ctl(epoll_descriptor(), EPOLL_CTL_DEL, number, &nothing);
    return 0;
}

// Wakes all who wait for it and watches it no longer.
void descriptor_table::refuse(descriptor_slot& slot, wake_reason reason, int error) noexcept {
    slot.refused = error;
    for (descriptor_side* side : {&slot.read, &slot.write}) {
        stop(slot, *side);
        if (reason == wake_reason::notified)
            while (side->has_waiters())
                side->call_next(*loop::current());
        else
            side->wake_all(*loop::current(), reason);
    }
}

// libev is about to make a new epoll and to register all watchers there (hazard E3).
void descriptor_table::on_rebuild(struct ev_loop* events, ev_fork*, int) {
    auto& table = *static_cast<descriptor_table*>(ev_userdata(events));
    table.epoll_ = -1;
    static_cast<ev_driver&>(loop::current()->driver()).expect_refusals();
    bool refused = false;
    for (const auto& slots : table.chunks_) {
        if (!slots)
            continue;
        for (descriptor_slot& slot : *slots)
            if (slot.watched() != 0 && ::fcntl(slot.number, F_GETFD) == -1) {
                table.refuse(slot, wake_reason::closed, EBADF);
                refused = true;
            }
    }
    // There are ready fibers now: libev must not sleep. It comes here again before it rebuilds.
    if (refused)
        ev_break(events, EVBREAK_ONE);
}

// libev's epoll. It has no accessor, but tells one loop that embeds another: so the loop embeds itself for a moment.
int descriptor_table::epoll_descriptor() noexcept {
    if (epoll_ == -1) {
        ev_embed self;
        ev_embed_init(&self, nullptr, events_);
        ev_embed_start(events_, &self);
        epoll_ = self.io.fd;
        ev_embed_stop(events_, &self);
    }
    return epoll_;
}

} // namespace coir::detail
