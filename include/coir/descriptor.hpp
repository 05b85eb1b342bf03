#pragma once

#include <coir/deadline.hpp>
#include <coir/export.hpp>
#include <coir/io.hpp>

#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

namespace coir::detail {
struct ownership;
}

namespace coir::io {

/// Owner of a file descriptor: closes it at the end of its life. Made non-blocking when adopted; belongs to the loop of
/// the thread that adopted it, until it is released: only there may it be closed while that loop runs.
///
/// Because nobody else closes the number, the loop may keep it registered between waits and skip a read that would find
/// nothing: an owned descriptor costs fewer system calls than a bare int in the functions of io.hpp. Those take
/// `get()`, too. Suspension, deadlines, cancellation, errors, several fibers at once: see io.hpp.
///
///     coir::io::descriptor in{::open("pipe", O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
///     const std::size_t n = in.read_some(buffer, 5s);
class COIR_EXPORT descriptor {
public:
    /// None: get() is -1.
    descriptor() noexcept = default;

    /// Adopts `number`: switches it to non-blocking mode and closes it at the end. Throws std::system_error if it is
    /// not open, std::logic_error outside coir::run; then it has not been adopted.
    explicit descriptor(int number);

    descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        descriptor old{std::move(*this)};
        number_ = std::exchange(other.number_, -1);
        return *this;
    }

    /// Closes, ignoring errors; whoever still waits gets std::errc::bad_file_descriptor.
    ~descriptor();

    [[nodiscard]] int get() const noexcept { return number_; }
    [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }

    /// Gives the descriptor up without closing it; it stays in non-blocking mode. Waiting fibers get
    /// std::errc::bad_file_descriptor.
    [[nodiscard]] int release() noexcept;

    /// Closes now. Throws std::system_error; closed in any case. Nothing happens if there is none.
    void close();
    void close(std::error_code& error) noexcept;

    /// As the functions of these names in io.hpp.
    std::size_t read_some(std::span<std::byte> buffer, deadline until = {}) {
        return io::read_some(number_, buffer, until);
    }
    std::size_t read_some(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept {
        return io::read_some(number_, buffer, error, until);
    }
    std::size_t write_some(std::span<const std::byte> buffer, deadline until = {}) {
        return io::write_some(number_, buffer, until);
    }
    std::size_t write_some(std::span<const std::byte> buffer, std::error_code& error, deadline until = {}) noexcept {
        return io::write_some(number_, buffer, error, until);
    }
    std::size_t read_all(std::span<std::byte> buffer, deadline until = {}) {
        return io::read_all(number_, buffer, until);
    }
    std::size_t read_all(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept {
        return io::read_all(number_, buffer, error, until);
    }
    std::size_t write_all(std::span<const std::byte> buffer, deadline until = {}) {
        return io::write_all(number_, buffer, until);
    }
    std::size_t write_all(std::span<const std::byte> buffer, std::error_code& error, deadline until = {}) noexcept {
        return io::write_all(number_, buffer, error, until);
    }
    std::size_t readv(std::span<const mutable_buffer> buffers, deadline until = {}) {
        return io::readv(number_, buffers, until);
    }
    std::size_t readv(std::span<const mutable_buffer> buffers, std::error_code& error, deadline until = {}) noexcept {
        return io::readv(number_, buffers, error, until);
    }
    std::size_t writev(std::span<const const_buffer> buffers, deadline until = {}) {
        return io::writev(number_, buffers, until);
    }
    std::size_t writev(std::span<const const_buffer> buffers, std::error_code& error, deadline until = {}) noexcept {
        return io::writev(number_, buffers, error, until);
    }

private:
    friend struct detail::ownership;

    int number_ = -1;
};

} // namespace coir::io
