#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/export.hpp>
#include <coir/io.hpp>
#include <coir/peer_credentials.hpp>
#include <coir/received_message.hpp>
#include <coir/stream.hpp>
#include <coir/stream_socket.hpp>
#include <coir/unix_endpoint.hpp>

#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

namespace coir::net {

/// A connection of Unix domain sockets that carries bytes, and descriptors with them. Closed by the destructor. Created by
/// connecting, by unix_listener::accept(), or by pair().
///
/// Two fibers may use it at once, one reading and one writing. For suspension, deadlines, cancellation and errors of the
/// transfers see io.hpp. Descriptors that arrive with bytes read by read_some() and the like are closed: see read_with().
///
///     coir::net::unix_stream peer{coir::net::unix_endpoint{"/run/service.sock"}, 5s};
///     peer.write_all(request, 5s);
class COIR_EXPORT unix_stream : public stream_socket {
public:
    /// Not connected.
    unix_stream() noexcept = default;

    /// Connects. May suspend: when the listener's backlog is full it retries every few milliseconds, since the kernel has no
    /// event for that. Throws std::system_error naming the endpoint: std::errc::no_such_file_or_directory, connection_refused
    /// (nobody listens there any more), permission_denied, timed_out, …; then nothing is left open. Throws coir::cancelled.
    explicit unix_stream(const unix_endpoint& remote, deadline until = {});
    /// On an error the stream is not connected.
    unix_stream(const unix_endpoint& remote, std::error_code& error, deadline until = {}) noexcept;

    /// Adopts a connected socket.
    explicit unix_stream(io::descriptor socket) noexcept : stream_socket(std::move(socket)) {}

    /// Two sockets that are connected to each other: socketpair(). Never suspends. Throws std::system_error.
    [[nodiscard]] static std::pair<unix_stream, unix_stream> pair();
    [[nodiscard]] static std::pair<unix_stream, unix_stream> pair(std::error_code& error) noexcept;

    /// They throw std::system_error.
    [[nodiscard]] unix_endpoint local_endpoint() const;
    [[nodiscard]] unix_endpoint remote_endpoint() const;
    [[nodiscard]] peer_credentials credentials() const;

    /// Writes `data`, all of it and at least one byte, and passes `descriptors` along with the first byte: the peer gets
    /// duplicates of them; the caller keeps its own. At most 253. Errors also: std::errc::invalid_argument: too many, or no
    /// data; bad_file_descriptor: one of them, perhaps closed meanwhile; too_many_references (ETOOMANYREFS): too many are in
    /// flight. If any bytes have been written (see io::transfer_error, io::transfer_cancelled), the descriptors have been sent
    /// as well.
    ///
    ///     const std::array passed{file.get()};
    ///     peer.write_with(std::as_bytes(std::span{"f", 1}), passed, 5s);
    std::size_t write_with(std::span<const std::byte> data, std::span<const int> descriptors, deadline until = {});
    std::size_t write_with(std::span<const std::byte> data, std::span<const int> descriptors, std::error_code& error,
                           deadline until = {}) noexcept;

    /// As read_some(), and also receives descriptors that came with these bytes: they become close-on-exec, and are adopted by
    /// the elements of `descriptors`, in the order in which they were sent. Their blocking mode is not changed, since the
    /// sender shares it (except for a listening socket, which becomes non-blocking). If they could not all be received, all are
    /// closed, and `descriptors_lost` says so. Errors as read_some(); not_enough_memory if they cannot be adopted: then they
    /// are closed, and io::transfer_error says how many bytes were read.
    ///
    ///     std::array<coir::io::descriptor, 1> passed;
    ///     const coir::net::received_message got = peer.read_with(buffer, passed, 5s);
    ///     if (got.descriptors == 1)
    ///         use(std::move(passed[0]));
    [[nodiscard]] received_message read_with(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                             deadline until = {});
    [[nodiscard]] received_message read_with(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                             std::error_code& error, deadline until = {}) noexcept;

    /// End one direction, as for tcp_stream. Never suspend. Throw std::system_error.
    void shutdown_write();
    void shutdown_write(std::error_code& error) noexcept;
    void shutdown_read();
    void shutdown_read(std::error_code& error) noexcept;
};

} // namespace coir::net

template <> inline constexpr bool coir::io::enable_kernel_copy<coir::net::unix_stream> = true;
