#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/export.hpp>
#include <coir/io.hpp>
#include <coir/peer_credentials.hpp>
#include <coir/received_message.hpp>
#include <coir/unix_endpoint.hpp>

#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

namespace coir::net {

/// A connection of Unix domain sockets that carries bytes, and descriptors with them. Closed at the end of its life. Made by
/// connecting, by unix_listener::accept(), or by pair().
///
/// Two fibers may use it at once, one reading and one writing. For suspension, deadlines, cancellation and errors of the
/// transfers see io.hpp.
///
///     coir::net::unix_stream peer{coir::net::unix_endpoint{"/run/service.sock"}, 5s};
///     peer.write_all(request, 5s);
class COIR_EXPORT unix_stream {
public:
    /// Not connected.
    unix_stream() noexcept = default;

    /// Connects. May suspend: when the listener's backlog is full it tries again every few milliseconds, for which the system
    /// has no event. Throws std::system_error naming the endpoint: std::errc::no_such_file_or_directory,
    /// connection_refused (nobody listens there any more), permission_denied, timed_out, …; then nothing is left open.
    /// Throws coir::cancelled.
    explicit unix_stream(const unix_endpoint& remote, deadline until = {});
    /// On an error the stream is not connected.
    unix_stream(const unix_endpoint& remote, std::error_code& error, deadline until = {}) noexcept;

    /// Takes over a connected socket.
    explicit unix_stream(io::descriptor socket) noexcept : socket_(std::move(socket)) {}

    /// Two that are connected to each other: socketpair(). Never suspends. Throws std::system_error.
    [[nodiscard]] static std::pair<unix_stream, unix_stream> pair();
    [[nodiscard]] static std::pair<unix_stream, unix_stream> pair(std::error_code& error) noexcept;

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(socket_); }
    [[nodiscard]] int native_handle() const noexcept { return socket_.get(); }

    /// Throw std::system_error.
    [[nodiscard]] unix_endpoint local_endpoint() const;
    [[nodiscard]] unix_endpoint remote_endpoint() const;
    [[nodiscard]] peer_credentials credentials() const;

    /// Reads what is there, at least one byte; 0 when the peer has ended its side. Descriptors that come with it are closed.
    std::size_t read_some(std::span<std::byte> buffer, deadline until = {}) { return socket_.read_some(buffer, until); }
    std::size_t read_some(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept {
        return socket_.read_some(buffer, error, until);
    }
    /// Writes what there is room for, at least one byte.
    std::size_t write_some(std::span<const std::byte> buffer, deadline until = {}) {
        return socket_.write_some(buffer, until);
    }
    std::size_t write_some(std::span<const std::byte> buffer, std::error_code& error, deadline until = {}) noexcept {
        return socket_.write_some(buffer, error, until);
    }
    /// Fills the buffer; less only when the peer has ended its side.
    std::size_t read_all(std::span<std::byte> buffer, deadline until = {}) { return socket_.read_all(buffer, until); }
    std::size_t read_all(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept {
        return socket_.read_all(buffer, error, until);
    }
    /// Writes the whole buffer.
    std::size_t write_all(std::span<const std::byte> buffer, deadline until = {}) {
        return socket_.write_all(buffer, until);
    }
    std::size_t write_all(std::span<const std::byte> buffer, std::error_code& error, deadline until = {}) noexcept {
        return socket_.write_all(buffer, error, until);
    }
    /// As read_some() and write_all(), over several pieces in order.
    std::size_t readv(std::span<const io::mutable_buffer> buffers, deadline until = {}) {
        return socket_.readv(buffers, until);
    }
    std::size_t readv(std::span<const io::mutable_buffer> buffers, std::error_code& error,
                      deadline until = {}) noexcept {
        return socket_.readv(buffers, error, until);
    }
    std::size_t writev(std::span<const io::const_buffer> buffers, deadline until = {}) {
        return socket_.writev(buffers, until);
    }
    std::size_t writev(std::span<const io::const_buffer> buffers, std::error_code& error,
                       deadline until = {}) noexcept {
        return socket_.writev(buffers, error, until);
    }

    /// Writes `data`, all of it and at least one byte, and passes `descriptors` along with the first byte: the peer gets
    /// duplicates of them; the caller keeps his. At most 253. Errors also: std::errc::invalid_argument: too many, or no data;
    /// bad_file_descriptor: one of them; too_many_references (ETOOMANYREFS): too many are on their way. When any bytes have
    /// been written (see io::transfer_error) the descriptors are on their way as well.
    ///
    ///     const std::array passed{file.get()};
    ///     peer.write_with(std::as_bytes(std::span{"f", 1}), passed, 5s);
    std::size_t write_with(std::span<const std::byte> data, std::span<const int> descriptors, deadline until = {});
    std::size_t write_with(std::span<const std::byte> data, std::span<const int> descriptors, std::error_code& error,
                           deadline until = {}) noexcept;

    /// As read_some(), and what descriptors have come with these bytes: they are close-on-exec, and adopted in the
    /// order in which they were sent by `descriptors`, whose elements they replace. Note that io::descriptor switches what
    /// it adopts to non-blocking mode, also for the sender. When they could not all be taken none is left, and
    /// `descriptors_lost` says so. Errors as read_some(); not_enough_memory when they cannot be adopted: they are
    /// closed then, and io::transfer_error says how many bytes were read.
    ///
    ///     std::array<coir::io::descriptor, 1> passed;
    ///     const coir::net::received_message got = peer.read_with(buffer, passed, 5s);
    ///     if (got.descriptors == 1)
    ///         use(std::move(passed[0]));
    [[nodiscard]] received_message read_with(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                             deadline until = {});
    [[nodiscard]] received_message read_with(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                             std::error_code& error, deadline until = {}) noexcept;

    /// Ends one side, as tcp_stream's. Never suspends. Throw std::system_error.
    void shutdown_write();
    void shutdown_write(std::error_code& error) noexcept;
    void shutdown_read();
    void shutdown_read(std::error_code& error) noexcept;

    /// Closes now; other fibers' waits on this stream end with std::errc::bad_file_descriptor. Throws std::system_error.
    void close() { socket_.close(); }
    void close(std::error_code& error) noexcept { socket_.close(error); }

private:
    io::descriptor socket_;
};

} // namespace coir::net
