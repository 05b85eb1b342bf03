#include <coir/signal_set.hpp>

#include "io/errors.hpp"
#include "io/operation.hpp"
#include "io/ownership.hpp"
#include "sched/loop.hpp"

#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <string>
#include <sys/signalfd.h>
#include <unistd.h>

namespace coir {
namespace detail {
namespace {

// In some set of this thread, as signal_set::signals_. Two sets with a signal in common would take it from each other, and the
// first to be destroyed would unblock it for both.
constinit thread_local std::uint64_t taken_signals = 0;

constexpr std::uint64_t bit_of(int signal) noexcept {
    return std::uint64_t{1} << (signal - 1);
}

// Null, or why not.
const char* objection_to(int signal) noexcept {
    switch (signal) {
    case SIGKILL:
    case SIGSTOP:
        return "cannot be blocked";
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGSYS:
        return "reports an error of the program, which cannot go on before that is handled";
    default:
        break;
    }
    // Between the ordinary ones and SIGRTMIN are the C library's own.
    if (signal < 1 || signal > SIGRTMAX || (signal > SIGSYS && signal < SIGRTMIN))
        return "is no signal";
    return (taken_signals & bit_of(signal)) != 0 ? "is in another signal_set of this thread" : nullptr;
}

sigset_t set_of(std::uint64_t signals) noexcept {
    sigset_t made;
    ::sigemptyset(&made);
    for (int signal = 1; signal <= 64; ++signal)
        if ((signals & bit_of(signal)) != 0)
            ::sigaddset(&made, signal);
    return made;
}

class taking_signal final : public operation {
public:
    taking_signal() noexcept : operation(direction::read) {}

    bool attempt(int number) noexcept override {
        return ::read(number, &taken, sizeof taken) == static_cast<ssize_t>(sizeof taken);
    }

    signalfd_siginfo taken{};
};

// Errno, was_cancelled, or 0.
int wait_for_signal(loop& here, int number, deadline until, io::signal_info& info) noexcept {
    taking_signal work;
    const int error = perform(here, number, work, until).error;
    const signalfd_siginfo& taken = work.taken;
    info = {.signal = static_cast<int>(taken.ssi_signo),
            .code = taken.ssi_code,
            .sender = static_cast<int>(taken.ssi_pid),
            .user = taken.ssi_uid,
            .value = taken.ssi_int,
            .data = taken.ssi_ptr};
    return error;
}

} // namespace
} // namespace detail

namespace io {

signal_set::signal_set(std::span<const int> signals) {
    for (const int each : signals)
        if (const char* const objection = detail::objection_to(each))
            throw std::invalid_argument("coir: io::signal_set: signal " + std::to_string(each) + ' ' + objection);
    if (const int error = open(signals))
        throw std::system_error(detail::error_code_of(error), "io::signal_set");
}

signal_set::signal_set(std::span<const int> signals, std::error_code& error) noexcept {
    for (const int each : signals)
        if (detail::objection_to(each)) {
            error = detail::error_code_of(EINVAL);
            return;
        }
    error = detail::error_code_of(open(signals));
}

// Returns 0 or an errno.
int signal_set::open(std::span<const int> signals) noexcept {
    std::uint64_t wanted = 0;
    for (const int each : signals)
        wanted |= detail::bit_of(each);
    const sigset_t set = detail::set_of(wanted);
    const int made = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (made == -1)
        return errno;
    number_ = made;
    signals_ = wanted;
    detail::taken_signals |= wanted;
    sigset_t before;
    ::pthread_sigmask(SIG_BLOCK, &set, &before);
    for (const int each : signals)
        if (::sigismember(&before, each) == 0)
            unblocked_ |= detail::bit_of(each);
    return 0;
}

signal_set::~signal_set() {
    if (number_ == -1)
        return;
    detail::close_descriptor(number_);
    detail::taken_signals &= ~signals_;
    const sigset_t set = detail::set_of(unblocked_);
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

signal_info signal_set::wait(deadline until) {
    detail::loop& here = detail::loop::of_running_fiber("io::signal_set::wait");
    signal_info info;
    const int error = detail::wait_for_signal(here, number_, until, info);
    if (error == detail::was_cancelled)
        detail::throw_cancelled(here.running(), "io::signal_set::wait");
    if (error != 0)
        throw std::system_error(detail::error_code_of(error), "io::signal_set::wait");
    return info;
}

signal_info signal_set::wait(std::error_code& error, deadline until) noexcept {
    detail::loop* const here = detail::loop::current_with_running_fiber();
    signal_info info;
    error = detail::error_code_of(here ? detail::wait_for_signal(*here, number_, until, info) : EPERM);
    return info;
}

} // namespace io
} // namespace coir
