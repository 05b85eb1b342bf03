#include "io/ev_driver.hpp"

#include "base/diagnostic.hpp"
#include "io/fork_canary.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <system_error>
#include <unistd.h>

namespace coir::detail {
namespace {

constexpr loop_time second = 1'000'000'000;
// The fibers of so many are in the caches still when they run; 16, 32 and 128 were slower with 1,000 and 10,000 connections.
constexpr std::size_t reports_at_once = 64;
constexpr std::size_t all_reports = std::numeric_limits<std::size_t>::max();
// libev sleeps for a minute at most, and so the kernel sets a timer for each sleep: 4 % of what a server with one connection
// does. All waits are made as long as the interval in which timeouts are collected, and coir has no timeouts in libev. No int has
// room for these seconds in ms, and that is what libev makes of them for epoll_wait(2): the instruction of x86-64 (cvttsd2si)
// yields INT_MIN, no timeout and no timer; those of AArch64 and RISC-V yield INT_MAX, 24 days.
constexpr ev_tstamp without_end = 1e7;
constexpr loop_time longest_pause_of_files = 1'000'000; // see file_ring::is_stuck()

struct ev_loop* make_events() {
    errno = 0;
    constexpr unsigned flags = EVFLAG_NOENV;
    constexpr unsigned backend = EVBACKEND_EPOLL;
    struct ev_loop* made = ev_loop_new(flags | backend);
    if (!made)
        throw std::system_error(errno != 0 ? errno : ENOSYS, std::generic_category(),
                                "coir: cannot make an event loop");
    ev_set_timeout_collect_interval(made, without_end);
    return made;
}

void drain(int number) noexcept {
    std::uint64_t count = 0;
    while (::read(number, &count, sizeof count) == -1 && errno == EINTR) {}
}

} // namespace

ev_driver::source::source(int made, const char* what) : number(made) {
    if (number == -1)
        throw std::system_error(errno, std::generic_category(), what);
}

ev_driver::source::~source() {
    ::close(number);
}

ev_driver::ev_driver()
    : events_(make_events()), descriptors_(events_.get()),
      notification_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "coir: cannot make an eventfd"),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "coir: cannot make a timerfd") {
    fork_canary::watch();
    (void)descriptors_.epoll_descriptor(); // remembers it, for abandon_in_child()
    // Made now and not when first needed: then there might be no descriptor left.
    ev_io_init(&notification_.watcher, on_notify, notification_.number, EV_READ);
    ev_io_init(&timer_.watcher, on_timer, timer_.number, EV_READ);
    notification_.watcher.data = timer_.watcher.data = this;
    ev_io_start(events_.get(), &notification_.watcher);
    ev_io_start(events_.get(), &timer_.watcher);
    register_sources();
}

// Has libev register them now, while there is somebody to throw to. Where epoll does not take them libev stops their watchers, and
// the loop would sleep for ever.
void ev_driver::register_sources() {
    ev_run(events_.get(), EVRUN_NOWAIT);
    if (!watches_sources())
        throw std::system_error(std::make_error_code(std::errc::no_space_on_device),
                                "coir: epoll does not watch the loop's own descriptors; the limit is memory, or "
                                "/proc/sys/fs/epoll/max_user_watches");
}

ev_driver::~ev_driver() = default;

[[gnu::hot]] loop_time ev_driver::now() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time); // what std::chrono::steady_clock reads
    return time.tv_sec * second + time.tv_nsec;
}

[[gnu::hot]] void ev_driver::run_once(loop_time until) {
    fork_canary::require_own_process();
    bool woken = false;
    if (descriptors_.has_changes()) {
        expect_refusals();
        woken = descriptors_.settle();
    }
    if (files_) {
        woken |= files_->submit();
        if (files_->is_stuck()) [[unlikely]]
            until = std::min(until, now() + longest_pause_of_files);
    }
    if (woken || until == without_waiting) {
        ev_run(events_.get(), EVRUN_NOWAIT);
        descriptors_.call_reported(until == without_waiting ? all_reports : reports_at_once);
        return;
    }
    // A timer that is set for earlier stays: waking once for nothing is cheaper than a system call for each deadline
    // that has moved on, which is what deadlines of reads do.
    if (until < armed_)
        set_timer(until);
    else if (expired_)
        drain(timer_.number);
    expired_ = false;
    ev_run(events_.get(), EVRUN_ONCE);
    descriptors_.call_reported(reports_at_once);
}

[[gnu::hot]] bool ev_driver::wake_more() noexcept {
    if (!descriptors_.has_reports())
        return false;
    descriptors_.call_reported(reports_at_once);
    return true;
}

void ev_driver::choose_files() noexcept {
    has_chosen_files_ = true;
    expect_refusals();
    files_ = file_ring::make(events_.get());
}

void ev_driver::set_timer(loop_time when) noexcept {
    armed_ = when;
    // Zero would mean never. Setting also takes back an expiry that nobody has read.
    const loop_time at = when > 0 ? when : 1;
    const itimerspec setting{{}, {at / second, at % second}};
    ::timerfd_settime(timer_.number, TFD_TIMER_ABSTIME, &setting, nullptr);
}

// libev is about to register something. When it has, and before it sleeps, it calls:
void ev_driver::expect_refusals() noexcept {
    ev_set_loop_release_cb(events_.get(), stay_awake_if_refused, nullptr);
}

// If epoll has refused something, that is pending, but libev would sleep all the same: those who wait for it would not be told before
// something else happens.
void ev_driver::stay_awake_if_refused(struct ev_loop* events) noexcept {
    ev_set_loop_release_cb(events, nullptr, nullptr);
    if (ev_pending_count(events) == 0) [[likely]]
        return;
    auto& self = static_cast<ev_driver&>(loop::current()->driver());
    if (!self.watches_sources()) {
        report("epoll does not watch the own descriptors of an event loop in the child of fork(): the limit is memory, "
               "or /proc/sys/fs/epoll/max_user_watches");
        std::abort();
    }
    self.notify();
}

void ev_driver::on_timer(struct ev_loop*, ev_io* watcher, int) {
    auto& self = *static_cast<ev_driver*>(watcher->data);
    // Read later if at all: usually it is set again first.
    self.armed_ = for_ever;
    self.expired_ = true;
}

void ev_driver::notify() noexcept {
    if (notified_.exchange(true, std::memory_order_acq_rel))
        return;
    const int saved = errno;
    const std::uint64_t one = 1;
    while (::write(notification_.number, &one, sizeof one) == -1 && errno == EINTR) {}
    errno = saved;
}

void ev_driver::on_notify(struct ev_loop*, ev_io* watcher, int) {
    auto& self = *static_cast<ev_driver*>(watcher->data);
    drain(self.notification_.number);
    // After the read: who notifies in between writes nothing, but we are awake, and what it has done before is seen by
    // who looks after run_once().
    self.notified_.exchange(false, std::memory_order_acq_rel);
}

std::unique_ptr<loop_driver> make_default_driver() {
    return std::make_unique<ev_driver>();
}

} // namespace coir::detail
