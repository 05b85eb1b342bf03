#include <coir/io.hpp>

#include "io/call.hpp"
#include "io/ownership.hpp"
#include "io/place.hpp"
#include "io/transfer.hpp"

namespace coir {
namespace detail {
namespace {

void throw_if_cancelled(const outcome& failed, const char* operation) {
    if (failed.error == was_cancelled)
        throw_cancelled(loop::current()->running(), operation, failed.bytes);
}

} // namespace

void throw_if_cancelled(std::error_code failed, const char* operation, std::size_t bytes) {
    fiber_base& running = loop::current()->running();
    // A stream may report this for a reason of its own.
    if (failed == std::errc::operation_canceled && cancellation_due(running))
        throw_cancelled(running, operation, bytes);
}

void raise(const outcome& failed, const char* operation, int descriptor) {
    throw_if_cancelled(failed, operation);
    const std::error_code error = error_code_of(failed.error);
    throw io::transfer_error(error, operation + place_of(descriptor, error), failed.bytes);
}

void raise(const outcome& failed, const char* operation, int from, int to) {
    throw_if_cancelled(failed, operation);
    const std::error_code error = error_code_of(failed.error);
    throw io::transfer_error(error, operation + (" from " + name_of(from, error) + " to " + name_of(to, error)),
                             failed.bytes);
}

void raise(std::error_code failed, const char* operation, int handle, std::size_t bytes) {
    throw_if_cancelled(failed, operation, bytes);
    throw io::transfer_error(failed, operation + place_of(handle, failed), bytes);
}

} // namespace detail

namespace io {

using detail::amount;
using detail::direction;
using detail::transfer;

transfer_error::transfer_error(std::error_code error, const std::string& operation, std::size_t bytes_transferred)
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

[[gnu::hot]] std::size_t read_some(int descriptor, std::span<std::byte> buffer, deadline until) {
    return transfer("io::read_some", descriptor, detail::reading{buffer, amount::some}, until);
}

[[gnu::hot]] std::size_t read_some(int descriptor, std::span<std::byte> buffer, std::error_code& error,
                                   deadline until) noexcept {
    return transfer(error, descriptor, detail::reading{buffer, amount::some}, until);
}

[[gnu::hot]] std::size_t write_some(int descriptor, std::span<const std::byte> buffer, deadline until) {
    return transfer("io::write_some", descriptor, detail::writing{buffer, amount::some}, until);
}

[[gnu::hot]] std::size_t write_some(int descriptor, std::span<const std::byte> buffer, std::error_code& error,
                                    deadline until) noexcept {
    return transfer(error, descriptor, detail::writing{buffer, amount::some}, until);
}

[[gnu::hot]] std::size_t read_all(int descriptor, std::span<std::byte> buffer, deadline until) {
    return transfer("io::read_all", descriptor, detail::reading{buffer, amount::all}, until);
}

[[gnu::hot]] std::size_t read_all(int descriptor, std::span<std::byte> buffer, std::error_code& error,
                                  deadline until) noexcept {
    return transfer(error, descriptor, detail::reading{buffer, amount::all}, until);
}

[[gnu::hot]] std::size_t write_all(int descriptor, std::span<const std::byte> buffer, deadline until) {
    return transfer("io::write_all", descriptor, detail::writing{buffer, amount::all}, until);
}

[[gnu::hot]] std::size_t write_all(int descriptor, std::span<const std::byte> buffer, std::error_code& error,
                                   deadline until) noexcept {
    return transfer(error, descriptor, detail::writing{buffer, amount::all}, until);
}

[[gnu::hot]] std::size_t readv(int descriptor, std::span<const mutable_buffer> buffers, deadline until) {
    return transfer("io::readv", descriptor, detail::reading_pieces{buffers}, until);
}

[[gnu::hot]] std::size_t readv(int descriptor, std::span<const mutable_buffer> buffers, std::error_code& error,
                               deadline until) noexcept {
    return transfer(error, descriptor, detail::reading_pieces{buffers}, until);
}

[[gnu::hot]] std::size_t writev(int descriptor, std::span<const const_buffer> buffers, deadline until) {
    return transfer("io::writev", descriptor, detail::writing_pieces{buffers}, until);
}

[[gnu::hot]] std::size_t writev(int descriptor, std::span<const const_buffer> buffers, std::error_code& error,
                                deadline until) noexcept {
    return transfer(error, descriptor, detail::writing_pieces{buffers}, until);
}

void close(int descriptor) {
    std::error_code error;
    close(descriptor, error);
    if (error)
        throw std::system_error(error, "io::close of " + detail::number_of(descriptor));
}

void close(int descriptor, std::error_code& error) noexcept {
    error = detail::error_code_of(detail::close_descriptor(descriptor));
}

} // namespace io
} // namespace coir
