#pragma once

#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>

namespace coir::detail {

/// An address, as the system gives it.
struct socket_name {
    sockaddr_storage address{};
    socklen_t size = 0;
};

/// The name of `socket` itself. Returns 0 or an errno.
[[nodiscard]] int find_own_name(int socket, socket_name& own) noexcept;

/// The name of the peer of a socket, also of one whose connection has ended or been reset. Returns 0 or an errno: ENOTCONN if it has
/// never had one.
[[nodiscard]] int find_peer_name(int socket, socket_name& peer) noexcept;

/// 192.0.2.1 of ::ffff:192.0.2.1, as which an IPv6 socket sees an IPv4 peer; nothing of any other address.
[[nodiscard]] std::optional<sockaddr_in> v4_of(const sockaddr_in6& mapped) noexcept;

} // namespace coir::detail
