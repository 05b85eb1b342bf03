#pragma once

#include <cstdint>
#include <string>

namespace coir::net {

/// What the packets of a socket are like, and which way they may go: part of tcp_options and udp_options. A default costs no system
/// call.
///
///     coir::net::udp_socket voice{local, {.ip = {.traffic_class = 0xb8, .interface = "eth0"}}};
struct ip_options {
    /// The byte by which routers tell urgent packets from others (IP_TOS, IPV6_TCLASS): the DSCP, times 4. Of TCP the two lowest bits
    /// are the kernel's.
    int traffic_class = 0;
    /// In the queues of this machine's interfaces, 0 to 6 (SO_PRIORITY); traffic_class implies one. Accepted connections begin with
    /// 0. More needs CAP_NET_ADMIN: std::errc::operation_not_permitted.
    int priority = 0;
    /// For the rules of routing and of packet filters (SO_MARK). Needs CAP_NET_ADMIN or CAP_NET_RAW: as above.
    std::uint32_t mark = 0;
    /// The only interface to send and receive through, by name (SO_BINDTODEVICE). Errors: std::errc::no_such_device.
    std::string interface = {};
    /// The local address may be one that this machine does not have, or not yet (IP_FREEBIND).
    bool free_bind = false;
};

} // namespace coir::net
