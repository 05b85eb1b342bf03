#pragma once

#include <coir/descriptor.hpp>
#include <coir/export.hpp>

#include <system_error>

namespace coir::io {

/// The two ends of a pipe.
struct pipe_ends {
    descriptor read;  ///< reads what is written to `write`; end of file when that and all its duplicates are closed
    descriptor write; ///< std::errc::broken_pipe, and SIGPIPE as always, when nobody can read any more
};

/// Creates a pipe for the fibers of this loop: both ends are non-blocking and close-on-exec. A program that io::process starts
/// with an end as its standard input or output (redirect::to) gets it in blocking mode, as programs expect. For programs that
/// are started by other means, or that receive the end through a socket, create the pipe with pipe2(2).
///
/// Never suspends. Throws std::system_error (std::errc::too_many_files_open, …), and std::logic_error outside coir::run; the
/// other form reports that as std::errc::operation_not_permitted. On an error nothing is left open.
///
///     auto [out, in] = coir::io::pipe();
///     auto writer = coir::spawn([in = std::move(in)]() mutable { in.write_all(message); });
///     out.read_some(buffer);
COIR_EXPORT pipe_ends pipe();
COIR_EXPORT pipe_ends pipe(std::error_code& error) noexcept;

} // namespace coir::io
