#include <coir/tcp_stream.hpp>

#include "io/errors.hpp"
#include "io/operation.hpp"
#include "net/endings.hpp"
#include "net/socket.hpp"
#include "net/socket_option.hpp"
#include "sched/loop.hpp"

#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace coir {
namespace detail {
namespace {

class connecting final : public operation {
public:
    explicit connecting(const net::endpoint& remote) noexcept : operation(direction::write), remote_(remote) {}

    bool attempt(int number) noexcept override { return started_ ? has_ended(number) : start(number); }

private:
    bool start(int number) noexcept {
        started_ = true;
        if (::connect(number, static_cast<const sockaddr*>(remote_.native()),
                      static_cast<socklen_t>(remote_.native_size())) == 0)
            return true;
        if (errno == EINPROGRESS || errno == EINTR) // interrupted, it goes on
            errno = EAGAIN;
        else if (errno == EAGAIN) // no local port left, which waiting for this socket does not cure
            errno = EADDRNOTAVAIL;
        return false;
    }

    static bool has_ended(int number) noexcept {
        int error = 0;
        socklen_t size = sizeof error;
        if (::getsockopt(number, SOL_SOCKET, SO_ERROR, &error, &size) == -1)
            return false;
        if (error != 0) {
            errno = error;
            return false;
        }
        // No error yet is not success yet: being called is a hint.
        sockaddr_storage peer{};
        socklen_t peer_size = sizeof peer;
        if (::getpeername(number, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0)
            return true;
        if (errno == ENOTCONN)
            errno = EAGAIN;
        return false;
    }

    const net::endpoint& remote_;
    bool started_ = false;
};

// What comes between making a socket and connecting it. Returns 0 or an errno.
int prepare(int socket, const net::connect_options& options) noexcept {
    int error = options.fast_open ? set_option(socket, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1) : 0;
    if (error != 0 || !options.local)
        return error;
    const net::endpoint& local = *options.local;
    // A port chosen by bind() is taken from all connections; chosen by connect(), only from those to the same peer.
    if (local.port() == 0)
        set_option(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    else
        error = set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1); // it may have been in use a minute ago
    if (error == 0 &&
        ::bind(socket, static_cast<const sockaddr*>(local.native()), static_cast<socklen_t>(local.native_size())) == -1)
        error = errno;
    return error;
}

// Errno or was_cancelled; on an error there is no socket.
int connect(loop& here, const net::endpoint& remote, const net::connect_options& options, deadline until,
            io::descriptor& socket) noexcept {
    if (here.refuses())
        return was_cancelled;
    int error = 0;
    io::descriptor made = make_tcp_socket(remote, options.connection, error);
    if (error == 0)
        error = prepare(made.get(), options);
    if (error != 0)
        return error;
    connecting work{remote};
    error = perform(here, made.get(), work, until).error;
    if (error == 0)
        socket = std::move(made);
    return error;
}

} // namespace
} // namespace detail

namespace net {

tcp_stream::tcp_stream(const endpoint& remote, deadline until) : tcp_stream(remote, connect_options{}, until) {}

tcp_stream::tcp_stream(const endpoint& remote, std::error_code& error, deadline until) noexcept
    : tcp_stream(remote, connect_options{}, error, until) {}

tcp_stream::tcp_stream(const endpoint& remote, const connect_options& options, deadline until) {
    detail::call_or_throw(
        "net::tcp_stream", [&](detail::loop& here) { return detail::connect(here, remote, options, until, socket_); },
        [&] {
            return "connect to " + remote.to_string() +
                   (options.local ? " from " + options.local->to_string() : std::string{});
        });
}

tcp_stream::tcp_stream(const endpoint& remote, const connect_options& options, std::error_code& error,
                       deadline until) noexcept {
    detail::call_or_tell(
        error, [&](detail::loop& here) noexcept { return detail::connect(here, remote, options, until, socket_); });
}

endpoint tcp_stream::local_endpoint() const {
    return detail::local_endpoint_of(socket_);
}

endpoint tcp_stream::remote_endpoint() const {
    return detail::remote_endpoint_of(socket_);
}

void tcp_stream::shutdown_write() {
    detail::shut_down(socket_, SHUT_WR, "net::tcp_stream::shutdown_write");
}

void tcp_stream::shutdown_write(std::error_code& error) noexcept {
    detail::shut_down(socket_, SHUT_WR, error);
}

void tcp_stream::shutdown_read() {
    detail::shut_down(socket_, SHUT_RD, "net::tcp_stream::shutdown_read");
}

void tcp_stream::shutdown_read(std::error_code& error) noexcept {
    detail::shut_down(socket_, SHUT_RD, error);
}

} // namespace net
} // namespace coir
