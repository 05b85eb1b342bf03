#pragma once

#include <coir/endpoint.hpp>
#include <coir/tcp_options.hpp>

#include <optional>

namespace coir::net {

/// How a tcp_stream connects.
///
///     coir::net::tcp_stream peer{remote, {.local = coir::net::endpoint{"192.0.2.7", 0}}, 5s};
struct connect_options {
    /// The address to connect from, and the port unless it is 0; of the same family as the remote endpoint. None: the kernel
    /// chooses both. With port 0 the kernel chooses the port only when it connects, so connections to different endpoints can
    /// share one.
    std::optional<endpoint> local = std::nullopt;
    /// Sends the connection request together with the first bytes written (TCP_FASTOPEN_CONNECT), if the peer has allowed it
    /// before. Connecting then succeeds at once, and a failure is reported by the first write or read.
    bool fast_open = false;
    tcp_options connection = {};
};

} // namespace coir::net
