#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/received_message.hpp>
#include <coir/unix_endpoint.hpp>

#include "io/operation.hpp"

#include <cstddef>
#include <span>

/// \file
/// Data and descriptors through Unix domain sockets.
namespace coir::detail {

class loop;

/// Sends `data` and with its first byte `descriptors`. `to` null: to the peer. Of a stream all of it, else one message:
/// `bytes` of the outcome is then not its size but 1. May suspend.
[[nodiscard]] outcome send_message(loop& here, int socket, bool is_stream, std::span<const std::byte> data,
                                   std::span<const int> descriptors, const net::unix_endpoint* to,
                                   deadline until) noexcept;

/// Receives what is there, or one message, and adopts the descriptors that come with it. `from`: of a datagram; null for
/// a connection, which has an end. May suspend.
/// Returns an errno, was_cancelled, or 0.
[[nodiscard]] int receive_message(loop& here, int socket, std::span<std::byte> buffer,
                                  std::span<io::descriptor> descriptors, net::received_message& received,
                                  net::unix_endpoint* from, deadline until) noexcept;

} // namespace coir::detail
