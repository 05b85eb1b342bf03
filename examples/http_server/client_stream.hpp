#pragma once

#include <coir/deadline.hpp>
#include <coir/io.hpp>
#include <coir/tcp_stream.hpp>
#include <coir/tls_context.hpp>
#include <coir/tls_stream.hpp>

#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

namespace http_server {

/// The connection to a client, plain or over TLS, so that what serves it need not know which. Costs the plain one a branch that
/// always goes the same way.
class client_stream {
public:
    explicit client_stream(coir::net::tcp_stream plain) noexcept : plain_(std::move(plain)) {}
    /// Throws std::bad_alloc.
    client_stream(coir::net::tcp_stream socket, const coir::net::tls_context& tls) : secure_(tls, std::move(socket)) {}

    [[nodiscard]] bool is_secure() const noexcept { return static_cast<bool>(secure_); }
    [[nodiscard]] int native_handle() const noexcept {
        return is_secure() ? secure_.native_handle() : plain_.native_handle();
    }

    // As tcp_stream. The first call of a secure one includes the handshake.
    std::size_t read_some(std::span<std::byte> buffer, std::error_code& error, coir::deadline until) noexcept {
        return is_secure() ? secure_.read_some(buffer, error, until) : plain_.read_some(buffer, error, until);
    }
    std::size_t write_some(std::span<const std::byte> buffer, std::error_code& error, coir::deadline until) noexcept {
        return is_secure() ? secure_.write_some(buffer, error, until) : plain_.write_some(buffer, error, until);
    }
    std::size_t write_all(std::span<const std::byte> buffer, std::error_code& error, coir::deadline until) noexcept {
        return is_secure() ? secure_.write_all(buffer, error, until) : plain_.write_all(buffer, error, until);
    }
    std::size_t writev(std::span<const coir::io::const_buffer> pieces, std::error_code& error,
                       coir::deadline until) noexcept {
        return is_secure() ? secure_.writev(pieces, error, until) : plain_.writev(pieces, error, until);
    }
    void handshake(std::error_code& error, coir::deadline until) noexcept {
        if (is_secure())
            secure_.handshake(error, until);
    }
    void shutdown_write(std::error_code& error, coir::deadline until) noexcept {
        return is_secure() ? secure_.shutdown_write(error, until) : plain_.shutdown_write(error);
    }

    /// Says that this was the end, where that can be said. Does not wait.
    void close() noexcept {
        std::error_code ignored;
        secure_.close(ignored);
        plain_.close(ignored);
    }

private:
    coir::net::tcp_stream plain_;
    coir::net::tls_stream secure_;
};

} // namespace http_server
