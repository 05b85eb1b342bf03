#include "udp_servers.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <vector>

#include <arpa/inet.h>
#include <ev.h>
#include <sys/socket.h>
#include <unistd.h>

/// \file
/// What a careful author writes by hand on libev: headers and buffers are made once, and each event costs one recvmmsg and one
/// sendmmsg.

namespace {

[[noreturn]] void fail(const char* operation) {
    throw std::system_error{errno, std::generic_category(), operation};
}

struct server {
    ev_io watcher; // first: the callback gets its address
    std::array<mmsghdr, udp_batch> headers{};
    std::array<iovec, udp_batch> pieces{};
    std::array<sockaddr_in, udp_batch> peers{};
    std::array<std::array<char, udp_buffer_size>, udp_batch> buffers{};
};

void on_readable(struct ev_loop* /*loop*/, ev_io* watcher, int /*events*/) {
    auto* self = reinterpret_cast<server*>(watcher);
    for (std::size_t i = 0; i < udp_batch; ++i) {
        self->pieces[i].iov_len = udp_buffer_size;
        self->headers[i].msg_hdr.msg_namelen = sizeof self->peers[i];
    }
    const int count = ::recvmmsg(watcher->fd, self->headers.data(), udp_batch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; ++i)
        self->pieces[static_cast<std::size_t>(i)].iov_len = self->headers[static_cast<std::size_t>(i)].msg_len;
    // What finds no room is lost, as UDP may. A real server would keep the rest and wait here.
    if (count > 0)
        ::sendmmsg(watcher->fd, self->headers.data(), static_cast<unsigned>(count), MSG_DONTWAIT | MSG_NOSIGNAL);
}

} // namespace

void serve_udp_by_libev(int announce) {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (socket < 0 || ::bind(socket, any, size) != 0 || ::getsockname(socket, any, &size) != 0)
        fail("bind");
    const std::uint16_t port = ntohs(address.sin_port);
    if (::write(announce, &port, sizeof port) != sizeof port)
        fail("write");

    auto* self = new server;
    for (std::size_t i = 0; i < udp_batch; ++i) {
        self->pieces[i].iov_base = self->buffers[i].data();
        msghdr& header = self->headers[i].msg_hdr;
        header.msg_name = &self->peers[i];
        header.msg_iov = &self->pieces[i];
        header.msg_iovlen = 1;
    }
    struct ev_loop* loop = ev_loop_new(unsigned{EVFLAG_NOENV} | unsigned{EVBACKEND_EPOLL}); // as coir's
    ev_io_init(&self->watcher, on_readable, socket, EV_READ);
    ev_io_start(loop, &self->watcher);
    ev_run(loop, 0);
}
