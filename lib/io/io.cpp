#include <coir/io.hpp>

#include "io/errors.hpp"
#include "io/ownership.hpp"
#include "io/perform.hpp"
#include "io/transfer.hpp"

#include <unistd.h>

namespace coir::io {

using detail::amount;
using detail::direction;
using detail::loop;
using detail::outcome;

namespace {

[[noreturn]] void raise(const outcome& failed, const char* operation) {
    if (failed.error == detail::was_cancelled && failed.bytes == 0)
        detail::throw_cancelled(loop::current()->running(), operation);
    throw transfer_error(detail::error_code_of(failed.error), operation, failed.bytes);
}

// The two forms of every call: throwing, and with an error code.

template <class Work>
[[gnu::always_inline]] inline std::size_t transfer(const char* operation, int number, Work work, deadline until) {
    const outcome done = detail::perform(loop::of_running_fiber(operation), number, work, until);
    if (done.error != 0) [[unlikely]]
        raise(done, operation);
    return done.bytes;
}

template <class Work>
[[gnu::always_inline]] inline std::size_t transfer(std::error_code& error, int number, Work work,
                                                   deadline until) noexcept {
    loop* here = loop::current();
    if (!here) [[unlikely]] {
        error = detail::error_code_of(EPERM);
        return 0;
    }
    const outcome done = detail::perform(*here, number, work, until);
    error = done.error == 0 ? std::error_code{} : detail::error_code_of(done.error);
    return done.bytes;
}

} // namespace

transfer_error::transfer_error(std::error_code error, const char* operation, std::size_t bytes_transferred)
    : std::system_error(error, operation), bytes_transferred_(bytes_transferred) {}

transfer_error::~transfer_error() = default;

void wait_readable(int descriptor, deadline until) {
    transfer("io::wait_readable", descriptor, detail::asking{direction::read}, until);
}

void wait_readable(int descriptor, std::error_code& error, deadline until) noexcept {
    transfer(error, descriptor, detail::asking{direction::read}, until);
}

void wait_writable(int descriptor, deadline until) {
    transfer("io::wait_writable", descriptor, detail::asking{direction::write}, until);
}

void wait_writable(int descriptor, std::error_code& error, deadline until) noexcept {
    transfer(error, descriptor, detail::asking{direction::write}, until);
}

std::size_t read_some(int descriptor, std::span<std::byte> buffer, deadline until) {
    return transfer("io::read_some", descriptor, detail::reading{buffer, amount::some}, until);
}

std::size_t read_some(int descriptor, std::span<std::byte> buffer, std::error_code& error, deadline until) noexcept {
    return transfer(error, descriptor, detail::reading{buffer, amount::some}, until);
}

std::size_t write_some(int descriptor, std::span<const std::byte> buffer, deadline until) {
    return transfer("io::write_some", descriptor, detail::writing{buffer, amount::some}, until);
}

std::size_t write_some(int descriptor, std::span<const std::byte> buffer, std::error_code& error,
                       deadline until) noexcept {
    return transfer(error, descriptor, detail::writing{buffer, amount::some}, until);
}

std::size_t read_all(int descriptor, std::span<std::byte> buffer, deadline until) {
    return transfer("io::read_all", descriptor, detail::reading{buffer, amount::all}, until);
}

std::size_t read_all(int descriptor, std::span<std::byte> buffer, std::error_code& error, deadline until) noexcept {
    return transfer(error, descriptor, detail::reading{buffer, amount::all}, until);
}

std::size_t write_all(int descriptor, std::span<const std::byte> buffer, deadline until) {
    return transfer("io::write_all", descriptor, detail::writing{buffer, amount::all}, until);
}

std::size_t write_all(int descriptor, std::span<const std::byte> buffer, std::error_code& error,
                      deadline until) noexcept {
    return transfer(error, descriptor, detail::writing{buffer, amount::all}, until);
}

std::size_t readv(int descriptor, std::span<const mutable_buffer> buffers, deadline until) {
    return transfer("io::readv", descriptor, detail::reading_pieces{buffers}, until);
}

std::size_t readv(int descriptor, std::span<const mutable_buffer> buffers, std::error_code& error,
                  deadline until) noexcept {
    return transfer(error, descriptor, detail::reading_pieces{buffers}, until);
}

std::size_t writev(int descriptor, std::span<const const_buffer> buffers, deadline until) {
    return transfer("io::writev", descriptor, detail::writing_pieces{buffers}, until);
}

std::size_t writev(int descriptor, std::span<const const_buffer> buffers, std::error_code& error,
                   deadline until) noexcept {
    return transfer(error, descriptor, detail::writing_pieces{buffers}, until);
}

void close(int descriptor) {
    std::error_code error;
    close(descriptor, error);
    if (error)
        throw std::system_error(error, "io::close");
}

void close(int descriptor, std::error_code& error) noexcept {
    error = detail::error_code_of(detail::close_descriptor(descriptor));
}

} // namespace coir::io
