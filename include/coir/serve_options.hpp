#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <limits>
#include <string_view>

namespace coir {
class event;
}

namespace coir::net {

/// How serve() serves.
struct serve_options {
    /// With so many connections serve() accepts no further one until one ends: the listener's backlog keeps them.
    std::size_t max_connections = std::numeric_limits<std::size_t>::max();
    /// When it is set, serve() winds down: see there. Must live as long as serve() runs.
    event* stop = nullptr;
    /// For how long handlers may go on after that, before they are cancelled.
    std::chrono::nanoseconds drain = std::chrono::seconds{10};
    /// Called with each exception that leaves a handler (not coir::cancelled), in the handler's fiber, with the peer's endpoint;
    /// and when there is a lack of descriptors or memory, once until it is over, with the listener's. None: one line on
    /// stderr. May suspend. What it throws ends serve().
    std::function<void(std::exception_ptr failure, std::string_view endpoint)> on_error = {};
    /// Of the handlers' fibers: see fiber_options.
    std::size_t stack_size = 0;
};

} // namespace coir::net
