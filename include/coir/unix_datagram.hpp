#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/detail/bound_path.hpp>
#include <coir/export.hpp>
#include <coir/received_message.hpp>
#include <coir/unix_bind_options.hpp>
#include <coir/unix_endpoint.hpp>

#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

namespace coir::net {

/// A Unix domain socket for datagrams, and descriptors with them: none is lost or reordered. Closed at the end of its life;
/// that also removes the path it was bound to, as for unix_listener.
///
/// A datagram is sent and received as a whole or not at all, and may be empty. Suspension: when there is none, or no room at
/// the receiver; an unconnected socket polls every few milliseconds whether the receiver has room again, since the kernel has
/// no event for that. Deadline: std::errc::timed_out; cancellation: coir::cancelled, or std::errc::operation_canceled: nothing
/// has been sent or received then. Errors: std::system_error naming the operation and the endpoint. Several fibers may use one
/// socket.
///
///     coir::net::unix_datagram log{coir::net::unix_endpoint{"/run/log.sock"}};
///     const auto got = log.receive(buffer);            // who: got.from, if it has a name
class COIR_EXPORT unix_datagram {
public:
    struct received : received_message {
        unix_endpoint from; ///< unnamed unless the sender was bound
    };

    /// Empty.
    unix_datagram() noexcept = default;

    /// Bound to `local`. If that is unnamed the socket is not bound: it can send, but nobody can send to it, unless
    /// `options.credentials` gives it a name when it sends or connects. Never suspends. Throws std::system_error naming the
    /// endpoint: std::errc::address_in_use, …
    explicit unix_datagram(const unix_endpoint& local, const unix_bind_options& options = {});
    unix_datagram(const unix_endpoint& local, const unix_bind_options& options, std::error_code& error) noexcept;

    /// Adopts a socket. Its path, if it has one, is not removed.
    explicit unix_datagram(io::descriptor socket) noexcept : socket_(std::move(socket)) {}

    /// Two sockets that are connected to each other. Never suspends. Throws std::system_error.
    [[nodiscard]] static std::pair<unix_datagram, unix_datagram> pair();
    [[nodiscard]] static std::pair<unix_datagram, unix_datagram> pair(std::error_code& error) noexcept;

    /// From now on send() sends to `remote`, and only its datagrams are received. Never suspends. Throws std::system_error
    /// naming the endpoint: std::errc::connection_refused, no_such_file_or_directory, …
    void connect(const unix_endpoint& remote);
    void connect(const unix_endpoint& remote, std::error_code& error) noexcept;

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(socket_); }
    [[nodiscard]] int native_handle() const noexcept { return socket_.get(); }
    /// They throw std::system_error.
    [[nodiscard]] unix_endpoint local_endpoint() const;
    [[nodiscard]] unix_endpoint remote_endpoint() const; ///< std::errc::not_connected

    /// Sends one datagram, and with it duplicates of `descriptors`, at most 253. Errors also: std::errc::message_size:
    /// longer than the send buffer; connection_refused: the receiver has gone; those of unix_stream::write_with().
    void send_to(std::span<const std::byte> data, const unix_endpoint& to, deadline until = {}) {
        send_to(data, {}, to, until);
    }
    void send_to(std::span<const std::byte> data, const unix_endpoint& to, std::error_code& error,
                 deadline until = {}) noexcept {
        send_to(data, {}, to, error, until);
    }
    void send_to(std::span<const std::byte> data, std::span<const int> descriptors, const unix_endpoint& to,
                 deadline until = {});
    void send_to(std::span<const std::byte> data, std::span<const int> descriptors, const unix_endpoint& to,
                 std::error_code& error, deadline until = {}) noexcept;

    /// The same to the peer that the socket is connected to.
    void send(std::span<const std::byte> data, deadline until = {}) { send(data, {}, until); }
    void send(std::span<const std::byte> data, std::error_code& error, deadline until = {}) noexcept {
        send(data, {}, error, until);
    }
    void send(std::span<const std::byte> data, std::span<const int> descriptors, deadline until = {});
    void send(std::span<const std::byte> data, std::span<const int> descriptors, std::error_code& error,
              deadline until = {}) noexcept;

    /// Receives one datagram. For descriptors see unix_stream::read_with(); without a list for them, received descriptors are
    /// closed, and `descriptors_lost` says so.
    [[nodiscard]] received receive(std::span<std::byte> buffer, deadline until = {}) {
        return receive(buffer, {}, until);
    }
    [[nodiscard]] received receive(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept {
        return receive(buffer, {}, error, until);
    }
    [[nodiscard]] received receive(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                   deadline until = {});
    [[nodiscard]] received receive(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                   std::error_code& error, deadline until = {}) noexcept;

    /// Releases the socket without closing it: see stream_socket::release(). Its path stays: this object no longer removes it.
    [[nodiscard]] io::descriptor release() noexcept {
        path_.keep();
        return std::move(socket_);
    }

    /// Removes the path and closes; fibers that wait here get std::errc::bad_file_descriptor. Throws std::system_error.
    void close();
    void close(std::error_code& error) noexcept;

private:
    io::descriptor socket_;
    detail::bound_path path_; // goes first: while the path is there, somebody listens
};

} // namespace coir::net
