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

/// As the limit of copy(): to the end.
inline constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

/// Moves bytes from `from`, from its position on, to `to`, until the end of `from` or until `limit` of them have been moved.
/// Returns their number. In the best way that the two allow:
///
/// | from | to | |
/// | --- | --- | --- |
/// | anything | a pipe | splice(2) |
/// | a pipe | anything | splice(2) |
/// | a file | anything | sendfile(2) |
/// | a stream socket | anything else | as much as `to` takes of what is there, through a buffer |
/// | what is left: terminals, devices | | pieces of 4 KiB, each read when there is room for it |
///
/// Where the kernel refuses (a socket or terminal that is not in non-blocking mode, and others) also through a buffer.
///
/// May suspend. Out of a file the thread waits for the disk, and all fibers with it, if what is read is not in memory: io::file and
/// a file_reader, which a buffered_reader reads, keep the others going. A deadline and cancellation as in io.hpp: what is thrown
/// says how many bytes have been moved, and all others are
/// still in `from`. The one exception: bytes that have been read from a terminal, a device, or a pipe that cannot be spliced,
/// are lost when `to` fails right then, or the deadline passes or the fiber is cancelled although there was room: 4 KiB at
/// the most. A buffered_reader around it keeps these, too.
/// Throws io::transfer_error; datagram sockets, which carry no stream: std::errc::invalid_argument. No SIGPIPE for sockets.
/// No other reader of `from` may interfere.
///
///     const std::size_t size = coir::io::copy(upload.native_handle(), file.get(), content_length, 30s);
COIR_EXPORT std::size_t copy(int from, int to, std::size_t limit = no_limit, deadline until = {});
COIR_EXPORT std::size_t copy(int from, int to, std::size_t limit, std::error_code& error, deadline until = {}) noexcept;

/// As above, between descriptors and streams that are no more than one (tcp_stream, unix_stream): see enable_kernel_copy.
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

/// From a reader, what it has buffered first, to any stream. Nothing is lost in any case: what `to` has not taken is still in
/// the reader. So copies a stream that is not one of the system's, as TLS.
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
