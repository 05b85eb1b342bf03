#include "net/udp_options.hpp"

#include "io/errors.hpp"
#include "net/ip_options.hpp"
#include "net/socket.hpp"
#include "net/socket_option.hpp"

#include <coir/udp_socket.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <net/if.h>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29 // Linux 4.20
#endif

namespace coir {
namespace detail {
namespace {

// By default Linux gives every socket what is sent to any group that some socket of the machine has joined: leaving one would
// change nothing. A kernel that is too old for the second option (before 4.20) goes on as it did.
void receive_joined_groups_only(int socket, bool v6) noexcept {
    set_option(socket, IPPROTO_IP, IP_MULTICAST_ALL, 0);
    if (v6)
        set_option(socket, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
}

int set_udp_options(int socket, bool v6, const net::udp_options& options) noexcept {
    const auto switch_on = [socket](int name) { return set_option(socket, SOL_SOCKET, name, 1); };
    receive_joined_groups_only(socket, v6);
    int error = 0;
    if (v6)
        error = set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, int{options.v6_only});
    if (error == 0 && options.reuse_address)
        error = switch_on(SO_REUSEADDR);
    if (error == 0 && options.reuse_port)
        error = switch_on(SO_REUSEPORT);
    if (error == 0 && options.broadcast)
        error = switch_on(SO_BROADCAST);
    if (error == 0 && options.send_buffer != 0)
        error = set_buffer(socket, SO_SNDBUF, options.send_buffer);
    if (error == 0 && options.receive_buffer != 0)
        error = set_buffer(socket, SO_RCVBUF, options.receive_buffer);
    if (error == 0)
        error = set_ip_options(socket, options.ip);
    return error;
}

// 0 for "": any.
int index_of(std::string_view interface, unsigned& index) noexcept {
    index = 0;
    if (interface.empty())
        return 0;
    std::array<char, IF_NAMESIZE> name{};
    if (interface.size() >= name.size())
        return ENODEV;
    std::copy(interface.begin(), interface.end(), name.begin());
    index = ::if_nametoindex(name.data());
    return index != 0 ? 0 : ENODEV;
}

int change_membership(int socket, const net::endpoint& group, std::string_view interface, bool join) noexcept {
    unsigned index = 0;
    if (const int error = index_of(interface, index))
        return error;
    if (group.is_v4()) {
        sockaddr_in address{};
        std::memcpy(&address, group.native(), sizeof address);
        const ip_mreqn request{address.sin_addr, {}, static_cast<int>(index)};
        return set_option(socket, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, request);
    }
    sockaddr_in6 address{};
    std::memcpy(&address, group.native(), sizeof address);
    const ipv6_mreq request{address.sin6_addr, index != 0 ? index : address.sin6_scope_id};
    return set_option(socket, IPPROTO_IPV6, join ? IPV6_ADD_MEMBERSHIP : IPV6_DROP_MEMBERSHIP, request);
}

constexpr option_pair hop_limit{IP_TTL, IPV6_UNICAST_HOPS};
constexpr option_pair multicast_hop_limit{IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS};
constexpr option_pair multicast_looping{IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP};

// Of what `source` sends to `group`. The ports mean nothing.
int change_source_membership(int socket, const net::endpoint& group, const net::endpoint& source,
                             std::string_view interface, bool join) noexcept {
    unsigned index = 0;
    if (const int error = index_of(interface, index))
        return error;
    group_source_req request{};
    request.gsr_interface = index;
    std::memcpy(&request.gsr_group, group.native(), group.native_size());
    std::memcpy(&request.gsr_source, source.native(), source.native_size());
    if (group.is_v6() && index == 0)
        request.gsr_interface = reinterpret_cast<const sockaddr_in6&>(request.gsr_group).sin6_scope_id;
    return set_option(socket, group.is_v4() ? IPPROTO_IP : IPPROTO_IPV6,
                      join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP, request);
}

int set_interface(int socket, std::string_view interface) noexcept {
    unsigned index = 0;
    if (const int error = index_of(interface, index))
        return error;
    const auto number = static_cast<int>(index);
    if (is_v6(socket))
        if (const int error = set_option(socket, IPPROTO_IPV6, IPV6_MULTICAST_IF, number))
            return error;
    return set_option(socket, IPPROTO_IP, IP_MULTICAST_IF, ip_mreqn{{}, {}, number});
}

} // namespace

io::descriptor make_udp_socket(const net::endpoint& peer_or_self, const net::udp_options& options,
                               int& error) noexcept {
    const bool v6 = peer_or_self.is_v6();
    io::descriptor made = make_socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, IPPROTO_UDP, error);
    if (made && (error = set_udp_options(made.get(), v6, options)) != 0)
        made = {};
    return made;
}

int connect_udp_socket(int socket, const net::endpoint& remote) noexcept {
    return ::connect(socket, static_cast<const sockaddr*>(remote.native()),
                     static_cast<socklen_t>(remote.native_size())) == 0
               ? 0
               : errno;
}

} // namespace detail

