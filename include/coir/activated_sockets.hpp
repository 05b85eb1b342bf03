#pragma once

#include <coir/descriptor.hpp>
#include <coir/export.hpp>

#include <string>
#include <vector>

namespace coir::net {

/// A socket that the process was started with.
struct activated_socket {
    std::string name; ///< FileDescriptorName= of the socket unit; "unknown" if there is none
    io::descriptor socket;
};

/// The sockets that systemd (or systemd-socket-activate, or another program that follows the protocol of sd_listen_fds(3)) has
/// opened for this process, in order; none if it was started in another way, or after the first call. They are close-on-exec,
/// and owned from now on. LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES are removed from the environment, so that children do not
/// mistake these sockets for their own: call this before other threads read the environment.
///
/// The constructors of the listeners check what kind of socket each is, and refuse any other with std::errc::invalid_argument.
///
///     auto sockets = coir::net::activated_sockets();
///     coir::net::tcp_listener listener = sockets.empty() ? coir::net::tcp_listener{"", 8080}
///                                                        : coir::net::tcp_listener{std::move(sockets[0].socket)};
///
/// Never suspends. Throws std::system_error when LISTEN_FDS is not a number (std::errc::invalid_argument), or when one of these
/// descriptors is not open; then all are left as they are. Only inside coir::run.
[[nodiscard]] COIR_EXPORT std::vector<activated_socket> activated_sockets();

} // namespace coir::net
