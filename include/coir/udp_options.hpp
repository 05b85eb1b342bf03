#pragma once

#include <coir/ip_options.hpp>

#include <cstddef>

namespace coir::net {

/// What a udp_socket is like from its beginning.
struct udp_options {
    /// Several sockets may be bound to the same address and port, if all say so (SO_REUSEADDR): what is sent to a multicast
    /// group or broadcast comes to each of them, other datagrams to the latest.
    bool reuse_address = false;
    /// The same, and the kernel distributes datagrams among them, those of one sender always to the same (SO_REUSEPORT).
    bool reuse_port = false;
    /// An IPv6 socket does not take IPv4. Otherwise "::" takes both, whatever the system's default.
    bool v6_only = false;
    /// May send to broadcast addresses.
    bool broadcast = false;
    /// Bytes that the kernel keeps for each direction; what comes when the receive buffer is full is lost. 0: the system's
    /// default.
    std::size_t send_buffer = 0;
    std::size_t receive_buffer = 0;
    ip_options ip = {};
};

} // namespace coir::net
