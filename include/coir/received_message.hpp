#pragma once

#include <coir/peer_credentials.hpp>

#include <cstddef>
#include <optional>

namespace coir::net {

/// What a Unix domain socket has received in one piece.
struct received_message {
    std::size_t size = 0;          ///< bytes in the buffer
    bool truncated = false;        ///< it was a message longer than the buffer: the rest of it is lost
    std::size_t descriptors = 0;   ///< that have come with it: the first ones of those given for it
    bool descriptors_lost = false; ///< more had come than could be taken, for want of place in the list or of free
                                   ///< numbers in the process: **all** that came have been closed, none is left
    /// Who sent it, by the kernel's word; process 0, who sent it before anybody asked. None: see unix_bind_options::credentials.
    std::optional<peer_credentials> sender = std::nullopt;
};

} // namespace coir::net
