#pragma once

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <sys/types.h>
#include <ucontext.h>

/// \file
/// Names fibers that keep the thread to themselves (loop_options::stall_limit, hazards G6 and D3).
///
/// A timer of the kernel interrupts the loop's thread a few times per limit. Its handler looks who runs, and how many fibers
/// have begun to run so far: as long as both are what they were at the last tick, nothing has been switched. So the loop
/// itself keeps no time and counts nothing for the sake of this, and without a limit there is neither timer nor handler.
///
/// The handler runs on the thread whose state it reads: it sees that thread between two instructions, and whatever it reads
/// stays so until it returns. The loop sees to it that running_ never points at a fiber that is gone (run_fibers()). Between
/// a pop of the ready queue and the change of running_ the count is new already, so the handler starts to measure anew.
///
/// While the loop sleeps it must not be woken to no purpose: the first tick that finds it asleep stops the timer, and the
/// loop starts it before it runs a fiber again. A tick cannot fall between: only one that finds the loop asleep stops the
/// timer, and the loop calls resume() when it has said that it sleeps no more.
///
/// The signal is SIGURG, for the reasons for which Go has chosen it: debuggers pass it on without stopping, nothing happens if
/// there is no handler, and hardly a program uses it. What does not come from the timer goes to the handler that was there
/// before. A real-time signal would kill programs that reset their handlers, and belongs to the program.
namespace coir::detail {

class loop;
struct fiber_base;

class stall_watch {
public:
    /// Of the calling thread's loop. std::system_error: there is no timer to be had.
    stall_watch(loop& watched, std::chrono::nanoseconds limit);
    ~stall_watch();
    stall_watch(const stall_watch&) = delete;
    stall_watch& operator=(const stall_watch&) = delete;

    /// The loop, which may have slept, is about to run a fiber.
    void resume() noexcept {
        if (is_resting_ != 0) {
            is_resting_ = 0;
            set_timer(period_);
        }
    }

    /// Timers are not inherited.
    void continue_in_child() noexcept;

private:
    static void on_signal(int signal, siginfo_t* info, void* interrupted) noexcept;
    static void pass_on(int signal, siginfo_t* info, void* interrupted) noexcept;
    static void install_handler() noexcept;

    [[nodiscard]] int make_timer() noexcept;
    void set_timer(std::chrono::nanoseconds period) noexcept;
    void look(const ucontext_t& interrupted) noexcept;
    void report_stall(const fiber_base& fiber, std::int64_t now, const ucontext_t& interrupted) const noexcept;

    static constinit thread_local stall_watch* here_;
    static struct sigaction previous_; // what was done about the signal before; not written after ours is installed

    loop& loop_;
    const std::chrono::nanoseconds limit_;
    const std::chrono::nanoseconds period_;
    void* const alternate_stack_; // fibers' stacks are too small for a signal's frame and a report
    sigset_t mask_before_;
    timer_t timer_{};
    pid_t process_ = 0;                         // whose timer it is
    volatile std::sig_atomic_t is_resting_ = 0; // the timer is stopped; set by the handler, taken back by resume()

    // Of the handler alone: the slice that it has seen last.
    const fiber_base* running_ = nullptr;
    std::size_t slice_ = 0;
    std::int64_t since_ = 0;           // when it was first seen
    std::int64_t processor_since_ = 0; // the thread's processor time by then
    long sleeps_before_ = 0;           // how often the thread had slept in the kernel by then
    bool is_reported_ = false;
};

} // namespace coir::detail
