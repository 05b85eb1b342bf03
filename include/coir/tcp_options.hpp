#pragma once

#include <coir/ip_options.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace coir::net {

/// When and how often the kernel probes a silent peer. If no probe is answered, reads and writes end with std::errc::timed_out.
/// Whole seconds, at least one.
struct tcp_keep_alive {
    std::chrono::seconds idle{7200};   ///< of silence before the first probe
    std::chrono::seconds interval{75}; ///< between probes
    int probes = 9;                    ///< unanswered, after which the connection ends

    bool operator==(const tcp_keep_alive&) const noexcept = default;
};

/// Initial options of a TCP connection: part of connect_options and of listen_options, where they apply to every accepted
/// connection. Most can be changed later by functions of tcp_stream of the same name.
///
///     coir::net::tcp_listener server{endpoint, {.connections = {.keep_alive = coir::net::tcp_keep_alive{.idle = 60s}}}};
///
/// A default costs no system call, except for `no_delay`.
struct tcp_options {
    /// Writes are sent at once (TCP_NODELAY), instead of being held back while earlier data is unacknowledged.
    bool no_delay = true;
    /// None: the kernel sends no probes.
    std::optional<tcp_keep_alive> keep_alive = std::nullopt;
    /// What close() does with unsent data. None: the kernel goes on sending it. 0 s: close() discards it and resets the
    /// connection. Longer: **close() and the destructor block the thread** until the peer has everything, but at most for this
    /// long.
    std::optional<std::chrono::seconds> linger = std::nullopt;
    /// For how long sent data may remain without an acknowledgement before the connection ends with std::errc::timed_out
    /// (TCP_USER_TIMEOUT). 0: until the kernel gives up, after about a quarter of an hour.
    std::chrono::milliseconds user_timeout{0};
    /// Buffer sizes of the kernel for each direction, in bytes. 0: autotuned, which is nearly always better. They are set
    /// before connecting, because the window advertised to the peer depends on them.
    std::size_t send_buffer = 0;
    std::size_t receive_buffer = 0;
    /// Writers wait while this many bytes have been written and not sent (TCP_NOTSENT_LOWAT), instead of filling the send
    /// buffer, so that data is not stale by the time it is sent. 0: the system's default, usually no limit.
    std::size_t not_sent_low_water = 0;
    /// The congestion control algorithm, such as "bbr" (TCP_CONGESTION). None: the system's default. Errors:
    /// std::errc::no_such_file_or_directory if it does not exist; operation_not_permitted.
    std::string congestion_control = {};
    /// For a listener it also applies to the listening socket.
    ip_options ip = {};
};

} // namespace coir::net
