#pragma once

#include <coir/deadline.hpp>
#include <coir/io.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

namespace coir::io {

/// A file descriptor that somebody else owns: standard input, or one that a C library or a parent process has opened. It is a
/// number with the functions of io.hpp as members; copying it copies the number, and nothing is closed.
///
/// Its mode is left alone, because O_NONBLOCK belongs to the open file description, which other processes may share: the shell,
/// neighbours in a pipeline, children. They would get EAGAIN from calls that never returned it before. Suspension, deadlines,
/// cancellation, errors, several fibers at once: see io.hpp.
///
///     const auto in = coir::io::standard_input();
///     while (std::size_t n = in.read_some(buffer))
///         coir::io::standard_output().write_all(std::span{buffer}.first(n));
class borrowed_descriptor {
public:
    /// Empty: get() is -1, and every call reports std::errc::bad_file_descriptor.
    constexpr borrowed_descriptor() noexcept = default;

    /// `number` is not checked before it is used.
    constexpr explicit borrowed_descriptor(int number) noexcept : number_(number) {}

    [[nodiscard]] constexpr int get() const noexcept { return number_; }
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return number_ >= 0; }

    /// As the functions of these names in io.hpp.
    std::size_t read_some(std::span<std::byte> buffer, deadline until = {}) const {
        return io::read_some(number_, buffer, until);
    }
    std::size_t read_some(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) const noexcept {
        return io::read_some(number_, buffer, error, until);
    }
    std::size_t write_some(std::span<const std::byte> buffer, deadline until = {}) const {
        return io::write_some(number_, buffer, until);
    }
    std::size_t write_some(std::span<const std::byte> buffer, std::error_code& error,
                           deadline until = {}) const noexcept {
        return io::write_some(number_, buffer, error, until);
    }
    std::size_t read_all(std::span<std::byte> buffer, deadline until = {}) const {
        return io::read_all(number_, buffer, until);
    }
    std::size_t read_all(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) const noexcept {
        return io::read_all(number_, buffer, error, until);
    }
    std::size_t write_all(std::span<const std::byte> buffer, deadline until = {}) const {
        return io::write_all(number_, buffer, until);
    }
    std::size_t write_all(std::span<const std::byte> buffer, std::error_code& error,
                          deadline until = {}) const noexcept {
        return io::write_all(number_, buffer, error, until);
    }
    std::size_t readv(std::span<const mutable_buffer> buffers, deadline until = {}) const {
        return io::readv(number_, buffers, until);
    }
    std::size_t readv(std::span<const mutable_buffer> buffers, std::error_code& error,
                      deadline until = {}) const noexcept {
        return io::readv(number_, buffers, error, until);
    }
    std::size_t writev(std::span<const const_buffer> buffers, deadline until = {}) const {
        return io::writev(number_, buffers, until);
    }
    std::size_t writev(std::span<const const_buffer> buffers, std::error_code& error,
                       deadline until = {}) const noexcept {
        return io::writev(number_, buffers, error, until);
    }
    /// The same for text; `how`: as above, with an error code or without, with a deadline or without.
    template <class... How>
    std::size_t read_some(std::span<char> text, How&&... how) const
        noexcept((std::same_as<How, std::error_code&> || ...)) {
        return read_some(std::as_writable_bytes(text), std::forward<How>(how)...);
    }
    template <class... How>
    std::size_t read_all(std::span<char> text, How&&... how) const
        noexcept((std::same_as<How, std::error_code&> || ...)) {
        return read_all(std::as_writable_bytes(text), std::forward<How>(how)...);
    }
    template <class... How>
    std::size_t write_some(std::string_view text, How&&... how) const
        noexcept((std::same_as<How, std::error_code&> || ...)) {
        return write_some(std::as_bytes(std::span{text}), std::forward<How>(how)...);
    }
    template <class... How>
    std::size_t write_all(std::string_view text, How&&... how) const
        noexcept((std::same_as<How, std::error_code&> || ...)) {
        return write_all(std::as_bytes(std::span{text}), std::forward<How>(how)...);
    }
    /// A char array that is not a literal may lack the terminator that string_view looks for: pass a view with a length.
    template <std::size_t size, class... How> std::size_t write_some(char (&)[size], How&&...) const = delete;
    template <std::size_t size, class... How> std::size_t write_all(char (&)[size], How&&...) const = delete;
    std::size_t pread_some(std::span<std::byte> buffer, std::uint64_t offset, deadline until = {}) const {
        return io::pread_some(number_, buffer, offset, until);
    }
    std::size_t pread_some(std::span<std::byte> buffer, std::uint64_t offset, std::error_code& error,
                           deadline until = {}) const noexcept {
        return io::pread_some(number_, buffer, offset, error, until);
    }
    std::size_t pread_all(std::span<std::byte> buffer, std::uint64_t offset, deadline until = {}) const {
        return io::pread_all(number_, buffer, offset, until);
    }
    std::size_t pread_all(std::span<std::byte> buffer, std::uint64_t offset, std::error_code& error,
                          deadline until = {}) const noexcept {
        return io::pread_all(number_, buffer, offset, error, until);
    }
    std::size_t pwrite_some(std::span<const std::byte> buffer, std::uint64_t offset, deadline until = {}) const {
        return io::pwrite_some(number_, buffer, offset, until);
    }
    std::size_t pwrite_some(std::span<const std::byte> buffer, std::uint64_t offset, std::error_code& error,
                            deadline until = {}) const noexcept {
        return io::pwrite_some(number_, buffer, offset, error, until);
    }
    std::size_t pwrite_all(std::span<const std::byte> buffer, std::uint64_t offset, deadline until = {}) const {
        return io::pwrite_all(number_, buffer, offset, until);
    }
    std::size_t pwrite_all(std::span<const std::byte> buffer, std::uint64_t offset, std::error_code& error,
                           deadline until = {}) const noexcept {
        return io::pwrite_all(number_, buffer, offset, error, until);
    }
    std::size_t recvmsg(::msghdr& message, int flags, deadline until = {}) const {
        return io::recvmsg(number_, message, flags, until);
    }
    std::size_t recvmsg(::msghdr& message, int flags, std::error_code& error, deadline until = {}) const noexcept {
        return io::recvmsg(number_, message, flags, error, until);
    }
    std::size_t sendmsg(const ::msghdr& message, int flags, deadline until = {}) const {
        return io::sendmsg(number_, message, flags, until);
    }
    std::size_t sendmsg(const ::msghdr& message, int flags, std::error_code& error,
                        deadline until = {}) const noexcept {
        return io::sendmsg(number_, message, flags, error, until);
    }
    /// io::send_file() from `file` into this one.
    std::size_t send_file(borrowed_descriptor file, std::uint64_t offset, std::size_t count,
                          deadline until = {}) const {
        return io::send_file(number_, file.number_, offset, count, until);
    }
    std::size_t send_file(borrowed_descriptor file, std::uint64_t offset, std::size_t count, std::error_code& error,
                          deadline until = {}) const noexcept {
        return io::send_file(number_, file.number_, offset, count, error, until);
    }
    /// io::splice() from this one into `out`.
    std::size_t splice(borrowed_descriptor out, std::size_t count, deadline until = {}) const {
        return io::splice(number_, out.number_, count, until);
    }
    std::size_t splice(borrowed_descriptor out, std::size_t count, std::error_code& error,
                       deadline until = {}) const noexcept {
        return io::splice(number_, out.number_, count, error, until);
    }

protected:
    int number_ = -1;
};

/// Standard input, output and error: whatever these are, terminals, pipes, files or sockets. Nothing is opened or
/// changed. With standard streams of C++ on the same descriptor, mind that these have buffers of their own.
/// Threads: only one loop may wait for each.
[[nodiscard]] constexpr borrowed_descriptor standard_input() noexcept {
    return borrowed_descriptor{0};
}
[[nodiscard]] constexpr borrowed_descriptor standard_output() noexcept {
    return borrowed_descriptor{1};
}
[[nodiscard]] constexpr borrowed_descriptor standard_error() noexcept {
    return borrowed_descriptor{2};
}

} // namespace coir::io
