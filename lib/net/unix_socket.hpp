#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/detail/bound_path.hpp>
#include <coir/peer_credentials.hpp>
#include <coir/unix_bind_options.hpp>
#include <coir/unix_endpoint.hpp>

#include <system_error>
#include <utility>

/// \file
/// What the Unix domain sockets have in common. `type`: SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM. Errors are errnos, 0 for none, or
/// was_cancelled.
namespace coir::detail {

class loop;

/// May suspend. On an error there is no socket.
[[nodiscard]] int connect_unix(loop& here, int type, const net::unix_endpoint& remote, deadline until,
                               io::descriptor& socket) noexcept;

/// A new socket, bound unless `local` is unnamed.
[[nodiscard]] int bind_unix(int type, const net::unix_endpoint& local, const net::unix_bind_options& options,
                            io::descriptor& socket, bound_path& path) noexcept;

/// The same, and it listens.
[[nodiscard]] int listen_unix(int type, const net::unix_endpoint& local, const net::unix_bind_options& options,
                              int backlog, io::descriptor& socket, bound_path& path) noexcept;

/// Two that are connected, or none.
[[nodiscard]] int pair_unix(int type, std::pair<io::descriptor, io::descriptor>& sockets) noexcept;

/// Throw std::system_error.
[[nodiscard]] net::unix_endpoint local_unix_endpoint(const io::descriptor& socket);
[[nodiscard]] net::unix_endpoint remote_unix_endpoint(const io::descriptor& socket);
[[nodiscard]] net::peer_credentials credentials_of(const io::descriptor& socket);

} // namespace coir::detail
