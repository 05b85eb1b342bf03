#pragma once

#include <coir/descriptor.hpp>
#include <coir/endpoint.hpp>
#include <coir/udp_options.hpp>

namespace coir::detail {

/// A new UDP socket of the family of `peer_or_self`, with its options. On an error (an errno) there is none.
[[nodiscard]] io::descriptor make_udp_socket(const net::endpoint& peer_or_self, const net::udp_options& options,
                                             int& error) noexcept;

/// Returns 0 or an errno.
[[nodiscard]] int connect_udp_socket(int socket, const net::endpoint& remote) noexcept;

} // namespace coir::detail