namespace net {
namespace {

using detail::error_code_of;

// The throwing form of a setter, from the other one.
template <class Value>
void set(udp_socket& socket, void (udp_socket::*setter)(Value, std::error_code&) noexcept, Value value,
         const char* operation) {
    std::error_code error;
    (socket.*setter)(value, error);
    if (error)
        detail::throw_on_socket(error, operation, socket.native_handle());
}

} // namespace

void udp_socket::connect(const endpoint& remote) {
    std::error_code error;
    connect(remote, error);
    if (error)
        throw std::system_error(error, "connect UDP socket to " + remote.to_string());
}

void udp_socket::connect(const endpoint& remote, std::error_code& error) noexcept {
    error = error_code_of(detail::connect_udp_socket(native_handle(), remote));
}

void udp_socket::disconnect() {
    std::error_code error;
    disconnect(error);
    if (error)
        detail::throw_on_socket(error, "net::udp_socket::disconnect", native_handle());
}

void udp_socket::disconnect(std::error_code& error) noexcept {
    const sockaddr nobody{AF_UNSPEC, {}};
    error = error_code_of(::connect(native_handle(), &nobody, sizeof nobody) == 0 ? 0 : errno);
}

void udp_socket::join_multicast(const endpoint& group, std::string_view interface) {
    std::error_code error;
    join_multicast(group, interface, error);
    if (error)
        throw std::system_error(error,
                                "join multicast group " + group.address() + detail::place_of(native_handle(), error));
}

void udp_socket::join_multicast(const endpoint& group, std::string_view interface, std::error_code& error) noexcept {
    error = error_code_of(detail::change_membership(native_handle(), group, interface, true));
}

void udp_socket::leave_multicast(const endpoint& group, std::string_view interface) {
    std::error_code error;
    leave_multicast(group, interface, error);
    if (error)
        throw std::system_error(error,
                                "leave multicast group " + group.address() + detail::place_of(native_handle(), error));
}

void udp_socket::leave_multicast(const endpoint& group, std::string_view interface, std::error_code& error) noexcept {
    error = error_code_of(detail::change_membership(native_handle(), group, interface, false));
}

void udp_socket::join_multicast_source(const endpoint& group, const endpoint& source, std::string_view interface) {
    std::error_code error;
    join_multicast_source(group, source, interface, error);
    if (error)
        throw std::system_error(error, "join multicast group " + group.address() + " of " + source.address() +
                                           detail::place_of(native_handle(), error));
}

void udp_socket::join_multicast_source(const endpoint& group, const endpoint& source, std::string_view interface,
                                       std::error_code& error) noexcept {
    error = error_code_of(detail::change_source_membership(native_handle(), group, source, interface, true));
}

void udp_socket::leave_multicast_source(const endpoint& group, const endpoint& source, std::string_view interface) {
    std::error_code error;
    leave_multicast_source(group, source, interface, error);
    if (error)
        throw std::system_error(error, "leave multicast group " + group.address() + " of " + source.address() +
                                           detail::place_of(native_handle(), error));
}

void udp_socket::leave_multicast_source(const endpoint& group, const endpoint& source, std::string_view interface,
                                        std::error_code& error) noexcept {
    error = error_code_of(detail::change_source_membership(native_handle(), group, source, interface, false));
}

void udp_socket::set_multicast_interface(std::string_view interface) {
    std::error_code error;
    set_multicast_interface(interface, error);
    if (error)
        throw std::system_error(error, "send multicast through '" + std::string{interface} + "'" +
                                           detail::place_of(native_handle(), error));
}

void udp_socket::set_multicast_interface(std::string_view interface, std::error_code& error) noexcept {
    error = error_code_of(detail::set_interface(native_handle(), interface));
}

void udp_socket::set_multicast_loop(bool on) {
    set(*this, &udp_socket::set_multicast_loop, on, "net::udp_socket::set_multicast_loop");
}

void udp_socket::set_multicast_loop(bool on, std::error_code& error) noexcept {
    error = error_code_of(detail::set_pair(native_handle(), detail::multicast_looping, int{on}));
}

bool udp_socket::multicast_loop() const {
    return detail::pair_of(native_handle(), detail::multicast_looping, "net::udp_socket::multicast_loop") != 0;
}

void udp_socket::set_multicast_hops(int most) {
    set(*this, &udp_socket::set_multicast_hops, most, "net::udp_socket::set_multicast_hops");
}

void udp_socket::set_multicast_hops(int most, std::error_code& error) noexcept {
    error = error_code_of(detail::set_pair(native_handle(), detail::multicast_hop_limit, most));
}

int udp_socket::multicast_hops() const {
    return detail::pair_of(native_handle(), detail::multicast_hop_limit, "net::udp_socket::multicast_hops");
}

void udp_socket::set_hops(int most) {
    set(*this, &udp_socket::set_hops, most, "net::udp_socket::set_hops");
}

void udp_socket::set_hops(int most, std::error_code& error) noexcept {
    error = error_code_of(detail::set_pair(native_handle(), detail::hop_limit, most));
}

int udp_socket::hops() const {
    return detail::pair_of(native_handle(), detail::hop_limit, "net::udp_socket::hops");
}

void udp_socket::set_traffic_class(int value) {
    set(*this, &udp_socket::set_traffic_class, value, "net::udp_socket::set_traffic_class");
}

void udp_socket::set_traffic_class(int value, std::error_code& error) noexcept {
    error = error_code_of(detail::set_pair(native_handle(), detail::traffic_class_option, value));
}

int udp_socket::traffic_class() const {
    return detail::pair_of(native_handle(), detail::traffic_class_option, "net::udp_socket::traffic_class");
}

void udp_socket::set_send_buffer(std::size_t bytes) {
    set(*this, &udp_socket::set_send_buffer, bytes, "net::udp_socket::set_send_buffer");
}

void udp_socket::set_send_buffer(std::size_t bytes, std::error_code& error) noexcept {
    error = error_code_of(detail::set_buffer(native_handle(), SO_SNDBUF, bytes));
}

std::size_t udp_socket::send_buffer() const {
    return detail::buffer_of(native_handle(), SO_SNDBUF, "net::udp_socket::send_buffer");
}

void udp_socket::set_receive_buffer(std::size_t bytes) {
    set(*this, &udp_socket::set_receive_buffer, bytes, "net::udp_socket::set_receive_buffer");
}

void udp_socket::set_receive_buffer(std::size_t bytes, std::error_code& error) noexcept {
    error = error_code_of(detail::set_buffer(native_handle(), SO_RCVBUF, bytes));
}

std::size_t udp_socket::receive_buffer() const {
    return detail::buffer_of(native_handle(), SO_RCVBUF, "net::udp_socket::receive_buffer");
}

void udp_socket::set_broadcast(bool on) {
    set(*this, &udp_socket::set_broadcast, on, "net::udp_socket::set_broadcast");
}

void udp_socket::set_broadcast(bool on, std::error_code& error) noexcept {
    error = error_code_of(detail::set_option(native_handle(), SOL_SOCKET, SO_BROADCAST, int{on}));
}

bool udp_socket::broadcast() const {
    return detail::option_of<int>(native_handle(), SOL_SOCKET, SO_BROADCAST, "net::udp_socket::broadcast") != 0;
}

} // namespace net
} // namespace coir
