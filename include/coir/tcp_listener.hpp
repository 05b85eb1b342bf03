#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/endpoint.hpp>
#include <coir/export.hpp>
#include <coir/tcp_options.hpp>
#include <coir/tcp_stream.hpp>

#include <chrono>
#include <cstdint>
#include <string_view>
#include <system_error>
#include <utility>

namespace coir::net {

/// How a listener is created.
struct listen_options {
    /// Connections that the kernel completes and holds before accept() takes them; it caps this at net.core.somaxconn.
    int backlog = 1024;
    /// Other sockets may listen on the same endpoint, and the kernel distributes connections (SO_REUSEPORT).
    bool reuse_port = false;
    /// An IPv6 address accepts only IPv6 connections: "::" leaves the IPv4 port to another listener. Otherwise "::" accepts
    /// both, whatever the system's default.
    bool v6_only = false;
    /// Connections become visible to accept() when their first bytes have arrived, or after this time (TCP_DEFER_ACCEPT): for
    /// protocols in which the client speaks first. The kernel rounds it up to its next retransmission.
    std::chrono::seconds defer_accept{0};
    /// How many clients at a time may send data together with the connection request (TCP_FASTOPEN). Such data may arrive
    /// twice.
    int fast_open = 0;
    /// The initial options of every accepted connection.
    tcp_options connections = {};
};

/// Waits for TCP connections on an address of this machine. A server's usual loop around accept() is net::serve().
///
///     coir::net::tcp_listener listener{"127.0.0.1", 8080};
///     coir::net::tcp_stream peer = listener.accept();
class COIR_EXPORT tcp_listener {
public:
    /// Not listening.
    tcp_listener() noexcept = default;

    /// Listens; port 0 lets the kernel choose, see local_endpoint(). SO_REUSEADDR is set. Never suspends.
    /// Throws std::system_error naming the endpoint: std::errc::address_in_use, address_not_available,
    /// permission_denied, …
    explicit tcp_listener(const endpoint& local, const listen_options& options = {});
    tcp_listener(std::string_view address, std::uint16_t port, const listen_options& options = {})
        : tcp_listener(endpoint{address, port}, options) {}
    /// On an error it is not listening.
    tcp_listener(const endpoint& local, const listen_options& options, std::error_code& error) noexcept;

    /// Adopts a socket that listens already: see activated_sockets(). Throws std::system_error with std::errc::invalid_argument
    /// if it is another one, or does not listen; then it is closed.
    explicit tcp_listener(io::descriptor socket);

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(socket_); }
    [[nodiscard]] int native_handle() const noexcept { return socket_.get(); }
    [[nodiscard]] endpoint local_endpoint() const;

    /// The next connection. May suspend; several fibers may accept on one listener.
    ///
    /// Connections that died in the queue are skipped. When the process or the system has no descriptor left
    /// (std::errc::too_many_files_open, too_many_files_open_in_system) or no memory for one, the call first waits, up to
    /// 100 ms and not beyond `until`, so that a loop which just tries again costs no CPU, and then reports the error:
    /// the listener remains usable. Also std::errc::timed_out, bad_file_descriptor. Throws coir::cancelled.
    tcp_stream accept(deadline until = {});
    /// On an error the returned stream is not connected.
    tcp_stream accept(std::error_code& error, deadline until = {}) noexcept;

    /// Releases the socket without closing it: see stream_socket::release().
    [[nodiscard]] io::descriptor release() noexcept { return std::move(socket_); }

    /// Stops listening; fibers in accept() get std::errc::bad_file_descriptor. Throws std::system_error.
    void close() { socket_.close(); }
    void close(std::error_code& error) noexcept { socket_.close(error); }

private:
    io::descriptor socket_;
};

} // namespace coir::net
