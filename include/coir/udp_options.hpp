#pragma once

#include <coir/ip_options.hpp>

#include <cstddef>

namespace coir::net {

/// Initial options of a udp_socket.
struct udp_options {
    /// Several sockets may be bound to the same address and port, if all say so (SO_REUSEADDR): multicast and broadcast
    /// datagrams go to each of them, other datagrams to the latest.
    bool reuse_address = false;
    /// The same, and the kernel distributes datagrams among them, those of one sender always to the same (SO_REUSEPORT).
    bool reuse_port = false;
    /// An IPv6 socket does not accept IPv4. Otherwise "::" accepts both, whatever the system's default.
    bool v6_only = false;
    /// May send to broadcast addresses.
    bool broadcast = false;
    /// Buffer sizes of the kernel for each direction, in bytes; datagrams that arrive while the receive buffer is full are
    /// lost. 0: the system's default.
    std::size_t send_buffer = 0;
    std::size_t receive_buffer = 0;
    ip_options ip = {};
};

} // namespace coir::net
