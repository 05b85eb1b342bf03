#pragma once

#include "io/descriptors.hpp"

#include <cstring>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace coir::test {

/// In a network that has just been made it is off. False: it could not be switched on.
inline bool switch_loopback_on() {
    const raw any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ifreq loopback{};
    std::strcpy(loopback.ifr_name, "lo");
    if (::ioctl(any.get(), SIOCGIFFLAGS, &loopback) != 0)
        return false;
    loopback.ifr_flags = static_cast<short>(loopback.ifr_flags | IFF_UP | IFF_MULTICAST);
    return ::ioctl(any.get(), SIOCSIFFLAGS, &loopback) == 0;
}

} // namespace coir::test
