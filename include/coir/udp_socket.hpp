#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/endpoint.hpp>
#include <coir/export.hpp>
#include <coir/udp_options.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

namespace coir::net {

/// A UDP socket. Closed by the destructor.
///
/// A datagram is sent and received as a whole or not at all, and may be empty; in transit it may be lost, duplicated or
/// reordered.
///
/// Calls with a deadline may suspend: they try first, and wait only if the call would block; also, now and then, they let
/// others run. Deadline: std::errc::timed_out. Cancellation: coir::cancelled, with a std::error_code
/// std::errc::operation_canceled. In both cases nothing has been sent or received, except by send_many(). Errors:
/// std::system_error naming the operation and the endpoint. On a connected socket, std::errc::connection_refused means that an
/// *earlier* datagram found nobody at its port; it is reported once, by whatever call comes next. Several fibers may use one
/// socket, first come, first served. The other calls never suspend. Only inside coir::run.
///
///     coir::net::udp_socket socket{"0.0.0.0", 7777};
///     std::array<std::byte, 1500> buffer;
///     const auto received = socket.receive_from(buffer);
///     socket.send_to(std::span{buffer}.first(received.size), received.from);
class COIR_EXPORT udp_socket {
public:
    /// The result of receive_from().
    struct received {
        std::size_t size = 0;   ///< bytes in the buffer
        bool truncated = false; ///< it was longer than the buffer: the rest of it is lost
        endpoint from;
    };

    /// Room for one datagram: the caller sets `buffer`, receive_many() the rest.
    struct incoming {
        std::span<std::byte> buffer;
        std::size_t size = 0;
        bool truncated = false;
        endpoint from{};

        [[nodiscard]] std::span<std::byte> data() const noexcept { return buffer.first(size); }
    };

    /// A datagram for send_many(). Holds only references: `to` may be another datagram's `from`.
    struct outgoing {
        std::span<const std::byte> data;
        const endpoint* to = nullptr; ///< null: the socket is connected
    };

    /// Empty.
    udp_socket() noexcept = default;

    /// Bound to an address of this machine; port 0 lets the kernel choose, see local_endpoint(). Throws std::system_error
    /// naming the endpoint: std::errc::address_in_use, …
    explicit udp_socket(const endpoint& local, const udp_options& options = {});
    udp_socket(std::string_view address, std::uint16_t port, const udp_options& options = {})
        : udp_socket(endpoint{address, port}, options) {}
    udp_socket(const endpoint& local, const udp_options& options, std::error_code& error) noexcept;

    /// Adopts a UDP socket.
    explicit udp_socket(io::descriptor socket) noexcept : socket_(std::move(socket)) {}

    /// A socket that exchanges datagrams with `remote` only: see connect(). The kernel chooses its address and port.
    [[nodiscard]] static udp_socket connected_to(const endpoint& remote, const udp_options& options = {});
    [[nodiscard]] static udp_socket connected_to(const endpoint& remote, const udp_options& options,
                                                 std::error_code& error) noexcept;

    /// From now on send() sends to `remote`, datagrams from others are not received, and refusals are reported. Sends nothing.
    /// Datagrams that were received from others before are still there.
    void connect(const endpoint& remote);
    void connect(const endpoint& remote, std::error_code& error) noexcept;
    /// Undoes connect().
    void disconnect();
    void disconnect(std::error_code& error) noexcept;

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(socket_); }
    [[nodiscard]] int native_handle() const noexcept { return socket_.get(); }
    /// They throw std::system_error.
    [[nodiscard]] endpoint local_endpoint() const;
    [[nodiscard]] endpoint remote_endpoint() const; ///< std::errc::not_connected

    /// Sends one datagram. Errors also: std::errc::message_size: too long for a datagram.
    void send_to(std::span<const std::byte> data, const endpoint& to, deadline until = {});
    void send_to(std::span<const std::byte> data, const endpoint& to, std::error_code& error,
                 deadline until = {}) noexcept;
    /// The same to the peer that the socket is connected to.
    void send(std::span<const std::byte> data, deadline until = {});
    void send(std::span<const std::byte> data, std::error_code& error, deadline until = {}) noexcept;

    /// Receives one datagram.
    [[nodiscard]] received receive_from(std::span<std::byte> buffer, deadline until = {});
    [[nodiscard]] received receive_from(std::span<std::byte> buffer, std::error_code& error,
                                        deadline until = {}) noexcept;

    /// Sends many datagrams with few system calls, in order; waits when there is no room. Returns how many have been sent: all,
    /// or those before the first failure, the deadline, or cancellation. Throws only if none has been sent: to learn the
    /// reason, call it again with the rest. The form with a std::error_code reports both.
    [[nodiscard]] std::size_t send_many(std::span<const outgoing> datagrams, deadline until = {});
    [[nodiscard]] std::size_t send_many(std::span<const outgoing> datagrams, std::error_code& error,
                                        deadline until = {}) noexcept;

