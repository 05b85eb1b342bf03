#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/readiness_case.hpp>
#include <coir/export.hpp>
#include <coir/io.hpp>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <system_error>
#include <utility>

namespace coir::io {

/// A received signal, and what its sender and the kernel say about it.
struct signal_info {
    int signal = 0;         ///< its number; 0 when there is none
    int code = 0;           ///< SI_USER (kill), SI_QUEUE (sigqueue), SI_KERNEL (a key of the terminal), CLD_EXITED, …
    int sender = 0;         ///< process id, if a process sent it; for SIGCHLD the child
    unsigned user = 0;      ///< the sender's
    int value = 0;          ///< what sigqueue(3) has sent along
    std::uint64_t data = 0; ///< the same as a pointer
};

/// Signals that a fiber waits for, instead of handlers that interrupt whatever runs.
///
/// The signals are blocked in the thread that makes the set, and read from a signalfd. The destructor unblocks them again,
/// unless they had been blocked before: a pending signal that nobody has waited for then has its usual effect.
///
///     coir::io::signal_set stopping{SIGINT, SIGTERM};
///     std::cout << "ends because of signal " << stopping.wait().signal << '\n';
///
/// Threads: a signal to the process goes to any thread that does not block it. So create the set before starting other threads,
/// which inherit the mask: at the beginning of main(), even before coir::run. (The threads of offload() block all signals.) Use
/// and destroy it on the thread that created it. Signals directed at another thread do not arrive here.
///
/// Several pending signals with the same number count as one: the kernel keeps one mark per number. Real-time signals (SIGRTMIN
/// to SIGRTMAX) queue, up to RLIMIT_SIGPENDING. Several fibers may wait; each signal goes to one of them. Programs started by
/// io::process have no signals blocked; children of fork() and exec() inherit the mask.
class COIR_EXPORT signal_set {
public:
    /// Empty.
    signal_set() noexcept = default;

    /// Never suspends. Throws std::invalid_argument for signals that cannot be waited for: SIGKILL, SIGSTOP; those that report
    /// an error of the program (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS), which end it if they are blocked; invalid
    /// numbers; signals that are in another set of this thread. Throws std::system_error when no descriptor is free. In each
    /// case nothing has been blocked.
    signal_set(std::initializer_list<int> signals)
        : signal_set(std::span<const int>{signals.begin(), signals.size()}) {}
    explicit signal_set(std::span<const int> signals);
    /// As above; std::errc::invalid_argument instead of the exception of that name.
    signal_set(std::span<const int> signals, std::error_code& error) noexcept;

    signal_set(signal_set&& other) noexcept
        : number_(std::exchange(other.number_, -1)), signals_(std::exchange(other.signals_, 0)),
          unblocked_(std::exchange(other.unblocked_, 0)) {}
    signal_set& operator=(signal_set&& other) noexcept {
        signal_set old{std::move(*this)};
        number_ = std::exchange(other.number_, -1);
        signals_ = std::exchange(other.signals_, 0);
        unblocked_ = std::exchange(other.unblocked_, 0);
        return *this;
    }

    /// Whoever still waits gets std::errc::bad_file_descriptor.
    ~signal_set();

    [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }
    [[nodiscard]] int native_handle() const noexcept { return number_; }

    /// Waits for the next signal and takes it. May suspend. Throws std::system_error with std::errc::timed_out, and
    /// coir::cancelled; no signal is lost by that. Completion wins. std::logic_error outside coir::run.
    signal_info wait(deadline until = {});
    signal_info wait(std::error_code& error, deadline until = {}) noexcept;

    /// A case for select(), ready when there is a signal, which wait() will take.
    [[nodiscard]] detail::readiness_case readable() const noexcept { return io::readable(number_); }

private:
    [[nodiscard]] int open(std::span<const int> signals) noexcept;

    int number_ = -1;
    std::uint64_t signals_ = 0;   // bit n - 1 for signal n
    std::uint64_t unblocked_ = 0; // those that were not blocked before
};

} // namespace coir::io
