#include "io/child_process.hpp"

#include "base/diagnostic.hpp"
#include "io/borrowed.hpp"
#include "io/ownership.hpp"
#include "sched/loop.hpp"

#include <coir/cancel_scope.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace coir::detail {
namespace {

// How long a child that was killed may take to end before it is abandoned: seconds pass only where the kernel cannot let go.
constexpr std::chrono::seconds patience{1};

// Children that nobody will ask for, which have perhaps not ended yet. Without a lock: fork() may come at any time, and
// the child of that must be able to go on.
constinit std::atomic<child_process*> abandoned{nullptr};

int native_status(const siginfo_t& end) noexcept {
    switch (end.si_code) {
    case CLD_EXITED:
        return (end.si_status & 0xff) << 8;
    case CLD_DUMPED:
        return end.si_status | 0x80;
    default:
        return end.si_status;
    }
}

// The kernel's struct pidfd_info, which the C library does not have yet.
struct pidfd_info {
    std::uint64_t mask;
    std::uint64_t control_group;
    std::array<std::uint32_t, 11> ids;
    std::int32_t exit_code;
};
static_assert(sizeof(pidfd_info) == 64);
constexpr std::uint64_t exit_code_is_valid = 1U << 3;

// How a child has ended that somebody else has waited for. From Linux 6.15 on its pidfd remembers.
int look_at_reaped(int handle, io::exit_status& status) noexcept {
    constexpr auto get_info = _IOWR(0xff, 11, pidfd_info);
    pidfd_info found{};
    found.mask = exit_code_is_valid;
    if (::ioctl(handle, get_info, &found) == -1)
        return ECHILD;
    if ((found.mask & exit_code_is_valid) == 0)
        return EAGAIN; // it is being waited for at this moment
    status = io::exit_status::from_native(found.exit_code);
    return 0;
}

class awaiting_end final : public operation {
public:
    explicit awaiting_end(child_process& child) noexcept : operation(direction::read), child_(child) {}

    bool attempt(int number) noexcept override {
        int error = child_.look(status);
        // It has ended if its pidfd is readable; perhaps since we looked.
        if (error == EAGAIN && is_ready(number, POLLIN)) {
            error = child_.look(status);
            is_withheld = error == EAGAIN;
        }
        errno = error;
        return error == 0 || is_withheld;
    }

    io::exit_status status; // here and not in the child, which may be gone when the fiber runs again
    bool is_withheld = false;

private:
    child_process& child_;
};

} // namespace

child_process::~child_process() {
    if (handle_ != -1)
        close_descriptor(handle_);
}

started_program child_process::start(const program& executed, const program_streams& streams) noexcept {
    remove_abandoned();
    const started_program made = detail::start(executed, streams);
    id_ = made.id;
    handle_ = made.handle;
    leads_session_ = executed.begins_session();
    parent_ = ::getpid();
    return made;
}

bool child_process::is_ours() const noexcept {
    return parent_ == ::getpid();
}

int child_process::look(io::exit_status& status) noexcept {
    if (!is_known_) {
        if (!is_ours())
            return ECHILD;
        siginfo_t end{};
        if (::waitid(P_PIDFD, static_cast<id_t>(handle_), &end, WEXITED | WNOHANG) == 0) {
            if (end.si_pid == 0)
                return EAGAIN;
            status_ = io::exit_status::from_native(native_status(end));
        } else {
            if (errno != ECHILD)
                return errno;
            error_ = look_at_reaped(handle_, status_);
            if (error_ == EAGAIN)
                return error_;
        }
        is_known_ = true;
    }
    status = status_;
    return error_;
}

