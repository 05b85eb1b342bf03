#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/detail/text_transfers.hpp>
#include <coir/export.hpp>
#include <coir/io.hpp>
#include <coir/tcp_stream.hpp>
#include <coir/tls_context.hpp>
#include <coir/tls_error.hpp>
#include <coir/tls_session.hpp>
#include <coir/unix_stream.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

struct ssl_st;

namespace coir::detail {
struct tls_connection;
}

namespace coir::net {

/// A connection over TLS 1.2 or 1.3, on top of any stream socket: tcp_stream, unix_stream, or a descriptor. Reads and
/// writes as tcp_stream does, and two fibers may use it at once, one reading and one writing.
///
///     coir::net::tls_stream peer{context, coir::net::tcp_stream{address, 5s}, "example.org"};
///     peer.handshake(5s);                                     // throws unless it is really example.org
///     peer.write_all(request, 5s);
///     const std::size_t n = peer.read_some(answer, 5s);       // 0: the peer has said that this was all
///
/// Common to all calls that may suspend:
/// - The handshake is done by handshake(), or else by the first call that transfers something.
/// - Deadline: std::errc::timed_out. Cancellation: coir::cancelled, or std::errc::operation_canceled, as in io.hpp. Neither
///   harms the connection: the next call continues where this one was interrupted, even in the middle of a record. Bytes that
///   an interrupted write reports as moved have been accepted; those the socket had no room for are sent first by the next
///   write, even an empty one.
/// - Errors: the throwing form throws io::transfer_error (handshake: std::system_error) that names the call, host and endpoint,
///   and the reason: the system's (std::errc::connection_reset), or one of tls_category(), such as
///   tls_errc::certificate_expired. After any error other than the two above, every call fails in the same way.
///   tls_errc::truncated: the connection has ended without the peer's close_notify; this is not the end that read_some()
///   reports as 0.
/// - Threads: as tcp_stream. OpenSSL's error queue, which is per thread, is empty before and after each call, so fibers do not
///   see each other's errors.
/// - A handshake computes for about a millisecond, and needs up to 20 KiB of stack.
class COIR_EXPORT tls_stream : public detail::text_transfers<tls_stream> {
public:
    /// Not connected.
    tls_stream() noexcept = default;

    /// The client's side, on an established connection. `host` is the name (or numeric address) that the certificate must be
    /// for, and that is sent to the server (SNI; not for an address). `resumed` is ignored unless it belongs to the same host
    /// and the same context (or a copy of it). Never suspends. Throws std::bad_alloc; std::invalid_argument for a context of a
    /// server, for a host that contains a NUL, and, if the context verifies, for one that is empty or begins with a dot. A dot
    /// at the end is ignored.
    tls_stream(const tls_context& context, tcp_stream transport, std::string_view host,
               const tls_session& resumed = {});

    /// The server's side.
    tls_stream(const tls_context& context, tcp_stream transport);

    /// Over a Unix socket, or another stream socket.
    tls_stream(const tls_context& context, unix_stream transport, std::string_view host,
               const tls_session& resumed = {})
        : tls_stream(context, transport.release(), host, resumed) {}
    tls_stream(const tls_context& context, unix_stream transport) : tls_stream(context, transport.release()) {}
    tls_stream(const tls_context& context, io::descriptor transport, std::string_view host,
               const tls_session& resumed = {})
        : tls_stream(context, tcp_stream{std::move(transport)}, host, resumed) {}
    tls_stream(const tls_context& context, io::descriptor transport)
        : tls_stream(context, tcp_stream{std::move(transport)}) {}

    tls_stream(tls_stream&&) noexcept = default;
    tls_stream& operator=(tls_stream&& other) noexcept {
        const tls_stream old{std::move(*this)};
        connection_ = std::move(other.connection_);
        return *this;
    }
    /// Closes the socket without close_notify: the peer sees tls_errc::truncated unless shutdown_write() or close() came first,
    /// so that a response that an exception has cut off does not look complete.
    ~tls_stream();

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(connection_); }

