#include "io/borrowed.hpp"

#include "io/find_kind.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <fcntl.h>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

namespace coir::detail {
namespace {

bool is_file(int number) noexcept {
    descriptor_kind kind{};
    return find_kind(number, kind) == 0 && kind == descriptor_kind::file;
}

// How much can be written to what poll calls ready, and is no file: a longer write may block for the rest. A terminal has room for 256 bytes then.
// But it writes what it may have to translate by itself, and when that comes, after other text, may have no room left.
std::size_t room_when_ready(int number, const void* data, std::size_t size) noexcept {
    if (::isatty(number) == 0)
        return std::min<std::size_t>(size, PIPE_BUF);
    constexpr std::size_t least_room_of_terminal = 256;
    const std::string_view text{static_cast<const char*>(data), std::min(size, least_room_of_terminal)};
    return std::max<std::size_t>(std::min(text.find_first_of("\b\t\n\r"), text.size()), 1);
}

bool is_open_for(int number, short events) noexcept {
    const int mode = ::fcntl(number, F_GETFL) & O_ACCMODE;
    return mode == O_RDWR || mode == (events == POLLIN ? O_RDONLY : O_WRONLY);
}

// What a call that asked not to block, on something that is no socket, has failed by is in errno. True: the plain call will do.
// False: it has failed by what is in errno now, EAGAIN if it must wait.
bool is_to_be_called(int number, short events) noexcept {
    const int error = errno;
    bool calls = false;
    switch (error) {
    case EAGAIN:
        // Of a file this means that its pages are not in memory: no poll will tell when, the plain call reads them.
        calls = is_file(number);
        break;
    case EINVAL:     // signalfd
    case EOPNOTSUPP: // terminals, many file systems, pipes before Linux 6.4
    case ENOSYS:
        // Not possible for this file. When poll says ready the plain call does not block, or only if another process
        // takes away what is there at just that moment. Without the system call (old kernels, emulators) nobody has looked
        // whether the file is open in this direction: the plain call says so, poll would wait for ever.
        calls = is_ready(number, events) || !is_open_for(number, events);
        break;
    default:
        errno = error;
        return false;
    }
    errno = EAGAIN;
    return calls;
}

} // namespace

bool is_ready(int number, short events) noexcept {
    pollfd asked{number, events, 0};
    int ready = 0;
    do
        ready = ::poll(&asked, 1, 0);
    while (ready == -1 && errno == EINTR); // a signal, which says nothing about the file
    return ready != 0;                     // an error: let the real call find it
}

ssize_t read_borrowed(int number, const iovec* pieces, int count) noexcept {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces);
    message.msg_iovlen = static_cast<std::size_t>(count);
    ssize_t moved = ::recvmsg(number, &message, MSG_DONTWAIT);
    if (moved != -1 || errno != ENOTSOCK)
        return moved;
    moved = ::preadv2(number, pieces, count, -1, RWF_NOWAIT);
    if (moved != -1)
        return moved;
    if (!is_to_be_called(number, POLLIN))
        return -1;
    return ::readv(number, pieces, count);
}

ssize_t write_borrowed(int number, const iovec* pieces, int count) noexcept {
    // Always first as to a socket: the only way without SIGPIPE if it is one.
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces);
    message.msg_iovlen = static_cast<std::size_t>(count);
    ssize_t moved = ::sendmsg(number, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (moved != -1 || errno != ENOTSOCK)
        return moved;
    moved = ::pwritev2(number, pieces, count, -1, RWF_NOWAIT);
    if (moved != -1)
        return moved;
    if (!is_to_be_called(number, POLLOUT))
        return -1;
    if (is_file(number))
        return ::writev(number, pieces, count);
    const iovec first{pieces->iov_base, room_when_ready(number, pieces->iov_base, pieces->iov_len)};
    return ::writev(number, &first, 1);
}

ssize_t pread_borrowed(int number, void* data, std::size_t size, off_t offset) noexcept {
    const iovec piece{data, size};
    const ssize_t moved = ::preadv2(number, &piece, 1, offset, RWF_NOWAIT);
    if (moved != -1)
        return moved;
    if (!is_to_be_called(number, POLLIN))
        return -1;
    return ::pread(number, data, size, offset);
}

ssize_t pwrite_borrowed(int number, const void* data, std::size_t size, off_t offset) noexcept {
    const iovec piece{const_cast<void*>(data), size};
    const ssize_t moved = ::pwritev2(number, &piece, 1, offset, RWF_NOWAIT);
    if (moved != -1)
        return moved;
    if (!is_to_be_called(number, POLLOUT))
        return -1;
    return ::pwrite(number, data, is_file(number) ? size : room_when_ready(number, data, size), offset);
}

} // namespace coir::detail
