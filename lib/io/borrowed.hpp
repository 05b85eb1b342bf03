#pragma once

#include <cstddef>
#include <sys/types.h>
#include <sys/uio.h>

namespace coir::detail {

/// readv() and writev() on a descriptor of any kind and mode that never block the thread: -1 with EAGAIN instead. Its
/// mode is not changed, since others may share it: children, the shell (hazard H4). No SIGPIPE for sockets.
///
/// `count` is at least 1, at most IOV_MAX, and the first piece is not empty.
ssize_t read_borrowed(int number, const iovec* pieces, int count) noexcept;
ssize_t write_borrowed(int number, const iovec* pieces, int count) noexcept;

/// pread() and pwrite(), in the same way. EAGAIN never of a regular file or block device: these wait for the disk.
ssize_t pread_borrowed(int number, void* data, std::size_t size, off_t offset) noexcept;
ssize_t pwrite_borrowed(int number, const void* data, std::size_t size, off_t offset) noexcept;

/// It is ready for `events` (POLLIN, POLLOUT) now, or not open.
bool is_ready(int number, short events) noexcept;

} // namespace coir::detail
