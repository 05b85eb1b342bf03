#pragma once

#include "client_stream.hpp"
#include "service.hpp"

#include <coir/endpoint.hpp>
#include <coir/event.hpp>
#include <coir/tcp_listener.hpp>
#include <coir/tcp_stream.hpp>

#include <cstddef>

namespace http_server {

/// The listening side: accepts, gives each connection its fiber, and winds down.
class server {
public:
    /// Listens. Throws std::system_error that says what is wrong with the address.
    explicit server(service& shared);

    [[nodiscard]] coir::net::endpoint local_endpoint() const { return listener_.local_endpoint(); }

    /// Accepts until stop(), then waits until the answers under way have been sent, for drain_timeout at the most.
    /// May suspend. Throws coir::cancelled.
    void run();

    /// Ends run(): no new connections, no further requests. A second call ends the answers under way as well. Does not
    /// suspend.
    void stop();

private:
    [[nodiscard]] client_stream secured(coir::net::tcp_stream stream) const;
    void attend(coir::net::tcp_stream stream);
    static void say_if_abandoned(std::size_t connections);

    service& shared_;
    coir::net::tcp_listener listener_;
    coir::event stop_;
};

} // namespace http_server
