#include "net/ip_options.hpp"

#include "net/socket_option.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace coir::detail {
constinit const option_pair traffic_class_option{IP_TOS, IPV6_TCLASS};

int set_ip_options(int socket, const net::ip_options& options) noexcept {
    int error = 0;
    if (options.traffic_class != 0)
        error = set_pair(socket, traffic_class_option, options.traffic_class);
    if (error == 0 && options.priority != 0) // after the other, which sets it, too
        error = set_option(socket, SOL_SOCKET, SO_PRIORITY, options.priority);
    if (error == 0 && options.mark != 0)
        error = set_option(socket, SOL_SOCKET, SO_MARK, options.mark);
    if (error == 0 && !options.interface.empty())
        error = set_text_option(socket, SOL_SOCKET, SO_BINDTODEVICE, options.interface, IF_NAMESIZE - 1, ENODEV);
    if (error == 0 && options.free_bind)
        error = set_option(socket, IPPROTO_IP, IP_FREEBIND, 1); // of IPv6 as well
    return error;
}

bool is_v6(int socket) noexcept {
    int family = AF_UNSPEC;
    socklen_t size = sizeof family;
    return ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family == AF_INET6;
}

int set_pair(int socket, const option_pair& names, int value) noexcept {
    if (is_v6(socket))
        if (const int error = set_option(socket, IPPROTO_IPV6, names.v6, value))
            return error;
    return set_option(socket, IPPROTO_IP, names.v4, value);
}

int pair_of(int socket, const option_pair& names, const char* operation) {
    return is_v6(socket) ? option_of<int>(socket, IPPROTO_IPV6, names.v6, operation)
                         : option_of<int>(socket, IPPROTO_IP, names.v4, operation);
}

int set_buffer(int socket, int name, std::size_t bytes) noexcept {
    return set_option(socket, SOL_SOCKET, name, static_cast<int>(std::min<std::size_t>(bytes, INT_MAX)));
}

std::size_t buffer_of(int socket, int name, const char* operation) {
    return static_cast<std::size_t>(option_of<int>(socket, SOL_SOCKET, name, operation));
}

} // namespace coir::detail
