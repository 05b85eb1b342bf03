#include "net/socket.hpp"

#include "io/errors.hpp"
#include "io/ownership.hpp"
#include "io/socket_name.hpp"
#include "net/socket_option.hpp"
#include "net/tcp_options.hpp"

#include <cerrno>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <system_error>

namespace coir::detail {
namespace {

using find_name = int(int, socket_name&) noexcept;

net::endpoint name_of(const io::descriptor& socket, find_name* find, const char* operation) {
    socket_name name;
    if (const int error = find(socket.get(), name))
        throw_on_socket(error_code_of(error), operation, socket.get());
    return net::endpoint::from_native(&name.address, name.size);
}

} // namespace

io::descriptor adopt_socket(int number, int type, int& error) noexcept {
    return type == SOCK_STREAM ? ownership::adopt_fresh_socket(number, error)
                               : ownership::adopt_fresh_message_socket(number, error);
}

io::descriptor make_socket(int family, int type, int protocol, int& error) noexcept {
    const int number = ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (number == -1) {
        error = errno;
        return {};
    }
    return adopt_socket(number, type, error);
}

io::descriptor make_tcp_socket(const net::endpoint& peer_or_self, const net::tcp_options& options,
                               int& error) noexcept {
    io::descriptor made = make_socket(peer_or_self.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM, IPPROTO_TCP, error);
    if (made && (error = set_tcp_options(made.get(), options)) != 0)
        made = {};
    return made;
}

void require_listening(int socket, int family, int other_family, int type, const char* operation) {
    const int found = option_of<int>(socket, SOL_SOCKET, SO_DOMAIN, operation);
    if ((found != family && found != other_family) || option_of<int>(socket, SOL_SOCKET, SO_TYPE, operation) != type ||
        option_of<int>(socket, SOL_SOCKET, SO_ACCEPTCONN, operation) == 0)
        throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                                operation + place_of(socket) + ": not a listening socket of this kind");
}

net::endpoint local_endpoint_of(const io::descriptor& socket) {
    return name_of(socket, find_own_name, "net: local endpoint");
}

net::endpoint remote_endpoint_of(const io::descriptor& socket) {
    return name_of(socket, find_peer_name, "net: remote endpoint");
}

void shut_down(const io::descriptor& socket, int how, const char* operation) {
    std::error_code error;
    shut_down(socket, how, error);
    if (error)
        throw_on_socket(error, operation, socket.get());
}

void shut_down(const io::descriptor& socket, int how, std::error_code& error) noexcept {
    error = error_code_of(::shutdown(socket.get(), how) == 0 ? 0 : errno);
}

} // namespace coir::detail
