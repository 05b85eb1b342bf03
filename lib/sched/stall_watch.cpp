#include "sched/stall_watch.hpp"

#include "base/diagnostic.hpp"
#include "base/first_call.hpp"
#include "base/interrupted.hpp"
#include "base/module_of_code.hpp"
#include "sched/describe.hpp"
#include "sched/loop.hpp"
#include "stack/alternate_stack.hpp"

#include <algorithm>
#include <cerrno>
#include <pthread.h>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>

namespace coir::detail {
namespace {

using namespace std::chrono_literals;

constexpr int signal_of_ticks = SIGURG;

// How often the handler looks. A report comes up to two ticks after the limit: one has to see the fiber first, and the one
// at the limit may find that it is not quite over. A tick costs the thread about a microsecond.
constexpr std::chrono::nanoseconds period_for(std::chrono::nanoseconds limit) noexcept {
    return std::clamp<std::chrono::nanoseconds>(limit / 4, 100us, 5ms);
}

std::int64_t read_clock(clockid_t clock) noexcept {
    timespec time{};
    ::clock_gettime(clock, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// How often the thread has gone to sleep in the kernel. That it has been kept from a processor by others does not count.
long sleeps_so_far() noexcept {
    rusage used{};
    ::getrusage(RUSAGE_THREAD, &used);
    return used.ru_nvcsw;
}

void change_mask(int how, sigset_t* before) noexcept {
    sigset_t ticks;
    ::sigemptyset(&ticks);
    ::sigaddset(&ticks, signal_of_ticks);
    ::pthread_sigmask(how, &ticks, before);
}

bounded_text& append_duration(bounded_text& text, std::int64_t nanoseconds) noexcept {
    if (nanoseconds < 10'000'000)
        return text << static_cast<std::uint64_t>(nanoseconds / 1000) << " us";
    return text << static_cast<std::uint64_t>(nanoseconds / 1'000'000) << " ms";
}

} // namespace

constinit thread_local stall_watch* stall_watch::here_ = nullptr;
struct sigaction stall_watch::previous_;

stall_watch::stall_watch(loop& watched, std::chrono::nanoseconds limit)
    : loop_(watched), limit_(limit), period_(period_for(limit)), alternate_stack_(add_alternate_stack()) {
    if (const int error = make_timer()) {
        remove_alternate_stack(alternate_stack_);
        throw std::system_error(
            error, std::generic_category(),
            "coir::run: no timer for loop_options::stall_limit (timers count as pending signals: ulimit -i)");
    }
    static constinit first_call installing; // whoever has installed a handler since may call ours from theirs
    if (installing.is_this())
        install_handler();
    here_ = this;
    change_mask(SIG_UNBLOCK, &mask_before_);
    set_timer(period_);
    loop_.watch_stalls(this);
}

// A last tick comes before timer_delete() returns, and must find its watch.
stall_watch::~stall_watch() {
    loop_.watch_stalls(nullptr);
    if (process_ == ::getpid()) // else it would be one of the child's own
        ::timer_delete(timer_);
    here_ = nullptr;
    if (::sigismember(&mask_before_, signal_of_ticks) == 1)
        change_mask(SIG_BLOCK, nullptr);
    remove_alternate_stack(alternate_stack_);
}

void stall_watch::continue_in_child() noexcept {
    running_ = nullptr; // it starts anew
    if (make_timer() == 0)
        set_timer(period_);
    else
        report("the child of fork() has no timer for loop_options::stall_limit: nothing reports stalls in it");
}

// Errno, or 0.
int stall_watch::make_timer() noexcept {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signal_of_ticks;
    event.sigev_value.sival_ptr = this;
    event._sigev_un._tid = ::gettid(); // sigev_notify_thread_id in sigevent(3type); glibc has no such name
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0)
        return errno;
    process_ = ::getpid();
    return 0;
}

void stall_watch::set_timer(std::chrono::nanoseconds period) noexcept {
    const timespec time{0, static_cast<long>(period.count())};
    const itimerspec ticks{time, time};
    ::timer_settime(timer_, 0, &ticks, nullptr);
}

void stall_watch::install_handler() noexcept {
    if (::sigaction(signal_of_ticks, nullptr, &previous_) != 0)
        return;
    struct sigaction ours {};
    ours.sa_sigaction = on_signal;
    ours.sa_mask = previous_.sa_mask; // the previous one runs inside of ours
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    ::sigaction(signal_of_ticks, &ours, nullptr);
}

void stall_watch::on_signal(int signal, siginfo_t* info, void* interrupted) noexcept {
    if (info->si_code != SI_TIMER || !here_ || info->si_value.sival_ptr != here_)
        return pass_on(signal, info, interrupted);
    const int saved_errno = errno;
    here_->look(*static_cast<const ucontext_t*>(interrupted));
    errno = saved_errno;
}

void stall_watch::pass_on(int signal, siginfo_t* info, void* interrupted) noexcept {
    const bool is_none =
        (previous_.sa_flags & SA_SIGINFO) == 0 &&
        (previous_.sa_handler == SIG_DFL || previous_.sa_handler == SIG_IGN); // the same for this signal
    if (!is_none)
        call_handler(previous_, signal, info, interrupted);
}

void stall_watch::look(const ucontext_t& interrupted) noexcept {
    const fiber_base* const running = loop_.running_now();
    if (!running || running->waiting) { // or has parked, and the loop is about to start another on a new stack
        running_ = nullptr;
        if (loop_.is_sleeping()) {
            is_resting_ = 1;
            set_timer(0ns);
        }
        return;
    }
    const std::int64_t now = read_clock(CLOCK_MONOTONIC);
    const std::size_t slice = loop_.slices_begun();
    if (running != running_ || slice != slice_) {
        running_ = running;
        slice_ = slice;
        since_ = now;
        processor_since_ = read_clock(CLOCK_THREAD_CPUTIME_ID);
        sleeps_before_ = sleeps_so_far();
        is_reported_ = false;
    } else if (!is_reported_ && now - since_ >= limit_.count()) {
        is_reported_ = true;
        report_stall(*running, now, interrupted);
    }
}

// No backtrace: the unwinder may be what has been interrupted (hazard A8).
void stall_watch::report_stall(const fiber_base& fiber, std::int64_t now,
                               const ucontext_t& interrupted) const noexcept {
    const std::int64_t elapsed = now - since_;
    const std::int64_t computed = read_clock(CLOCK_THREAD_CPUTIME_ID) - processor_since_;
    const void* const place = program_counter_of(interrupted);
    bounded_text text;
    fibers_as_owners.name(&fiber, text);
    text << " has kept its thread for more than ";
    append_duration(text, elapsed) << " (on a processor: ";
    append_duration(text, computed) << "), and is at ";
    text.append_address(place);
    append_module(place, text);
    if (fiber.site.line != 0)
        text << "; spawned at " << fiber.site.file << ":" << std::uint64_t{fiber.site.line};
    // Who waits in the kernel goes to sleep again after each tick.
    if (computed < elapsed / 4 && sleeps_so_far() > sleeps_before_)
        text << "; does it wait for a lock of the thread that another fiber of this loop holds, "
                "or in another call that blocks the thread?";
    report(text.view());
}

} // namespace coir::detail
