#pragma once

#include <coir/tcp_options.hpp>

namespace coir::detail {

/// Gives a new socket its options. Returns 0 or an errno.
[[nodiscard]] int set_tcp_options(int socket, const net::tcp_options& options) noexcept;

} // namespace coir::detail