int child_process::wait(loop& here, io::exit_status& status, deadline until) noexcept {
    constexpr std::chrono::milliseconds pause{10};
    const int number = handle_;
    const std::uint32_t generation = ownership::generation(number);
    for (;;) {
        awaiting_end work{*this};
        const int error = perform(here, number, work, until).error;
        if (error != 0 || !work.is_withheld) {
            status = work.status;
            return error;
        }
        // It has ended, but another process that traces it, a debugger, has to take note of that first; or it is being
        // waited for by somebody else at this moment. Nothing tells when that is over.
        wait_record record{wait_kind::sleep, nullptr};
        if (here.wait(record, std::min(until, deadline{pause})) == wake_reason::cancelled)
            return was_cancelled;
        if (ownership::generation(number) != generation)
            return EBADF; // and this object may be gone
        if (until.has_passed())
            return ETIMEDOUT;
    }
}

int child_process::kill(int signal) noexcept {
    if (!is_ours())
        return ECHILD;
    if (leads_session_)
        if (const int error = kill_group(signal); error != ESRCH)
            return error;
    if (::syscall(SYS_pidfd_send_signal, handle_, signal, nullptr, 0) == 0 || errno == ESRCH)
        return 0;
    return errno;
}

int child_process::kill_group(int signal) noexcept {
    constexpr unsigned process_group = 1U << 2; // PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9
    if (::syscall(SYS_pidfd_send_signal, handle_, signal, nullptr, process_group) == 0)
        return 0;
    if (errno != EINVAL)
        return errno;
    // The id cannot have become a stranger's as long as nobody has waited for the program.
    siginfo_t unused{};
    if (is_known_ || ::waitid(P_PIDFD, static_cast<id_t>(handle_), &unused, WEXITED | WNOHANG | WNOWAIT) == -1)
        return ESRCH;
    return ::kill(-id_, signal) == 0 ? 0 : errno;
}

bool child_process::await_end() noexcept {
    io::exit_status unused;
    const deadline until = patience;
    if (loop* const here = loop::current_with_running_fiber()) {
        const shield in_peace;
        if (wait(*here, unused, until) != ENOMEM)
            return look(unused) != EAGAIN;
        // epoll does not take it: then as without a loop, if that takes so long.
    }
    pollfd ended{handle_, POLLIN, 0};
    for (;;) {
        if (look(unused) != EAGAIN)
            return true;
        if (until.has_passed())
            return false;
        constexpr int milliseconds = 10;
        if (::poll(&ended, 1, milliseconds) == 1 && look(unused) == EAGAIN) // withheld, see wait()
            std::this_thread::sleep_for(std::chrono::milliseconds{milliseconds});
    }
}

void child_process::end(std::unique_ptr<child_process> child) noexcept {
    io::exit_status unused;
    if (child && child->leads_session_ && child->is_ours())
        static_cast<void>(child->kill_group(SIGKILL)); // also those that it has left behind
    if (!child || child->look(unused) != EAGAIN)
        return;
    const int error = child->kill(SIGKILL);
    if (error == 0 && child->await_end())
        return;
    std::array<char, 160> text{};
    std::snprintf(text.data(), text.size(), "process %d (%.60s) %s: it is left alone", static_cast<int>(child->id_),
                  child->name_.c_str(),
                  error == 0 ? "was killed and does not end" : "may not be killed, having changed its user");
    report(text.data());
    abandon(std::move(child));
}

void child_process::abandon(std::unique_ptr<child_process> child) noexcept {
    if (!child)
        return;
    withdraw_descriptor(child->handle_); // who still waits for it must not look at it any more
    child_process* const added = child.release();
    added->next_ = abandoned.load(std::memory_order_relaxed);
    while (
        !abandoned.compare_exchange_weak(added->next_, added, std::memory_order_release, std::memory_order_relaxed)) {}
}

void child_process::remove_abandoned() noexcept {
    child_process* next = abandoned.exchange(nullptr, std::memory_order_acquire);
    while (next) {
        std::unique_ptr<child_process> each{std::exchange(next, next->next_)};
        io::exit_status unused;
        if (each->look(unused) == EAGAIN)
            abandon(std::move(each));
    }
}

} // namespace coir::detail
