#pragma once

#include <coir/descriptor.hpp>
#include <coir/endpoint.hpp>
#include <coir/tcp_options.hpp>

namespace coir::detail {

/// A new socket, non-blocking and close-on-exec, owned by the running loop. On an error (an errno) there is none.
[[nodiscard]] io::descriptor make_socket(int family, int type, int protocol, int& error) noexcept;

/// A new TCP socket of the family of `peer_or_self`.
[[nodiscard]] io::descriptor make_tcp_socket(const net::endpoint& peer_or_self, const net::tcp_options& options,
                                             int& error) noexcept;

/// The running loop owns `number`, which has just been made, as a socket of that type. On an error it is closed.
[[nodiscard]] io::descriptor adopt_socket(int number, int type, int& error) noexcept;

/// Throws std::system_error, naming `operation` and the address, unless `socket` listens and is of one of these families and
/// this type.
void require_listening(int socket, int family, int other_family, int type, const char* operation);

/// The address of this end of `socket`. Throws std::system_error.
[[nodiscard]] net::endpoint local_endpoint_of(const io::descriptor& socket);
/// The address of the other end, also of a connection that has ended or been reset. Throws std::system_error.
[[nodiscard]] net::endpoint remote_endpoint_of(const io::descriptor& socket);

/// shutdown(). The first throws std::system_error naming `operation` and the peer.
void shut_down(const io::descriptor& socket, int how, const char* operation);
void shut_down(const io::descriptor& socket, int how, std::error_code& error) noexcept;

} // namespace coir::detail
