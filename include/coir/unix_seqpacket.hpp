#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/export.hpp>
#include <coir/peer_credentials.hpp>
#include <coir/received_message.hpp>
#include <coir/unix_endpoint.hpp>

#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

namespace coir::net {

/// A connection of Unix domain sockets that carries messages, in order and none lost, and descriptors with them. Closed by the
/// destructor. Created by connecting, by unix_seqpacket_listener::accept(), or by pair().
///
/// A message is sent and received as a whole or not at all. Suspension: when there is no message, or no room. Deadline:
/// std::errc::timed_out; cancellation: coir::cancelled, or std::errc::operation_canceled: nothing has been sent or received
/// then. Errors: std::system_error naming the operation and the endpoint: std::errc::broken_pipe, connection_reset, … Two
/// fibers may use it at once, one receiving and one sending.
///
///     auto [ours, theirs] = coir::net::unix_seqpacket::pair();
///     ours.send(request);
///     const coir::net::received_message got = theirs.receive(buffer);      // the whole of it: got.size bytes
class COIR_EXPORT unix_seqpacket {
public:
    /// Not connected.
    unix_seqpacket() noexcept = default;

    /// Connects, as unix_stream does.
    explicit unix_seqpacket(const unix_endpoint& remote, deadline until = {});
    unix_seqpacket(const unix_endpoint& remote, std::error_code& error, deadline until = {}) noexcept;

    /// Adopts a connected socket.
    explicit unix_seqpacket(io::descriptor socket) noexcept : socket_(std::move(socket)) {}

    /// Two sockets that are connected to each other. Never suspends. Throws std::system_error.
    [[nodiscard]] static std::pair<unix_seqpacket, unix_seqpacket> pair();
    [[nodiscard]] static std::pair<unix_seqpacket, unix_seqpacket> pair(std::error_code& error) noexcept;

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(socket_); }
    [[nodiscard]] int native_handle() const noexcept { return socket_.get(); }

    /// They throw std::system_error.
    [[nodiscard]] unix_endpoint local_endpoint() const;
    [[nodiscard]] unix_endpoint remote_endpoint() const;
    [[nodiscard]] peer_credentials credentials() const;

    /// Sends a message, and with it duplicates of `descriptors`, at most 253. An empty message is std::errc::invalid_argument:
    /// the receiver could not tell it from the end. Errors also: message_size: longer than the send buffer; those of
    /// unix_stream::write_with().
    void send(std::span<const std::byte> message, deadline until = {}) { send(message, {}, until); }
    void send(std::span<const std::byte> message, std::error_code& error, deadline until = {}) noexcept {
        send(message, {}, error, until);
    }
    void send(std::span<const std::byte> message, std::span<const int> descriptors, deadline until = {});
    void send(std::span<const std::byte> message, std::span<const int> descriptors, std::error_code& error,
              deadline until = {}) noexcept;

    /// Receives a message; size 0 when the peer has ended its side. For descriptors see unix_stream::read_with(); without a
    /// list for them, received descriptors are closed, and `descriptors_lost` says so.
    [[nodiscard]] received_message receive(std::span<std::byte> buffer, deadline until = {}) {
        return receive(buffer, {}, until);
    }
    [[nodiscard]] received_message receive(std::span<std::byte> buffer, std::error_code& error,
                                           deadline until = {}) noexcept {
        return receive(buffer, {}, error, until);
    }
    [[nodiscard]] received_message receive(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                           deadline until = {});
    [[nodiscard]] received_message receive(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                           std::error_code& error, deadline until = {}) noexcept;

    /// End one direction, as for tcp_stream. Never suspend. Throw std::system_error.
    void shutdown_write();
    void shutdown_write(std::error_code& error) noexcept;
    void shutdown_read();
    void shutdown_read(std::error_code& error) noexcept;

    /// Releases the socket without closing it: see stream_socket::release().
    [[nodiscard]] io::descriptor release() noexcept { return std::move(socket_); }

    /// Closes now; other fibers that wait here get std::errc::bad_file_descriptor. Throws std::system_error.
    void close() { socket_.close(); }
    void close(std::error_code& error) noexcept { socket_.close(error); }

private:
    io::descriptor socket_;
};

} // namespace coir::net
