#pragma once

#include <coir/ip_options.hpp>

#include <cstddef>

namespace coir::detail {

/// Gives a new socket its options, before it is bound or connected. Returns 0 or an errno.
[[nodiscard]] int set_ip_options(int socket, const net::ip_options& options) noexcept;

/// An option that IPv4 and IPv6 have under different names. A socket for IPv6 that also sends to IPv4 addresses needs both;
/// whether it does, the kernel knows.
struct option_pair {
    int v4;
    int v6;
};
extern const option_pair traffic_class_option;

[[nodiscard]] bool is_v6(int socket) noexcept;
/// Returns 0 or an errno.
[[nodiscard]] int set_pair(int socket, const option_pair& names, int value) noexcept;
/// Throws std::system_error as throw_on_socket().
[[nodiscard]] int pair_of(int socket, const option_pair& names, const char* operation);

/// `name` is SO_SNDBUF or SO_RCVBUF. Returns 0 or an errno.
[[nodiscard]] int set_buffer(int socket, int name, std::size_t bytes) noexcept;
/// What the kernel reserves. Throws std::system_error as throw_on_socket().
[[nodiscard]] std::size_t buffer_of(int socket, int name, const char* operation);

} // namespace coir::detail
