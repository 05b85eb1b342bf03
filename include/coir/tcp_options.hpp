#pragma once

#include <coir/ip_options.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace coir::net {

/// When and how often the kernel asks a silent peer whether it is still there. When no probe has been answered, reads and writes
/// end with std::errc::timed_out. Whole seconds, of at least one.
struct tcp_keep_alive {
    std::chrono::seconds idle{7200};   ///< of silence before the first probe
    std::chrono::seconds interval{75}; ///< between probes
    int probes = 9;                    ///< without an answer, and the connection has ended

    bool operator==(const tcp_keep_alive&) const noexcept = default;
};

/// What a TCP connection is like from its beginning: part of connect_options and of listen_options, where it holds for
/// every connection that is accepted. Most can be changed later by the functions of tcp_stream that are named alike.
///
///     coir::net::tcp_listener server{endpoint, {.connections = {.keep_alive = coir::net::tcp_keep_alive{.idle = 60s}}}};
///
/// A default costs no system call, but for `no_delay`.
struct tcp_options {
    /// What is written is sent at once (TCP_NODELAY), instead of being held back while the peer has not acknowledged something.
    bool no_delay = true;
    /// None: the kernel does not ask.
    std::optional<tcp_keep_alive> keep_alive = std::nullopt;
    /// What close() does with what has not been sent. None: the kernel goes on sending. 0 s: throws it away and resets the
    /// connection. Longer: **close() and the destructor block the thread**, for so long at the most, until the peer has
    /// everything.
    std::optional<std::chrono::seconds> linger = std::nullopt;
    /// For how long sent data may remain without an acknowledgement before the connection ends with std::errc::timed_out
    /// (TCP_USER_TIMEOUT). 0: until the kernel gives up, which takes a quarter of an hour or so.
    std::chrono::milliseconds user_timeout{0};
    /// Bytes the kernel keeps for each direction. 0: it finds out by itself what the connection needs, which is nearly always
    /// better. Set from the beginning, because the window that the peer is told depends on it.
    std::size_t send_buffer = 0;
    std::size_t receive_buffer = 0;
    /// Writers wait while so many bytes have been written and not sent (TCP_NOTSENT_LOWAT), instead of filling the send buffer: what is
    /// written late is not out of date when its turn comes. 0: the system's default, usually no limit.
    std::size_t not_sent_low_water = 0;
    /// The kernel's way to find out how fast it may send, as "bbr" (TCP_CONGESTION). None: the system's default. Errors:
    /// std::errc::no_such_file_or_directory: there is no such; operation_not_permitted.
    std::string congestion_control = {};
    /// Of a listener it holds for the listener, too.
    ip_options ip = {};
};

} // namespace coir::net
