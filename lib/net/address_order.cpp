#include "net/address_order.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <netinet/in.h>
#include <optional>
#include <span>
#include <sys/socket.h>
#include <unistd.h>

/// \file
/// c-ares sorts as well, but only what it has looked up itself, and not what comes from our hosts file. The numbers of the rules
/// are those of RFC 6724. Rules 3, 4 and 7 need to know more about our addresses than a socket tells, and are left out (c-ares
/// leaves them out, too). The table of preferences is glibc's, which has kept that of RFC 3484 (without its gai.conf).
namespace coir::detail {
namespace {

using bytes = std::array<std::uint8_t, 16>;

// An IPv4 address as an IPv6 one: ::ffff:192.0.2.1
bytes bytes_of(const net::endpoint& address) noexcept {
    bytes made{};
    if (address.is_v4()) {
        sockaddr_in native{};
        std::memcpy(&native, address.native(), sizeof native);
        made[10] = made[11] = 0xff;
        std::memcpy(made.data() + 12, &native.sin_addr, 4);
    } else {
        sockaddr_in6 native{};
        std::memcpy(&native, address.native(), sizeof native);
        std::memcpy(made.data(), &native.sin6_addr, made.size());
    }
    return made;
}

unsigned common_prefix(const bytes& a, const bytes& b) noexcept {
    unsigned length = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const auto difference = static_cast<std::uint8_t>(a[i] ^ b[i]);
        length += static_cast<unsigned>(std::countl_zero(difference));
        if (difference != 0)
            break;
    }
    return length;
}

struct preference {
    bytes prefix;
    unsigned length;
    int precedence;
    int label;
};

// The longest match comes first.
constexpr std::array<preference, 8> preferences{{
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, 50, 0}, // ::1
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, 10, 4},        // IPv4
    {{}, 96, 20, 3},                                                // ::192.0.2.1
    {{0x20, 0x01}, 32, 40, 7},                                      // Teredo
    {{0x20, 0x02}, 16, 30, 2},                                      // 6to4
    {{0xfe, 0xc0}, 10, 40, 5},
    {{0xfc}, 7, 40, 6},
    {{}, 0, 40, 1},
}};

const preference& preference_of(const bytes& address) noexcept {
    return *std::find_if(preferences.begin(), preferences.end(),
                         [&](const preference& each) { return common_prefix(address, each.prefix) >= each.length; });
}

// As of IPv6 multicast addresses: 2 is this link, 5 this site, 14 the world.
int scope_of(const bytes& address, bool is_v4) noexcept {
    if (is_v4) {
        const bool is_local = address[12] == 127 || (address[12] == 169 && address[13] == 254);
        return is_local ? 2 : 14;
    }
    if (address[0] == 0xff)
        return address[1] & 0xf;
    const bool is_loopback = address == preferences[0].prefix;
    if (is_loopback || (address[0] == 0xfe && (address[1] & 0xc0) == 0x80))
        return 2;
    return address[0] == 0xfe && (address[1] & 0xc0) == 0xc0 ? 5 : 14;
}

// Which of our addresses would be used to talk to `remote`; none if there is no way.
std::optional<net::endpoint> source_for(const net::endpoint& remote) {
    const int probe = ::socket(remote.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe == -1)
        return std::nullopt;
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    const bool known = ::connect(probe, static_cast<const sockaddr*>(remote.native()),
                                 static_cast<socklen_t>(remote.native_size())) == 0 &&
                       ::getsockname(probe, reinterpret_cast<sockaddr*>(&own), &size) == 0;
    ::close(probe);
    return known ? std::optional{net::endpoint::from_native(&own, size)} : std::nullopt;
}

struct candidate {
    net::endpoint address;
    bool is_usable = false;
    bool same_scope = false;
    bool same_label = false;
    int precedence = 0;
    int scope = 0;
    unsigned shared_prefix = 0; // with our address; counts within IPv6 only
};

candidate examine(const net::endpoint& address) {
    const bytes to = bytes_of(address);
    const preference& target = preference_of(to);
    candidate made{address};
    made.precedence = target.precedence;
    made.scope = scope_of(to, address.is_v4());
    if (const std::optional<net::endpoint> own = source_for(address)) {
        const bytes from = bytes_of(*own);
        made.is_usable = true;
        made.same_scope = scope_of(from, own->is_v4()) == made.scope;
        made.same_label = preference_of(from).label == target.label;
        made.shared_prefix = common_prefix(from, to);
    }
    return made;
}

bool is_better(const candidate& a, const candidate& b) noexcept {
    if (a.is_usable != b.is_usable) // rule 1
        return a.is_usable;
    if (a.same_scope != b.same_scope) // rule 2
        return a.same_scope;
    if (a.same_label != b.same_label) // rule 5
        return a.same_label;
    if (a.precedence != b.precedence) // rule 6
        return a.precedence > b.precedence;
    if (a.scope != b.scope) // rule 8
        return a.scope < b.scope;
    if (a.address.is_v6() && b.address.is_v6()) // rule 9
        return a.shared_prefix > b.shared_prefix;
    return false; // rule 10: as they came
}

} // namespace

void put_in_order(std::vector<net::endpoint>& addresses) {
    if (addresses.size() < 2)
        return;
    std::vector<candidate> candidates;
    candidates.reserve(addresses.size());
    for (const net::endpoint& each : addresses)
        candidates.push_back(examine(each));
    std::stable_sort(candidates.begin(), candidates.end(), is_better);
    for (std::size_t i = 0; i < addresses.size(); ++i)
        addresses[i] = candidates[i].address;
}

} // namespace coir::detail
