#include "echo_servers.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include <arpa/inet.h>
#include <ev.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/// \file
/// What a careful author writes by hand on libev: a watcher and a buffer in one block per connection, one read and one
/// write per event, nothing else on the way.

namespace {

[[noreturn]] void fail(const char* operation) {
    throw std::system_error{errno, std::generic_category(), operation};
}

struct connection {
    ev_io watcher; // first: the callback gets its address
    std::array<char, echo_buffer_size> buffer;
};

void close_connection(struct ev_loop* loop, connection* self) {
    ev_io_stop(loop, &self->watcher);
    ::close(self->watcher.fd);
    delete self;
}

void on_readable(struct ev_loop* loop, ev_io* watcher, int /*events*/) {
    auto* self = reinterpret_cast<connection*>(watcher);
    const ssize_t count = ::read(watcher->fd, self->buffer.data(), self->buffer.size());
    if (count > 0) {
        // 64 bytes always fit: the client waits for each answer. A real server would keep the rest and wait here.
        if (::write(watcher->fd, self->buffer.data(), static_cast<std::size_t>(count)) != count)
            close_connection(loop, self);
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_connection(loop, self);
    }
}

void on_connection(struct ev_loop* loop, ev_io* watcher, int /*events*/) {
    const int peer = ::accept4(watcher->fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer < 0)
        return;
    const int on = 1;
    ::setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto* self = new connection; // its buffer is not initialised
    ev_io_init(&self->watcher, on_readable, peer, EV_READ);
    ev_io_start(loop, &self->watcher);
}

} // namespace

void serve_echo_by_libev(int announce) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (listener < 0 || ::bind(listener, any, size) != 0 || ::listen(listener, 1024) != 0 ||
        ::getsockname(listener, any, &size) != 0)
        fail("listen");
    const std::uint16_t port = ntohs(address.sin_port);
    if (::write(announce, &port, sizeof port) != sizeof port)
        fail("write");

    struct ev_loop* loop = ev_loop_new(unsigned{EVFLAG_NOENV} | unsigned{EVBACKEND_EPOLL}); // as coir's
    ev_io acceptor;
    ev_io_init(&acceptor, on_connection, listener, EV_READ);
    ev_io_start(loop, &acceptor);
    ev_run(loop, 0);
}
