#include "io/transfer_end.hpp"

#include "io/errors.hpp"
#include "io/ev_driver.hpp"
#include "io/find_kind.hpp"
#include "io/perform.hpp"
#include "io/transfer.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/sendfile.h>

namespace coir::detail {
namespace {

bool is_pending(int signal) noexcept {
    sigset_t pending;
    return ::sigpending(&pending) == 0 && sigismember(&pending, signal) == 1;
}

// There is no MSG_NOSIGNAL here. The signal that a system call raises is one for this thread; so it is blocked meanwhile,
// and taken out of the pending ones if it has come. A transfer in several parts may raise it and succeed.
template <class Call> ssize_t without_sigpipe(std::size_t count, Call call) noexcept {
    sigset_t sigpipe;
    sigset_t before;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
    const bool was_pending = sigismember(&before, SIGPIPE) == 1 && is_pending(SIGPIPE);
    const ssize_t moved = call();
    const int error = errno;
    const bool may_have_raised = moved == -1 ? error == EPIPE : static_cast<std::size_t>(moved) < count;
    if (may_have_raised && !was_pending) {
        const timespec at_once{};
        while (::sigtimedwait(&sigpipe, nullptr, &at_once) == -1 && errno == EINTR) {}
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return moved;
}

bool is_never_blocked(int number, descriptor_kind kind) noexcept {
    return kind == descriptor_kind::file || (::fcntl(number, F_GETFL) & O_NONBLOCK) != 0;
}

} // namespace

transfer_end transfer_end::of(loop& here, int number) noexcept {
    transfer_end end{.number = number};
    end.slot = descriptors_of(here).obtain(number, end.error);
    if (!end.slot)
        return end;
    end.generation = end.slot->generation;
    if (end.slot->is_owned()) {
        end.kind = end.slot->kind;
        end.never_blocks = !end.slot->is_shared || is_never_blocked(number, end.kind);
        return end;
    }
    end.error = find_kind(number, end.kind);
    if (end.error == 0)
        end.never_blocks = is_never_blocked(number, end.kind);
    return end;
}

int wait_until_ready(loop& here, const transfer_end& end, direction way, deadline until) noexcept {
    if (!end.is_still_open())
        return EBADF;
    asking work{way};
    return perform(here, end.number, work, until).error;
}

ssize_t quiet_sendfile(const transfer_end& out, int file, off_t offset, std::size_t count) noexcept {
    const auto call = [&] { return ::sendfile(out.number, file, &offset, count); };
    return is_socket(out.kind) ? without_sigpipe(count, call) : call();
}

ssize_t quiet_splice(int in, const transfer_end& out, std::size_t count) noexcept {
    const auto call = [&] { return ::splice(in, nullptr, out.number, nullptr, count, SPLICE_F_NONBLOCK); };
    return is_socket(out.kind) ? without_sigpipe(count, call) : call();
}

void note_broken(const transfer_end& end, int error) noexcept {
    if (end.slot->is_owned() && ends_connection(error))
        end.slot->broken = error;
}

} // namespace coir::detail