    /// Agrees on keys, and verifies the peer. May suspend. Returns at once if it has been done already.
    void handshake(deadline until = {});
    void handshake(std::error_code& error, deadline until = {}) noexcept;

    /// Reads what is there, at least one byte; 0 when the peer has ended its side.
    std::size_t read_some(std::span<std::byte> buffer, deadline until = {});
    std::size_t read_some(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept;

    /// Writes the beginning of the buffer: up to 64 KiB.
    std::size_t write_some(std::span<const std::byte> buffer, deadline until = {});
    std::size_t write_some(std::span<const std::byte> buffer, std::error_code& error, deadline until = {}) noexcept;

    /// Fills the buffer; less only when the peer has ended its side.
    std::size_t read_all(std::span<std::byte> buffer, deadline until = {});
    std::size_t read_all(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept;

    /// Writes the whole buffer.
    std::size_t write_all(std::span<const std::byte> buffer, deadline until = {});
    std::size_t write_all(std::span<const std::byte> buffer, std::error_code& error, deadline until = {}) noexcept;

    /// As read_some() and write_all(), over several pieces in order.
    std::size_t readv(std::span<const io::mutable_buffer> buffers, deadline until = {});
    std::size_t readv(std::span<const io::mutable_buffer> buffers, std::error_code& error,
                      deadline until = {}) noexcept;
    std::size_t writev(std::span<const io::const_buffer> buffers, deadline until = {});
    std::size_t writev(std::span<const io::const_buffer> buffers, std::error_code& error, deadline until = {}) noexcept;
    /// The same for text: reading into a std::span<char>, writing a std::string_view.
    using text_transfers::read_all;
    using text_transfers::read_some;
    using text_transfers::write_all;
    using text_transfers::write_some;

    /// Announces the end (close_notify) and ends the writing side: the peer reads end of file; reading goes on. May suspend.
    /// Later writes: std::errc::broken_pipe. Before the handshake it only ends the socket's writing side. A peer that has closed
    /// already, and resets the connection because of the announcement, is no error.
    void shutdown_write(deadline until = {});
    void shutdown_write(std::error_code& error, deadline until = {}) noexcept;

    /// Announces the end (close_notify), if the socket accepts that at once, and closes; other fibers' waits on this stream end
    /// with std::errc::bad_file_descriptor. Never suspends. Throws std::system_error.
    void close();
    void close(std::error_code& error) noexcept;

    /// The session, once the server has sent it (in TLS 1.3, with the first bytes read after the handshake); else empty. For
    /// the next connection to the same host with the same context; a server may refuse a session that is used twice. Throws
    /// std::bad_alloc.
    [[nodiscard]] tls_session session() const;
    /// The handshake resumed an earlier session.
    [[nodiscard]] bool session_reused() const noexcept;

    // What the handshake agreed on; "" before it, and where there is none.
    /// The application protocol (ALPN): "h2".
    [[nodiscard]] std::string protocol() const;
    /// The host that the client requested (SNI).
    [[nodiscard]] std::string server_name() const;
    /// "TLSv1.3".
    [[nodiscard]] std::string version() const;
    /// "TLS_AES_256_GCM_SHA384".
    [[nodiscard]] std::string cipher() const;
    /// The peer's certificate, in PEM.
    [[nodiscard]] std::string peer_certificate() const;

    /// The underlying connection, for options and addresses; transferring bytes on it directly breaks the TLS stream.
    [[nodiscard]] const tcp_stream& transport() const noexcept;
    [[nodiscard]] int native_handle() const noexcept { return connection_ ? transport().native_handle() : -1; }
    /// OpenSSL's SSL, for features that are missing here. Its input and output belong to this stream.
    [[nodiscard]] ssl_st* native_tls() const noexcept;

private:
    // Shared with the calls in progress: a waiter still finds it after the stream is destroyed.
    std::shared_ptr<detail::tls_connection> connection_;
};

} // namespace coir::net