    /// Receives the datagrams that are there with one system call, at least one, at most 64; returns how many.
    ///
    ///     std::array<udp_socket::incoming, 64> in = …;          // each with its buffer
    ///     std::array<udp_socket::outgoing, 64> out;
    ///     const std::size_t count = socket.receive_many(in);
    ///     for (std::size_t i = 0; i < count; ++i)
    ///         out[i] = {in[i].data(), &in[i].from};
    ///     std::size_t sent = socket.send_many(std::span{out}.first(count));
    [[nodiscard]] std::size_t receive_many(std::span<incoming> datagrams, deadline until = {});
    [[nodiscard]] std::size_t receive_many(std::span<incoming> datagrams, std::error_code& error,
                                           deadline until = {}) noexcept;

    /// Receives what is sent to the multicast group at the address of `group` (its port is ignored), until leave_multicast();
    /// other groups are not received, even if other sockets on this machine are members (for an adopted socket its options
    /// decide: IP_MULTICAST_ALL, IPV6_MULTICAST_ALL). The socket must be bound to the port of the datagrams, usually with
    /// udp_options::reuse_address. `interface` is a name, like "eth0"; "" leaves it to the zone of `group` ("ff02::1%eth0"), or
    /// to the system's routes. Throws std::system_error naming the group: std::errc::no_such_device, invalid_argument, …
    void join_multicast(const endpoint& group, std::string_view interface = {});
    void join_multicast(const endpoint& group, std::string_view interface, std::error_code& error) noexcept;
    void leave_multicast(const endpoint& group, std::string_view interface = {});
    void leave_multicast(const endpoint& group, std::string_view interface, std::error_code& error) noexcept;

    /// The same, restricted to what one sender, at the address of `source`, sends to the group; several sources may be joined.
    /// Errors also: std::errc::invalid_argument if the whole group has been joined.
    void join_multicast_source(const endpoint& group, const endpoint& source, std::string_view interface = {});
    void join_multicast_source(const endpoint& group, const endpoint& source, std::string_view interface,
                               std::error_code& error) noexcept;
    void leave_multicast_source(const endpoint& group, const endpoint& source, std::string_view interface = {});
    void leave_multicast_source(const endpoint& group, const endpoint& source, std::string_view interface,
                                std::error_code& error) noexcept;

    /// For datagrams sent to multicast groups: the interface; whether members on this machine receive them, too (by default
    /// they do); how many hops they may travel, 1 (the default) for the local network only. They throw std::system_error.
    void set_multicast_interface(std::string_view interface);
    void set_multicast_interface(std::string_view interface, std::error_code& error) noexcept;
    void set_multicast_loop(bool on);
    void set_multicast_loop(bool on, std::error_code& error) noexcept;
    [[nodiscard]] bool multicast_loop() const;
    void set_multicast_hops(int most);
    void set_multicast_hops(int most, std::error_code& error) noexcept;
    [[nodiscard]] int multicast_hops() const;

    /// For all other datagrams: how many hops they may travel (TTL, hop limit).
    void set_hops(int most);
    void set_hops(int most, std::error_code& error) noexcept;
    [[nodiscard]] int hops() const;
    /// See ip_options::traffic_class.
    void set_traffic_class(int value);
    void set_traffic_class(int value, std::error_code& error) noexcept;
    [[nodiscard]] int traffic_class() const;
    /// See udp_options. The kernel reports twice what was set, up to the system's limit.
    void set_send_buffer(std::size_t bytes);
    void set_send_buffer(std::size_t bytes, std::error_code& error) noexcept;
    [[nodiscard]] std::size_t send_buffer() const;
    void set_receive_buffer(std::size_t bytes);
    void set_receive_buffer(std::size_t bytes, std::error_code& error) noexcept;
    [[nodiscard]] std::size_t receive_buffer() const;
    /// See udp_options::broadcast.
    void set_broadcast(bool on);
    void set_broadcast(bool on, std::error_code& error) noexcept;
    [[nodiscard]] bool broadcast() const;

    /// Releases the socket without closing it: see stream_socket::release().
    [[nodiscard]] io::descriptor release() noexcept { return std::move(socket_); }

    /// Closes now; fibers that wait here get std::errc::bad_file_descriptor. Throws std::system_error.
    void close() { socket_.close(); }
    void close(std::error_code& error) noexcept { socket_.close(error); }

private:
    io::descriptor socket_;
};

} // namespace coir::net
