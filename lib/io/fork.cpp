/// \file
/// libev's driver in the child of a fork(): see sched/fork.hpp.

#include "base/diagnostic.hpp"
#include "io/ev_driver.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace coir::detail {
namespace {

// Puts what `make` makes in the place of the descriptor `number`, which is the parent's, too. That is closed first: then there
// is room for the new one.
template <class Make> void replace(int number, Make make) noexcept {
    ::close(number);
    const int made = make();
    if (made == number)
        return;
    if (made == -1 || ::dup3(made, number, O_CLOEXEC) == -1) {
        report("the child of fork() gets no descriptors of its own for its event loop: the system has no memory, or no "
               "place for open files");
        std::abort();
    }
    ::close(made);
}

} // namespace

void ev_driver::continue_in_child() noexcept {
    // libev makes another epoll when it next runs. Before that a socket may be closed, which speaks to the present one.
    replace(descriptors_.epoll_descriptor(), [] { return ::epoll_create1(EPOLL_CLOEXEC); });
    replace(notification_.number, [] { return ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); });
    replace(timer_.number, [] { return ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK); });
    files_.reset(); // the kernel has it work for the parent only
    has_chosen_files_ = false;
    notified_.store(false, std::memory_order_relaxed);
    armed_ = for_ever;
    expired_ = false;
    descriptors_.forget_waiters();
    ev_loop_fork(events_.get());
}

// The thread of this driver may have been anywhere in libev: only what it has written for this is looked at.
void ev_driver::abandon_in_child() noexcept {
    for (const int number : {descriptors_.epoll_, notification_.number, timer_.number})
        if (number != -1)
            ::close(number);
    if (files_)
        files_->abandon_in_child();
    notification_.number = -1; // who notifies this loop reaches nobody
}

// No fiber that waited for a descriptor exists any more.
void descriptor_table::forget_waiters() noexcept {
    forget_reports();
    for (const auto& slots : chunks_) {
        if (!slots)
            continue;
        for (descriptor_slot& slot : *slots) {
            slot.entered = 0;
            for (descriptor_side* side : {&slot.read, &slot.write}) {
                side->called = side->reported = 0;
                while (!side->waiting.empty())
                    side->waiting.pop_front();
            }
        }
    }
}

} // namespace coir::detail
