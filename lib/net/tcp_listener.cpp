#include <coir/tcp_listener.hpp>

#include "io/errors.hpp"
#include "io/operation.hpp"
#include "net/accept.hpp"
#include "net/endings.hpp"
#include "net/socket.hpp"
#include "net/socket_option.hpp"
#include "sched/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/socket.h>

namespace coir {
namespace detail {
namespace {

// Errno or 0.
int prepare(int socket, const net::endpoint& local, const net::listen_options& options) noexcept {
    int error = set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
    if (error == 0 && local.is_v6()) // whatever the system's default; of addresses other than "::" it is ignored
        error = set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, int{options.v6_only});
    if (error == 0 && options.reuse_port)
        error = set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1);
    if (error == 0 && options.defer_accept.count() != 0)
        error = set_option(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT,
                           static_cast<int>(std::min<std::int64_t>(options.defer_accept.count(), INT_MAX)));
    if (error == 0 && options.fast_open != 0)
        error = set_option(socket, IPPROTO_TCP, TCP_FASTOPEN, options.fast_open);
    return error;
}

// The connections inherit the options of `options.connections`.
io::descriptor listen_at(const net::endpoint& local, const net::listen_options& options, int& error) noexcept {
    io::descriptor made = make_tcp_socket(local, options.connections, error);
    if (!made || (error = prepare(made.get(), local, options)) != 0)
        return {};
    if (::bind(made.get(), static_cast<const sockaddr*>(local.native()), static_cast<socklen_t>(local.native_size())) ==
            -1 ||
        ::listen(made.get(), options.backlog) == -1) {
        error = errno;
        return {};
    }
    return made;
}

// Errno or 0.
int listen(const net::endpoint& local, const net::listen_options& options, io::descriptor& socket) noexcept {
    int error = 0;
    std::error_code ignored; // these addresses are right
    socket = listen_at(local, options, error);
    // A machine without IPv6: every address is every IPv4 address.
    if (error == EAFNOSUPPORT && !options.v6_only && local == net::endpoint{"::", local.port(), ignored}) {
        error = 0;
        socket = listen_at(net::endpoint{"0.0.0.0", local.port(), ignored}, options, error);
    }
    return error;
}

} // namespace
} // namespace detail

namespace net {

tcp_listener::tcp_listener(const endpoint& local, const listen_options& options) {
    detail::call_or_throw(
        "net::tcp_listener", [&](detail::loop&) { return detail::listen(local, options, socket_); },
        [&] { return "listen on " + local.to_string(); });
}

tcp_listener::tcp_listener(const endpoint& local, const listen_options& options, std::error_code& error) noexcept {
    detail::call_or_tell(error, [&](detail::loop&) noexcept { return detail::listen(local, options, socket_); });
}

tcp_listener::tcp_listener(io::descriptor socket) {
    detail::require_listening(socket.get(), AF_INET, AF_INET6, SOCK_STREAM, "net::tcp_listener");
    detail::set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1); // for its connections, as of one that we have made
    socket_ = std::move(socket);
}

endpoint tcp_listener::local_endpoint() const {
    return detail::local_endpoint_of(socket_);
}

tcp_stream tcp_listener::accept(deadline until) {
    io::descriptor accepted;
    detail::call_or_throw(
        "net::tcp_listener::accept",
        [&](detail::loop& here) { return detail::accept(here, native_handle(), SOCK_STREAM, until, accepted); },
        [&] { return "accept" + detail::placed(" on ", [&] { return local_endpoint(); }); });
    return tcp_stream{std::move(accepted)};
}

tcp_stream tcp_listener::accept(std::error_code& error, deadline until) noexcept {
    io::descriptor accepted;
    detail::call_or_tell(error, [&](detail::loop& here) noexcept {
        return detail::accept(here, native_handle(), SOCK_STREAM, until, accepted);
    });
    return tcp_stream{std::move(accepted)};
}

} // namespace net
} // namespace coir
