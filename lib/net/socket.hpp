#pragma once

#include <coir/descriptor.hpp>
#include <coir/endpoint.hpp>

namespace coir::detail {

/// A new TCP socket of the family of `peer_or_self`, non-blocking, close-on-exec, with TCP_NODELAY, owned by the running
/// loop. On an error (an errno) there is none.
[[nodiscard]] io::descriptor make_tcp_socket(const net::endpoint& peer_or_self, int& error) noexcept;

/// The address of this end of `socket`. Throws std::system_error.
[[nodiscard]] net::endpoint local_endpoint_of(const io::descriptor& socket);
/// The address of the other end. Throws std::system_error.
[[nodiscard]] net::endpoint remote_endpoint_of(const io::descriptor& socket);

} // namespace coir::detail
