#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/readiness_case.hpp>
#include <coir/export.hpp>
#include <coir/transfer_cancelled.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>

struct msghdr; // of <sys/socket.h>

/// \file
/// Waiting for, reading and writing file descriptors of any kind: sockets, pipes, terminals, eventfd, timerfd, signalfd,
/// regular files. Each call looks like the system call of that name on a blocking descriptor, and suspends only the
/// calling fiber.
///
/// Common to all:
/// - They try the system call first and wait only if it would block. A descriptor need not be in non-blocking mode, and
///   its mode is not changed.
/// - Suspension: when the call would block; also, now and then, to let others run when it never does.
/// - Deadline: std::errc::timed_out. What arrived before is delivered even if the deadline has passed as well.
/// - Cancellation: throws coir::cancelled; after some bytes have been transferred, the derived io::transfer_cancelled, which
///   says how many (the opener of a failed task group gets that failure instead). With a std::error_code argument it reports
///   std::errc::operation_canceled.
/// - Errors: the throwing form throws io::transfer_error, which also says how many bytes had been moved; the form with a
///   std::error_code returns that number. No byte is lost unreported. A descriptor that is closed, negative, or closed with
///   io::close() while the call waits: std::errc::bad_file_descriptor. An epoll descriptor that the loop's epoll cannot
///   contain: std::errc::invalid_argument.
/// - Several fibers may use one descriptor at once: readers are served first come, first served, and so are writers. That holds
///   each time a call has to wait: chunks of two concurrent write_all() calls may interleave. Use a coir::mutex to keep them
///   apart.
/// - Threads: while a descriptor is being waited for, it belongs to the waiting loop. Only inside coir::run: elsewhere
///   std::logic_error, or std::errc::operation_not_permitted.
/// - EINTR is handled. SIGPIPE is not raised for sockets; pipes raise it as always.
/// - Regular files and block devices never make a fiber wait: the thread waits for the disk. For terminals (and pipes before
///   Linux 6.4) in blocking mode, the kernel does not say beforehand whether a call will block: if another process takes the
///   data at the wrong moment, the thread waits as well. io::descriptor avoids that.
///
///     std::array<std::byte, 4096> buffer;
///     while (std::size_t n = coir::io::read_some(STDIN_FILENO, buffer))
///         coir::io::write_all(STDOUT_FILENO, std::span{buffer}.first(n));
namespace coir::io {

/// A transfer that failed, and how far it had got.
class COIR_EXPORT transfer_error : public std::system_error {
public:
    transfer_error(std::error_code error, const std::string& operation, std::size_t bytes_transferred);
    ~transfer_error() override;

