#pragma once

#include <coir/borrowed_descriptor.hpp>
#include <coir/buffered_reader.hpp>
#include <coir/deadline.hpp>
#include <coir/detail/stream_reference.hpp>
#include <coir/export.hpp>
#include <coir/stream.hpp>

#include <cstddef>
#include <limits>
#include <system_error>

namespace coir::detail {

COIR_EXPORT std::size_t copy_buffered(io::buffered_reader& from, const sink_reference& to, std::size_t limit,
                                      deadline until);
COIR_EXPORT std::size_t copy_buffered(io::buffered_reader& from, const sink_reference& to, std::size_t limit,
                                      std::error_code& error, deadline until) noexcept;

} // namespace coir::detail

namespace coir::io {

/// For the limit of copy(): until the end.
inline constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

/// Copies bytes from `from`, starting at its position, to `to`, until the end of `from` or until `limit` bytes have been moved.
/// Returns their number. Uses the best way that the two allow:
///
/// | from | to | |
/// | --- | --- | --- |
/// | anything | a pipe | splice(2) |
/// | a pipe | anything | splice(2) |
/// | a file | anything | sendfile(2) |
/// | a stream socket | anything else | as much as `to` takes of what is there, through a buffer |
/// | what is left: terminals, devices | | pieces of 4 KiB, each read when there is room for it |
///
/// Where the kernel refuses (a socket or terminal in blocking mode, and others), the bytes also go through a buffer.
///
/// May suspend. When copying from a file whose data is not in memory, the thread, and with it all fibers, waits for the disk;
/// to avoid that, copy from a buffered_reader over a file_reader of an io::file. Deadline and cancellation as in io.hpp: the
/// exception says how many bytes have been moved, and all others are still in `from`. One exception: bytes read from a
/// terminal, a device, or a pipe that cannot be spliced (4 KiB at most) are lost if `to` fails just then, or if the deadline
/// passes or the fiber is cancelled although there was room. A buffered_reader around `from` keeps these, too. Throws
/// io::transfer_error; datagram sockets, which carry no stream: std::errc::invalid_argument. No SIGPIPE for sockets. No other
/// reader of `from` may interfere.
///
///     const std::size_t size = coir::io::copy(upload.native_handle(), file.get(), content_length, 30s);
COIR_EXPORT std::size_t copy(int from, int to, std::size_t limit = no_limit, deadline until = {});
COIR_EXPORT std::size_t copy(int from, int to, std::size_t limit, std::error_code& error, deadline until = {}) noexcept;

/// As above, between descriptors and streams that are plain wrappers of one (tcp_stream, unix_stream): see enable_kernel_copy.
template <class From, class To>
    requires(enable_kernel_copy<From>&& enable_kernel_copy<To>)
std::size_t copy(const From& from, const To& to, std::size_t limit = no_limit, deadline until = {}) {
    return copy(detail::handle_of(from), detail::handle_of(to), limit, until);
}
template <class From, class To>
    requires(enable_kernel_copy<From>&& enable_kernel_copy<To>)
std::size_t copy(const From& from, const To& to, std::size_t limit, std::error_code& error, deadline until = {})
noexcept {
    return copy(detail::handle_of(from), detail::handle_of(to), limit, error, until);
}

/// Copies from a reader, its buffered bytes first, to any stream. Nothing is lost in any case: what `to` has not accepted is
/// still in the reader. This is how to copy a stream that is not a plain descriptor, such as TLS.
template <writable_stream To>
std::size_t copy(buffered_reader& from, To& to, std::size_t limit = no_limit, deadline until = {}) {
    return detail::copy_buffered(from, detail::sink_reference{to}, limit, until);
}
template <writable_stream To>
std::size_t copy(buffered_reader& from, To& to, std::size_t limit, std::error_code& error,
                 deadline until = {}) noexcept {
    return detail::copy_buffered(from, detail::sink_reference{to}, limit, error, until);
}

} // namespace coir::io
