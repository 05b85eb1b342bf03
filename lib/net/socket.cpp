#include "net/socket.hpp"

#include "io/ownership.hpp"

#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <system_error>

namespace coir::detail {
namespace {

using get_name = int(int, sockaddr*, socklen_t*) noexcept;

net::endpoint name_of(const io::descriptor& socket, get_name* get, const char* operation) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    if (get(socket.get(), reinterpret_cast<sockaddr*>(&name), &size) == -1)
        throw std::system_error(errno, std::generic_category(), operation);
    return net::endpoint::from_native(&name, size);
}

} // namespace

io::descriptor make_tcp_socket(const net::endpoint& peer_or_self, int& error) noexcept {
    const int number =
        ::socket(peer_or_self.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (number == -1) {
        error = errno;
        return {};
    }
    io::descriptor made = ownership::adopt_fresh_socket(number, error);
    const int on = 1;
    if (made)
        ::setsockopt(number, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return made;
}

net::endpoint local_endpoint_of(const io::descriptor& socket) {
    return name_of(socket, ::getsockname, "net: local endpoint");
}

net::endpoint remote_endpoint_of(const io::descriptor& socket) {
    return name_of(socket, ::getpeername, "net: remote endpoint");
}

} // namespace coir::detail