    /// Bytes that were moved before the error.
    [[nodiscard]] std::size_t bytes_transferred() const noexcept { return bytes_transferred_; }

private:
    std::size_t bytes_transferred_;
};

/// A piece of memory to read into, for readv(). Same layout as the system's `iovec`.
struct mutable_buffer {
    void* data;
    std::size_t size;
};

/// A piece of memory to write, for writev(). Same layout as the system's `iovec`.
struct const_buffer {
    const void* data;
    std::size_t size;
};

/// Suspends until a read (accept, …) on `descriptor` would probably not block: there is data, end of file, or an error. Regular
/// files are always ready. This is only a hint: another reader may be faster.
COIR_EXPORT void wait_readable(int descriptor, deadline until = {});
COIR_EXPORT void wait_readable(int descriptor, std::error_code& error, deadline until = {}) noexcept;

/// As wait_readable(), for writing.
COIR_EXPORT void wait_writable(int descriptor, deadline until = {});
COIR_EXPORT void wait_writable(int descriptor, std::error_code& error, deadline until = {}) noexcept;

/// Cases for select(): as wait_readable() and wait_writable(). When `descriptor` cannot be waited for, or is closed meanwhile,
/// select() throws std::system_error.
[[nodiscard]] inline detail::readiness_case readable(int descriptor) noexcept {
    return {descriptor, false};
}
[[nodiscard]] inline detail::readiness_case writable(int descriptor) noexcept {
    return {descriptor, true};
}

/// Reads what is there, at least one byte; 0 at the end of file (or for an empty buffer).
COIR_EXPORT std::size_t read_some(int descriptor, std::span<std::byte> buffer, deadline until = {});
COIR_EXPORT std::size_t read_some(int descriptor, std::span<std::byte> buffer, std::error_code& error,
                                  deadline until = {}) noexcept;

/// Writes what there is room for, at least one byte (0 for an empty buffer).
COIR_EXPORT std::size_t write_some(int descriptor, std::span<const std::byte> buffer, deadline until = {});
COIR_EXPORT std::size_t write_some(int descriptor, std::span<const std::byte> buffer, std::error_code& error,
                                   deadline until = {}) noexcept;

/// Fills the buffer. Returns less than its size only at the end of file.
COIR_EXPORT std::size_t read_all(int descriptor, std::span<std::byte> buffer, deadline until = {});
COIR_EXPORT std::size_t read_all(int descriptor, std::span<std::byte> buffer, std::error_code& error,
                                 deadline until = {}) noexcept;

/// Writes the whole buffer.
COIR_EXPORT std::size_t write_all(int descriptor, std::span<const std::byte> buffer, deadline until = {});
COIR_EXPORT std::size_t write_all(int descriptor, std::span<const std::byte> buffer, std::error_code& error,
                                  deadline until = {}) noexcept;

/// As read_some(), scattered over several pieces in order.
COIR_EXPORT std::size_t readv(int descriptor, std::span<const mutable_buffer> buffers, deadline until = {});
COIR_EXPORT std::size_t readv(int descriptor, std::span<const mutable_buffer> buffers, std::error_code& error,
                              deadline until = {}) noexcept;

/// Writes all the pieces in order, as one write_all() of their concatenation.
COIR_EXPORT std::size_t writev(int descriptor, std::span<const const_buffer> buffers, deadline until = {});
COIR_EXPORT std::size_t writev(int descriptor, std::span<const const_buffer> buffers, std::error_code& error,
                               deadline until = {}) noexcept;

/// As read_some() and read_all(), from `offset` on, without moving the file's position: for files and block devices. For
/// descriptors without a position (pipes, sockets): std::errc::invalid_seek.
COIR_EXPORT std::size_t pread_some(int descriptor, std::span<std::byte> buffer, std::uint64_t offset,
                                   deadline until = {});
COIR_EXPORT std::size_t pread_some(int descriptor, std::span<std::byte> buffer, std::uint64_t offset,
                                   std::error_code& error, deadline until = {}) noexcept;
COIR_EXPORT std::size_t pread_all(int descriptor, std::span<std::byte> buffer, std::uint64_t offset,
                                  deadline until = {});
COIR_EXPORT std::size_t pread_all(int descriptor, std::span<std::byte> buffer, std::uint64_t offset,
                                  std::error_code& error, deadline until = {}) noexcept;

/// As write_some() and write_all(), from `offset` on, in the same way. A file that was opened with O_APPEND is appended to,
/// whatever the offset: Linux behaves so.
COIR_EXPORT std::size_t pwrite_some(int descriptor, std::span<const std::byte> buffer, std::uint64_t offset,
                                    deadline until = {});
COIR_EXPORT std::size_t pwrite_some(int descriptor, std::span<const std::byte> buffer, std::uint64_t offset,
                                    std::error_code& error, deadline until = {}) noexcept;
COIR_EXPORT std::size_t pwrite_all(int descriptor, std::span<const std::byte> buffer, std::uint64_t offset,
                                   deadline until = {});
COIR_EXPORT std::size_t pwrite_all(int descriptor, std::span<const std::byte> buffer, std::uint64_t offset,
                                   std::error_code& error, deadline until = {}) noexcept;

/// The system calls of these names on a socket, for features that the classes of net do not offer: addresses, ancillary data,
/// flags. Each makes one successful system call and returns its result, which may be 0 for an empty message. MSG_DONTWAIT,
/// MSG_NOSIGNAL and MSG_CMSG_CLOEXEC (so that child programs do not inherit received descriptors) are added to `flags`;
/// therefore MSG_WAITALL has no effect. On an error `message` is unchanged. Not a socket: std::errc::not_a_socket.
COIR_EXPORT std::size_t recvmsg(int socket, ::msghdr& message, int flags, deadline until = {});
COIR_EXPORT std::size_t recvmsg(int socket, ::msghdr& message, int flags, std::error_code& error,
                                deadline until = {}) noexcept;
COIR_EXPORT std::size_t sendmsg(int socket, const ::msghdr& message, int flags, deadline until = {});
COIR_EXPORT std::size_t sendmsg(int socket, const ::msghdr& message, int flags, std::error_code& error,
                                deadline until = {}) noexcept;

/// Writes `count` bytes of `file`, from `offset` on, to `out`, without moving the file's position; fewer only when the file
/// ends before. Uses sendfile(2), so that the bytes do not pass through the process. Where that is not possible (a socket, pipe
/// or terminal in blocking mode; a file that was opened with O_APPEND), it uses a buffer, which needs memory:
/// std::errc::not_enough_memory. The fiber waits for `out`; the thread waits for the disk. No SIGPIPE for sockets.
COIR_EXPORT std::size_t send_file(int out, int file, std::uint64_t offset, std::size_t count, deadline until = {});
COIR_EXPORT std::size_t send_file(int out, int file, std::uint64_t offset, std::size_t count, std::error_code& error,
                                  deadline until = {}) noexcept;

/// Moves `count` bytes from `in` to `out`, of which at least one is a pipe, without copying them; fewer only at the end of
/// `in`. Uses splice(2). Waits for the end that is not ready; queues among the readers of `in`, not among the writers of `out`.
/// If the kernel cannot do it, or not without blocking the thread (neither is a pipe; a socket or terminal in blocking mode):
/// std::errc::invalid_argument, and nothing has been moved. copy() finds another way.
COIR_EXPORT std::size_t splice(int in, int out, std::size_t count, deadline until = {});
COIR_EXPORT std::size_t splice(int in, int out, std::size_t count, std::error_code& error,
                               deadline until = {}) noexcept;

/// Closes `descriptor` and wakes the fibers of this loop that wait for it: their calls report
/// std::errc::bad_file_descriptor. Use it, and not ::close(), for a descriptor that others may be waiting for.
/// Never suspends. Also outside coir::run. Throws std::system_error.
COIR_EXPORT void close(int descriptor);
COIR_EXPORT void close(int descriptor, std::error_code& error) noexcept;

} // namespace coir::io
