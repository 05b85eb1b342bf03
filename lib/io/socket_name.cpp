#include "io/socket_name.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

namespace coir::detail {

int find_own_name(int socket, socket_name& own) noexcept {
    own.size = sizeof own.address;
    return ::getsockname(socket, reinterpret_cast<sockaddr*>(&own.address), &own.size) == 0 ? 0 : errno;
}

// getpeername() does not know the peer of a broken connection any more. SO_PEERNAME does; it fails if more is asked for than there
// is, and cuts off what is more, hence the families.
int find_peer_name(int socket, socket_name& peer) noexcept {
    constexpr std::pair<sa_family_t, socklen_t> kinds[] = {{AF_INET6, sizeof(sockaddr_in6)},
                                                           {AF_INET, sizeof(sockaddr_in)}};
    for (const auto& [family, size] : kinds) {
        peer.size = size;
        if (::getsockopt(socket, SOL_SOCKET, SO_PEERNAME, &peer.address, &peer.size) == 0 && peer.size == size &&
            peer.address.ss_family == family)
            return 0;
    }
    peer.size = sizeof peer.address;
    return ::getpeername(socket, reinterpret_cast<sockaddr*>(&peer.address), &peer.size) == 0 ? 0 : errno;
}

std::optional<sockaddr_in> v4_of(const sockaddr_in6& mapped) noexcept {
    if (mapped.sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&mapped.sin6_addr))
        return std::nullopt;
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = mapped.sin6_port;
    std::memcpy(&v4.sin_addr, &mapped.sin6_addr.s6_addr[12], sizeof v4.sin_addr);
    return v4;
}

} // namespace coir::detail
