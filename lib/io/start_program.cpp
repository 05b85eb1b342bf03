/// \file
/// From a program to a process.
///
/// The child is made by clone(CLONE_VM | CLONE_VFORK), as posix_spawn(3) does it: it runs in the parent's memory on a stack of
/// its own, while the thread that made it is suspended by the kernel until it executes its program or ends. Nothing is
/// copied, no handler of pthread_atfork() runs, and other threads go on. Why not posix_spawn itself: it returns a process
/// id, and by the time this has become a pidfd the program may have ended and been waited for by somebody else (a handler
/// of SIGCHLD, or the kernel when SIGCHLD is ignored). CLONE_PIDFD leaves no such gap. And it does not tell which step has
/// failed.
///
/// What the child does it does to the parent's memory. So it only makes system calls, raw ones: what a sanitizer or
/// libcoir-posix puts before the C library's functions keeps books, which are the parent's. Signals are blocked
/// meanwhile: a handler would run in the child, in the parent's memory. They are unblocked when all handlers are gone.
#include "io/program.hpp"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <memory>
#include <new>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Instrumented code would note frames that are never left in the parent's books.
#define COIR_IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

namespace coir::detail {
namespace {

// The kernel's; the C library's is larger, and its functions leave out two signals.
using signal_mask = std::uint64_t;
constexpr signal_mask all_signals = ~signal_mask{0};
constexpr signal_mask no_signals = 0;
constexpr int last_signal = 64;

// Enough for a few frames and a system call.
constexpr std::size_t child_stack_size = std::size_t{16} * 1024;

struct order {
    const char* const* files;
    char* const* arguments;
    char* const* environment;
    const char* directory;
    char* id_text;
    bool begins_session;
    program_streams streams;
    placement* others; // not the span, whose functions a sanitizer may have instrumented
    std::size_t other_count;
    // Written by the child when it fails.
    int error = 0;
    start_step failed_step = start_step::clone;
    int failed_number = -1;
};

[[noreturn]] COIR_IN_CHILD void give_up(order& given, start_step step, int error) noexcept {
    given.error = error;
    given.failed_step = step;
    for (;;)
        ::syscall(SYS_exit_group, 127);
}

COIR_IN_CHILD void connect(order& given, start_step step, int from, int stream) noexcept {
    if (from != -1 && ::syscall(SYS_dup3, from, stream, 0) == -1)
        give_up(given, step, errno);
}

// First all of them to where none is wanted: else one could be overwritten before it has been duplicated.
COIR_IN_CHILD void place_others(order& given) noexcept {
    placement* const end = given.others + given.other_count;
    for (placement* each = given.others; each != end; ++each) {
        const long moved = ::syscall(SYS_fcntl, each->from, F_DUPFD, end[-1].theirs + 1L);
        given.failed_number = each->theirs;
        if (moved == -1)
            give_up(given, start_step::descriptor, errno);
        each->from = static_cast<int>(moved);
    }
    for (const placement* each = given.others; each != end; ++each) {
        given.failed_number = each->theirs;
        connect(given, start_step::descriptor, each->from, each->theirs);
    }
}

// Both included.
COIR_IN_CHILD void close_between(unsigned first, unsigned last) noexcept {
    if (first > last || ::syscall(SYS_close_range, first, last, 0) == 0)
        return;
    if (last == ~0U)
        return ::closefrom(static_cast<int>(first)); // before Linux 5.9: goes by /proc/self/fd, without allocating
    for (unsigned each = first; each <= last; ++each)
        ::syscall(SYS_close, each);
}

COIR_IN_CHILD void forget_descriptors(const order& given) noexcept {
    unsigned first = STDERR_FILENO + 1;
    for (const placement* each = given.others; each != given.others + given.other_count; ++each) {
        const auto kept = static_cast<unsigned>(each->theirs);
        close_between(first, kept - 1);
        first = kept + 1;
    }
    close_between(first, ~0U);
}

// In decimal digits.
COIR_IN_CHILD void write_id(char* text) noexcept {
    const long id = ::syscall(SYS_getpid);
    long unit = 1;
    while (id / unit >= 10)
        unit *= 10;
    for (; unit > 0; unit /= 10)
        *text++ = static_cast<char>('0' + id / unit % 10);
}

// Handlers would end with exec() anyway, but ignored signals stay ignored.
COIR_IN_CHILD void forget_signals() noexcept {
    constexpr unsigned long by_default[4]{}; // the kernel's struct sigaction: SIG_DFL
    for (int signal = 1; signal <= last_signal; ++signal)
        ::syscall(SYS_rt_sigaction, signal, by_default, nullptr, sizeof(signal_mask));
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, nullptr, sizeof(signal_mask));
}

// As execvp() searches: on from what is not there, and from what must not be executed, which is remembered.
COIR_IN_CHILD int execute(const order& given) noexcept {
    bool denied = false;
    int error = ENOENT;
    for (const char* const* file = given.files; *file; ++file) {
        ::syscall(SYS_execve, *file, given.arguments, given.environment);
        error = errno;
        switch (error) {
        case EACCES:
            denied = true;
            break;
        case ENOENT:
        case ENOTDIR:
        case ENODEV:
        case ESTALE:
        case ETIMEDOUT:
            break;
        default:
            return error;
        }
    }
    return denied ? EACCES : error;
}

COIR_IN_CHILD int child_main(void* argument) noexcept {
    order& given = *static_cast<order*>(argument);
    connect(given, start_step::input, given.streams.input, STDIN_FILENO);
    connect(given, start_step::output, given.streams.output, STDOUT_FILENO);
    connect(given, start_step::error, given.streams.error_follows_output ? STDOUT_FILENO : given.streams.error,
            STDERR_FILENO);
    place_others(given);
    forget_descriptors(given);
    if (given.begins_session)
        ::syscall(SYS_setsid); // cannot fail in a process that was just made
    if (given.id_text)
        write_id(given.id_text);
    if (given.directory && ::syscall(SYS_chdir, given.directory) == -1)
        give_up(given, start_step::directory, errno);
    forget_signals();
    give_up(given, start_step::execute, execute(given));
}

// Process id and pidfd of a child that runs child_main(); -1 and errno.
pid_t clone_child(std::byte* stack_end, order& given, int& handle) noexcept {
    constexpr int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
    pid_t id = ::clone(child_main, stack_end, flags | CLONE_PIDFD, &given, &handle);
    // qemu's user mode before 8.0 does not know CLONE_PIDFD. It also makes a fork() of this, of whose failure to execute the
    // parent does not get to know: the program then seems to exit with code 127.
    if (id == -1 && errno == EINVAL)
        id = ::clone(child_main, stack_end, flags, &given);
    if (id == -1 || handle != -1)
        return id;
    handle = static_cast<int>(::syscall(SYS_pidfd_open, id, 0));
    if (handle != -1)
        return id;
    const int error = errno; // of kernels before 5.3: ENOSYS
    ::kill(id, SIGKILL);
    while (::waitpid(id, nullptr, 0) == -1 && errno == EINTR) {}
    errno = error;
    return -1;
}

} // namespace

started_program start(const program& executed, const program_streams& streams) noexcept {
    const std::unique_ptr<std::byte[]> stack{new (std::nothrow) std::byte[child_stack_size]};
    if (!stack)
        return {.error = ENOMEM};
    order given{executed.files(),
                executed.arguments(),
                executed.environment(),
                executed.directory(),
                executed.id_text(),
                executed.begins_session(),
                streams,
                streams.others.data(),
                streams.others.size()};
    started_program made;
    signal_mask before = no_signals;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all_signals, &before, sizeof(signal_mask));
    made.id = clone_child(stack.get() + child_stack_size, given, made.handle);
    made.error = made.id == -1 ? errno : given.error;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof(signal_mask));
    made.failed_step = given.failed_step;
    made.failed_number = given.failed_number;
    if (made.id != -1 && made.error != 0) {
        siginfo_t unused{};
        while (::waitid(P_PIDFD, static_cast<id_t>(made.handle), &unused, WEXITED) == -1 && errno == EINTR) {}
        ::close(made.handle);
        made.id = made.handle = -1;
    }
    return made;
}

} // namespace coir::detail
