#include <coir/unix_datagram.hpp>

#include "net/endings.hpp"
#include "net/message.hpp"
#include "net/unix_socket.hpp"

#include <cerrno>
#include <sys/socket.h>

namespace coir::net {

using detail::call_or_tell;
using detail::call_or_throw;
using detail::loop;
using detail::placed;

unix_datagram::unix_datagram(const unix_endpoint& local, const unix_bind_options& options) {
    call_or_throw(
        "net::unix_datagram", [&](loop&) { return detail::bind_unix(SOCK_DGRAM, local, options, socket_, path_); },
        [&] { return "bind to " + local.to_string(); });
}

unix_datagram::unix_datagram(const unix_endpoint& local, const unix_bind_options& options,
                             std::error_code& error) noexcept {
    call_or_tell(error, [&](loop&) noexcept { return detail::bind_unix(SOCK_DGRAM, local, options, socket_, path_); });
}

std::pair<unix_datagram, unix_datagram> unix_datagram::pair() {
    std::pair<io::descriptor, io::descriptor> made;
    call_or_throw(
        "net::unix_datagram::pair", [&](loop&) { return detail::pair_unix(SOCK_DGRAM, made); },
        [] { return "net::unix_datagram::pair"; });
    return {unix_datagram{std::move(made.first)}, unix_datagram{std::move(made.second)}};
}

std::pair<unix_datagram, unix_datagram> unix_datagram::pair(std::error_code& error) noexcept {
    std::pair<io::descriptor, io::descriptor> made;
    call_or_tell(error, [&](loop&) noexcept { return detail::pair_unix(SOCK_DGRAM, made); });
    return {unix_datagram{std::move(made.first)}, unix_datagram{std::move(made.second)}};
}

void unix_datagram::connect(const unix_endpoint& remote) {
    std::error_code error;
    connect(remote, error);
    if (error)
        throw std::system_error(error, "connect datagram socket to " + remote.to_string());
}

void unix_datagram::connect(const unix_endpoint& remote, std::error_code& error) noexcept {
    const bool done = ::connect(native_handle(), static_cast<const sockaddr*>(remote.native()),
                                static_cast<socklen_t>(remote.native_size())) == 0;
    error = detail::error_code_of(done ? 0 : errno);
}

unix_endpoint unix_datagram::local_endpoint() const {
    return detail::local_unix_endpoint(socket_);
}

unix_endpoint unix_datagram::remote_endpoint() const {
    return detail::remote_unix_endpoint(socket_);
}

void unix_datagram::send_to(std::span<const std::byte> data, std::span<const int> descriptors, const unix_endpoint& to,
                            deadline until) {
    call_or_throw(
        "net::unix_datagram::send_to",
        [&](loop& here) {
            return detail::send_message(here, native_handle(), false, data, descriptors, &to, until).error;
        },
        [&] { return "send to " + to.to_string(); });
}

void unix_datagram::send_to(std::span<const std::byte> data, std::span<const int> descriptors, const unix_endpoint& to,
                            std::error_code& error, deadline until) noexcept {
    call_or_tell(error, [&](loop& here) noexcept {
        return detail::send_message(here, native_handle(), false, data, descriptors, &to, until).error;
    });
}

void unix_datagram::send(std::span<const std::byte> data, std::span<const int> descriptors, deadline until) {
    call_or_throw(
        "net::unix_datagram::send",
        [&](loop& here) {
            return detail::send_message(here, native_handle(), false, data, descriptors, nullptr, until).error;
        },
        [&] { return "send" + placed(" to ", [&] { return remote_endpoint(); }); });
}

void unix_datagram::send(std::span<const std::byte> data, std::span<const int> descriptors, std::error_code& error,
                         deadline until) noexcept {
    call_or_tell(error, [&](loop& here) noexcept {
        return detail::send_message(here, native_handle(), false, data, descriptors, nullptr, until).error;
    });
}

unix_datagram::received unix_datagram::receive(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                               deadline until) {
    received result;
    call_or_throw(
        "net::unix_datagram::receive",
        [&](loop& here) {
            return detail::receive_message(here, native_handle(), buffer, descriptors, result, &result.from, until);
        },
        [&] { return "receive" + placed(" on ", [&] { return local_endpoint(); }); });
    return result;
}

unix_datagram::received unix_datagram::receive(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                               std::error_code& error, deadline until) noexcept {
    received result;
    call_or_tell(error, [&](loop& here) noexcept {
        return detail::receive_message(here, native_handle(), buffer, descriptors, result, &result.from, until);
    });
    return result;
}

void unix_datagram::close() {
    path_.remove();
    socket_.close();
}

void unix_datagram::close(std::error_code& error) noexcept {
    path_.remove();
    socket_.close(error);
}

} // namespace coir::net
