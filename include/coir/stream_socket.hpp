#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/detail/text_transfers.hpp>
#include <coir/io.hpp>

#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

namespace coir::net {

/// What a tcp_stream and a unix_stream have in common: the socket, and the bytes that go through it. For suspension, deadlines,
/// cancellation and errors see io.hpp.
class stream_socket : public detail::text_transfers<stream_socket> {
public:
    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(socket_); }
    [[nodiscard]] int native_handle() const noexcept { return socket_.get(); }

    /// Reads what is there, at least one byte; 0 when the peer has ended its side.
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
    /// The same for text: reading into a std::span<char>, writing a std::string_view.
    using text_transfers::read_all;
    using text_transfers::read_some;
    using text_transfers::write_all;
    using text_transfers::write_some;

    /// Releases the socket without closing it, as a descriptor of this loop: to build another stream on it, or to pass its
    /// number to a C library or another loop (docs/io.md, "Passing a connection to another loop"). Fibers that wait here keep
    /// waiting until the descriptor is closed or released.
    [[nodiscard]] io::descriptor release() noexcept { return std::move(socket_); }

    /// Closes now; other fibers' waits on this stream end with std::errc::bad_file_descriptor. Throws std::system_error.
    void close() { socket_.close(); }
    void close(std::error_code& error) noexcept { socket_.close(error); }

protected:
    stream_socket() noexcept = default;
    explicit stream_socket(io::descriptor socket) noexcept : socket_(std::move(socket)) {}
    stream_socket(stream_socket&& other) noexcept = default;
    stream_socket& operator=(stream_socket&& other) noexcept = default;
    ~stream_socket() = default;

    io::descriptor socket_;
};

} // namespace coir::net
