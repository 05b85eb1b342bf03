#include <coir/unix_stream.hpp>

#include "io/call.hpp"
#include "net/endings.hpp"
#include "net/message.hpp"
#include "net/socket.hpp"
#include "net/unix_socket.hpp"

#include <sys/socket.h>

namespace coir::net {

using detail::call_or_tell;
using detail::call_or_throw;
using detail::loop;

unix_stream::unix_stream(const unix_endpoint& remote, deadline until) {
    call_or_throw(
        "net::unix_stream", [&](loop& here) { return detail::connect_unix(here, SOCK_STREAM, remote, until, socket_); },
        [&] { return "connect to " + remote.to_string(); });
}

unix_stream::unix_stream(const unix_endpoint& remote, std::error_code& error, deadline until) noexcept {
    call_or_tell(error,
                 [&](loop& here) noexcept { return detail::connect_unix(here, SOCK_STREAM, remote, until, socket_); });
}

std::pair<unix_stream, unix_stream> unix_stream::pair() {
    std::pair<io::descriptor, io::descriptor> made;
    call_or_throw(
        "net::unix_stream::pair", [&](loop&) { return detail::pair_unix(SOCK_STREAM, made); },
        [] { return "net::unix_stream::pair"; });
    return {unix_stream{std::move(made.first)}, unix_stream{std::move(made.second)}};
}

std::pair<unix_stream, unix_stream> unix_stream::pair(std::error_code& error) noexcept {
    std::pair<io::descriptor, io::descriptor> made;
    call_or_tell(error, [&](loop&) noexcept { return detail::pair_unix(SOCK_STREAM, made); });
    return {unix_stream{std::move(made.first)}, unix_stream{std::move(made.second)}};
}

unix_endpoint unix_stream::local_endpoint() const {
    return detail::local_unix_endpoint(socket_);
}

unix_endpoint unix_stream::remote_endpoint() const {
    return detail::remote_unix_endpoint(socket_);
}

peer_credentials unix_stream::credentials() const {
    return detail::credentials_of(socket_);
}

std::size_t unix_stream::write_with(std::span<const std::byte> data, std::span<const int> descriptors, deadline until) {
    constexpr auto operation = "net::unix_stream::write_with";
    const int number = native_handle(); // the object may be gone afterwards
    const detail::outcome done =
        detail::send_message(loop::of_running_fiber(operation), number, true, data, descriptors, nullptr, until);
    if (done.error != 0)
        detail::raise(done, operation, number);
    return done.bytes;
}

std::size_t unix_stream::write_with(std::span<const std::byte> data, std::span<const int> descriptors,
                                    std::error_code& error, deadline until) noexcept {
    detail::outcome done;
    call_or_tell(error, [&](loop& here) noexcept {
        done = detail::send_message(here, native_handle(), true, data, descriptors, nullptr, until);
        return done.error;
    });
    return done.bytes;
}

received_message unix_stream::read_with(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                        deadline until) {
    constexpr auto operation = "net::unix_stream::read_with";
    received_message received;
    const int number = native_handle();
    const int error = detail::receive_message(loop::of_running_fiber(operation), number, buffer, descriptors, received,
                                              nullptr, until);
    if (error != 0)
        detail::raise({received.size, error}, operation, number);
    return received;
}

received_message unix_stream::read_with(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                        std::error_code& error, deadline until) noexcept {
    received_message received;
    call_or_tell(error, [&](loop& here) noexcept {
        return detail::receive_message(here, native_handle(), buffer, descriptors, received, nullptr, until);
    });
    return received;
}

void unix_stream::shutdown_write() {
    detail::shut_down(socket_, SHUT_WR, "net::unix_stream::shutdown_write");
}

void unix_stream::shutdown_write(std::error_code& error) noexcept {
    detail::shut_down(socket_, SHUT_WR, error);
}

void unix_stream::shutdown_read() {
    detail::shut_down(socket_, SHUT_RD, "net::unix_stream::shutdown_read");
}

void unix_stream::shutdown_read(std::error_code& error) noexcept {
    detail::shut_down(socket_, SHUT_RD, error);
}

} // namespace coir::net
