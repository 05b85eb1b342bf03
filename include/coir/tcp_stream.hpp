#pragma once

#include <coir/connect_options.hpp>
#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/endpoint.hpp>
#include <coir/export.hpp>
#include <coir/io.hpp>
#include <coir/stream.hpp>
#include <coir/stream_socket.hpp>
#include <coir/tcp_options.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <system_error>

namespace coir::net {

/// A TCP connection. Closed by the destructor. Created by connecting or by tcp_listener::accept().
///
/// Two fibers may use it at once, one reading and one writing. For suspension, deadlines, cancellation and errors of the
/// transfers see io.hpp. TCP_NODELAY is set: writes are sent at once.
///
///     coir::net::tcp_stream peer{coir::net::endpoint{"127.0.0.1", 8080}, 5s};
///     peer.write_all(request, 5s);
///     const std::size_t n = peer.read_some(answer, 5s);        // 0: the peer has closed
class COIR_EXPORT tcp_stream : public stream_socket {
public:
    /// Not connected.
    tcp_stream() noexcept = default;

    /// Connects. May suspend. Throws std::system_error naming the endpoint: std::errc::connection_refused, timed_out when
    /// `until` came first, …; then nothing is left open. Throws coir::cancelled.
    explicit tcp_stream(const endpoint& remote, deadline until = {});
    /// On an error the stream is not connected.
    tcp_stream(const endpoint& remote, std::error_code& error, deadline until = {}) noexcept;
    /// As above, from a given local address or with other options. Errors also: those of the options, with their names;
    /// std::errc::address_in_use, address_not_available, for options.local.
    tcp_stream(const endpoint& remote, const connect_options& options, deadline until = {});
    tcp_stream(const endpoint& remote, const connect_options& options, std::error_code& error,
               deadline until = {}) noexcept;

    /// Adopts a connected socket.
    explicit tcp_stream(io::descriptor socket) noexcept : stream_socket(std::move(socket)) {}

    /// They throw std::system_error.
    [[nodiscard]] endpoint local_endpoint() const;
    [[nodiscard]] endpoint remote_endpoint() const; ///< also for a connection that has ended or been reset

    /// Ends the writing side: the peer reads end of file; reading goes on. Never suspends. Throws std::system_error.
    void shutdown_write();
    void shutdown_write(std::error_code& error) noexcept;
    /// Ends the reading side: from now on reads, including pending ones, get end of file after the data that has arrived. The
    /// peer is not told. Never suspends. Throws std::system_error.
    void shutdown_read();
    void shutdown_read(std::error_code& error) noexcept;

    /// See tcp_options for each. They never suspend; they throw std::system_error, with std::errc::invalid_argument for a value
    /// that the kernel does not accept.
    ///
    ///     peer.set_keep_alive(coir::net::tcp_keep_alive{.idle = 60s, .interval = 10s, .probes = 3});
    ///     peer.set_linger(0s);                    // a client that misbehaves gets a reset
    void set_no_delay(bool on);
    void set_no_delay(bool on, std::error_code& error) noexcept;
    [[nodiscard]] bool no_delay() const;
    void set_keep_alive(std::optional<tcp_keep_alive> probing);
    void set_keep_alive(std::optional<tcp_keep_alive> probing, std::error_code& error) noexcept;
    [[nodiscard]] std::optional<tcp_keep_alive> keep_alive() const;
    void set_linger(std::optional<std::chrono::seconds> time);
    void set_linger(std::optional<std::chrono::seconds> time, std::error_code& error) noexcept;
    [[nodiscard]] std::optional<std::chrono::seconds> linger() const;
    void set_user_timeout(std::chrono::milliseconds time);
    void set_user_timeout(std::chrono::milliseconds time, std::error_code& error) noexcept;
    [[nodiscard]] std::chrono::milliseconds user_timeout() const;
    /// The kernel reports what it reserves including its own overhead: twice what was set, up to the system's limit.
    void set_send_buffer(std::size_t bytes);
    void set_send_buffer(std::size_t bytes, std::error_code& error) noexcept;
    [[nodiscard]] std::size_t send_buffer() const;
    void set_receive_buffer(std::size_t bytes);
    void set_receive_buffer(std::size_t bytes, std::error_code& error) noexcept;
    [[nodiscard]] std::size_t receive_buffer() const;
    void set_not_sent_low_water(std::size_t bytes);
    void set_not_sent_low_water(std::size_t bytes, std::error_code& error) noexcept;
    [[nodiscard]] std::size_t not_sent_low_water() const;
    void set_congestion_control(const std::string& name);
    void set_congestion_control(const std::string& name, std::error_code& error) noexcept;
    [[nodiscard]] std::string congestion_control() const;
    /// See ip_options.
    void set_traffic_class(int value);
    void set_traffic_class(int value, std::error_code& error) noexcept;
    [[nodiscard]] int traffic_class() const;
    void set_priority(int value);
    void set_priority(int value, std::error_code& error) noexcept;
    [[nodiscard]] int priority() const;
    /// While it is on, only full segments are sent (TCP_CORK); switching it off sends the rest: useful for a header followed by
    /// a file. The kernel holds nothing back for longer than 200 ms.
    void set_cork(bool on);
    void set_cork(bool on, std::error_code& error) noexcept;
    [[nodiscard]] bool cork() const;
    /// Acknowledges received data at once (TCP_QUICKACK), instead of waiting for data to send it with. This does not last: the
    /// kernel soon returns to its own judgement, so call it at the moment when no response will follow.
    void set_quick_ack(bool on);
    void set_quick_ack(bool on, std::error_code& error) noexcept;
};

} // namespace coir::net

template <> inline constexpr bool coir::io::enable_kernel_copy<coir::net::tcp_stream> = true;
