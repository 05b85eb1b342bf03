#pragma once

#include <coir/peer_credentials.hpp>

#include <cstddef>
#include <optional>

namespace coir::net {

/// A message that a Unix domain socket has received.
struct received_message {
    std::size_t size = 0;          ///< bytes in the buffer
    bool truncated = false;        ///< the message was longer than the buffer: the rest is lost
    std::size_t descriptors = 0;   ///< number received with it: the first elements of the list given
    bool descriptors_lost = false; ///< not all could be received, for lack of room in the list or of free descriptor
                                   ///< numbers in the process: **all** that arrived have been closed
    /// The sender, as certified by the kernel; process 0 if the message was sent before credentials were requested. None: see
    /// unix_bind_options::credentials.
    std::optional<peer_credentials> sender = std::nullopt;
};

} // namespace coir::net
