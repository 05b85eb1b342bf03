#pragma once

#include <coir/endpoint.hpp>
#include <coir/tcp_options.hpp>

#include <optional>

namespace coir::net {

/// How a tcp_stream connects.
///
///     coir::net::tcp_stream peer{remote, {.local = coir::net::endpoint{"192.0.2.7", 0}}, 5s};
struct connect_options {
    /// The address, and the port unless it is 0, to connect from; of the family of the remote endpoint. None: the kernel
    /// chooses both. With port 0 it chooses the port when it connects, so that not every connection takes one of its own.
    std::optional<endpoint> local = std::nullopt;
    /// The request to connect is sent together with the first bytes that are written (TCP_FASTOPEN_CONNECT), if the peer has
    /// allowed it before. Then connecting succeeds at once, and the first write or read reports that it has failed.
    bool fast_open = false;
    tcp_options connection = {};
};

} // namespace coir::net
