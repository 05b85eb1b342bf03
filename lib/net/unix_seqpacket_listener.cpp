#include <coir/unix_seqpacket_listener.hpp>

#include "net/accept.hpp"
#include "net/endings.hpp"
#include "net/socket.hpp"
#include "net/unix_socket.hpp"

#include <sys/socket.h>

namespace coir::net {

using detail::call_or_tell;
using detail::call_or_throw;
using detail::loop;
using detail::placed;

unix_seqpacket_listener::unix_seqpacket_listener(const unix_endpoint& local, const unix_bind_options& options,
                                                 int backlog) {
    call_or_throw(
        "net::unix_seqpacket_listener",
        [&](loop&) { return detail::listen_unix(SOCK_SEQPACKET, local, options, backlog, socket_, path_); },
        [&] { return "listen on " + local.to_string(); });
}

unix_seqpacket_listener::unix_seqpacket_listener(const unix_endpoint& local, const unix_bind_options& options,
                                                 int backlog, std::error_code& error) noexcept {
    call_or_tell(error, [&](loop&) noexcept {
        return detail::listen_unix(SOCK_SEQPACKET, local, options, backlog, socket_, path_);
    });
}

unix_seqpacket_listener::unix_seqpacket_listener(io::descriptor socket) {
    detail::require_listening(socket.get(), AF_UNIX, AF_UNIX, SOCK_SEQPACKET, "net::unix_seqpacket_listener");
    socket_ = std::move(socket);
}

unix_endpoint unix_seqpacket_listener::local_endpoint() const {
    return detail::local_unix_endpoint(socket_);
}

unix_seqpacket unix_seqpacket_listener::accept(deadline until) {
    io::descriptor accepted;
    call_or_throw(
        "net::unix_seqpacket_listener::accept",
        [&](loop& here) { return detail::accept(here, native_handle(), SOCK_SEQPACKET, until, accepted); },
        [&] { return "accept" + placed(" on ", [&] { return local_endpoint(); }); });
    return unix_seqpacket{std::move(accepted)};
}

unix_seqpacket unix_seqpacket_listener::accept(std::error_code& error, deadline until) noexcept {
    io::descriptor accepted;
    call_or_tell(error, [&](loop& here) noexcept {
        return detail::accept(here, native_handle(), SOCK_SEQPACKET, until, accepted);
    });
    return unix_seqpacket{std::move(accepted)};
}

void unix_seqpacket_listener::close() {
    path_.remove();
    socket_.close();
}

void unix_seqpacket_listener::close(std::error_code& error) noexcept {
    path_.remove();
    socket_.close(error);
}

} // namespace coir::net
