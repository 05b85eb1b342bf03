#pragma once

#include <sys/socket.h>

namespace coir::detail {

/// An address, as the system gives it.
struct socket_name {
    sockaddr_storage address{};
    socklen_t size = 0;
};

/// The name of the peer of a socket, also of one whose connection has ended or been reset. Returns 0 or an errno: ENOTCONN if it has
/// never had one.
[[nodiscard]] int find_peer_name(int socket, socket_name& peer) noexcept;

} // namespace coir::detail
