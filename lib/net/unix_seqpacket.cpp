#include <coir/unix_seqpacket.hpp>

#include "net/endings.hpp"
#include "net/message.hpp"
#include "net/socket.hpp"
#include "net/unix_socket.hpp"

#include <sys/socket.h>

namespace coir::net {

using detail::call_or_tell;
using detail::call_or_throw;
using detail::loop;
using detail::placed;

namespace {

// Empty: see the header.
int send_one(loop& here, int socket, std::span<const std::byte> message, std::span<const int> descriptors,
             deadline until) noexcept {
    if (message.empty())
        return here.refuses() ? detail::was_cancelled : EINVAL;
    return detail::send_message(here, socket, false, message, descriptors, nullptr, until).error;
}

} // namespace

unix_seqpacket::unix_seqpacket(const unix_endpoint& remote, deadline until) {
    call_or_throw(
        "net::unix_seqpacket",
        [&](loop& here) { return detail::connect_unix(here, SOCK_SEQPACKET, remote, until, socket_); },
        [&] { return "connect to " + remote.to_string(); });
}

unix_seqpacket::unix_seqpacket(const unix_endpoint& remote, std::error_code& error, deadline until) noexcept {
    call_or_tell(
        error, [&](loop& here) noexcept { return detail::connect_unix(here, SOCK_SEQPACKET, remote, until, socket_); });
}

std::pair<unix_seqpacket, unix_seqpacket> unix_seqpacket::pair() {
    std::pair<io::descriptor, io::descriptor> made;
    call_or_throw(
        "net::unix_seqpacket::pair", [&](loop&) { return detail::pair_unix(SOCK_SEQPACKET, made); },
        [] { return "net::unix_seqpacket::pair"; });
    return {unix_seqpacket{std::move(made.first)}, unix_seqpacket{std::move(made.second)}};
}

std::pair<unix_seqpacket, unix_seqpacket> unix_seqpacket::pair(std::error_code& error) noexcept {
    std::pair<io::descriptor, io::descriptor> made;
    call_or_tell(error, [&](loop&) noexcept { return detail::pair_unix(SOCK_SEQPACKET, made); });
    return {unix_seqpacket{std::move(made.first)}, unix_seqpacket{std::move(made.second)}};
}

unix_endpoint unix_seqpacket::local_endpoint() const {
    return detail::local_unix_endpoint(socket_);
}

unix_endpoint unix_seqpacket::remote_endpoint() const {
    return detail::remote_unix_endpoint(socket_);
}

peer_credentials unix_seqpacket::credentials() const {
    return detail::credentials_of(socket_);
}

void unix_seqpacket::send(std::span<const std::byte> message, std::span<const int> descriptors, deadline until) {
    call_or_throw(
        "net::unix_seqpacket::send",
        [&](loop& here) { return send_one(here, native_handle(), message, descriptors, until); },
        [&] { return "send" + placed(" to ", [&] { return remote_endpoint(); }); });
}

void unix_seqpacket::send(std::span<const std::byte> message, std::span<const int> descriptors, std::error_code& error,
                          deadline until) noexcept {
    call_or_tell(error,
                 [&](loop& here) noexcept { return send_one(here, native_handle(), message, descriptors, until); });
}

received_message unix_seqpacket::receive(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                         deadline until) {
    received_message received;
    call_or_throw(
        "net::unix_seqpacket::receive",
        [&](loop& here) {
            return detail::receive_message(here, native_handle(), buffer, descriptors, received, nullptr, until);
        },
        [&] { return "receive" + placed(" from ", [&] { return remote_endpoint(); }); });
    return received;
}

received_message unix_seqpacket::receive(std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                                         std::error_code& error, deadline until) noexcept {
    received_message received;
    call_or_tell(error, [&](loop& here) noexcept {
        return detail::receive_message(here, native_handle(), buffer, descriptors, received, nullptr, until);
    });
    return received;
}

void unix_seqpacket::shutdown_write() {
    detail::shut_down(socket_, SHUT_WR, "net::unix_seqpacket::shutdown_write");
}

void unix_seqpacket::shutdown_write(std::error_code& error) noexcept {
    detail::shut_down(socket_, SHUT_WR, error);
}

void unix_seqpacket::shutdown_read() {
    detail::shut_down(socket_, SHUT_RD, "net::unix_seqpacket::shutdown_read");
}

void unix_seqpacket::shutdown_read(std::error_code& error) noexcept {
    detail::shut_down(socket_, SHUT_RD, error);
}

} // namespace coir::net
