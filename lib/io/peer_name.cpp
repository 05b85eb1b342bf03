#include "io/peer_name.hpp"

#include <cerrno>
#include <netinet/in.h>
#include <utility>

namespace coir::detail {

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

} // namespace coir::detail
