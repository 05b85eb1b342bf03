#pragma once

#include <cstdint>
#include <string>

namespace coir::net {

/// Properties and routing of a socket's packets: part of tcp_options and udp_options. A default costs no system call.
///
///     coir::net::udp_socket voice{local, {.ip = {.traffic_class = 0xb8, .interface = "eth0"}}};
struct ip_options {
    /// The byte by which routers tell urgent packets from others (IP_TOS, IPV6_TCLASS): the DSCP, times 4. For TCP, the two
    /// lowest bits belong to the kernel.
    int traffic_class = 0;
    /// Priority in the queues of this machine's interfaces, 0 to 6 (SO_PRIORITY); traffic_class implies one. Accepted
    /// connections begin with 0. Higher values need CAP_NET_ADMIN: std::errc::operation_not_permitted.
    int priority = 0;
    /// A mark for routing rules and packet filters (SO_MARK). Needs CAP_NET_ADMIN or CAP_NET_RAW: as above.
    std::uint32_t mark = 0;
    /// The only interface to send and receive through, by name (SO_BINDTODEVICE). Errors: std::errc::no_such_device.
    std::string interface = {};
    /// The local address may be one that this machine does not have, or not yet (IP_FREEBIND).
    bool free_bind = false;
};

} // namespace coir::net
