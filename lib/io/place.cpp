#include "io/place.hpp"

#include "base/printable.hpp"
#include "io/socket_name.hpp"

#include <coir/detail/stream_reference.hpp>

#include <array>
#include <cstddef>
#include <netdb.h>
#include <netinet/in.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

namespace coir::detail {
namespace {

// Nothing if there is no address to speak of.
std::string text_of(const socket_name& name) {
    if (name.address.ss_family == AF_UNIX) {
        const auto& local = reinterpret_cast<const sockaddr_un&>(name.address);
        if (name.size <= offsetof(sockaddr_un, sun_path))
            return {};
        const std::string path{local.sun_path, name.size - offsetof(sockaddr_un, sun_path)};
        return path.front() == '\0' ? '@' + printable(std::string_view{path}.substr(1))
                                    : path.substr(0, path.find('\0'));
    }
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> port{};
    if (::getnameinfo(reinterpret_cast<const sockaddr*>(&name.address), name.size, host.data(), host.size(),
                      port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return {};
    const bool is_v6 = name.address.ss_family == AF_INET6;
    return (is_v6 ? '[' + std::string{host.data()} + ']' : std::string{host.data()}) + ':' + port.data();
}

// For people: what is an IPv4 address is written as one.
std::string unmapped_text_of(const socket_name& name) {
    socket_name v4;
    const std::optional<sockaddr_in> unmapped = v4_of(reinterpret_cast<const sockaddr_in6&>(name.address));
    if (!unmapped)
        return text_of(name);
    reinterpret_cast<sockaddr_in&>(v4.address) = *unmapped;
    v4.size = sizeof *unmapped;
    return text_of(v4);
}

std::string peer_of(int descriptor) {
    socket_name peer;
    return find_peer_name(descriptor, peer) == 0 ? unmapped_text_of(peer) : std::string{};
}

std::string own_name_of(int descriptor) {
    socket_name own;
    const std::string text = find_own_name(descriptor, own) == 0 ? unmapped_text_of(own) : std::string{};
    return text.empty() ? number_of(descriptor) : text;
}

} // namespace

std::string number_of(int descriptor) {
    return "descriptor " + std::to_string(descriptor);
}

std::string name_of(int descriptor, std::error_code failed) {
    if (failed == std::errc::bad_file_descriptor)
        return number_of(descriptor);
    std::string peer = peer_of(descriptor);
    return peer.empty() ? own_name_of(descriptor) : peer;
}

std::string place_of(int descriptor, std::error_code failed) {
    if (descriptor == no_handle)
        return {};
    if (failed == std::errc::bad_file_descriptor)
        return " on " + number_of(descriptor);
    const std::string peer = peer_of(descriptor);
    return peer.empty() ? " on " + own_name_of(descriptor) : " with " + peer;
}

} // namespace coir::detail
