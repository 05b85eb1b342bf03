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

/// Options of serve().
struct serve_options {
    /// With this many connections, serve() accepts no more until one ends: others wait in the listener's backlog. Set it if handlers
    /// need descriptors of their own (connections to other servers, files, programs): without a limit serve() takes all there are.
    std::size_t max_connections = std::numeric_limits<std::size_t>::max();
    /// When this event is set, serve() shuts down gracefully: see there. It must live as long as serve() runs.
    event* stop = nullptr;
    /// How long handlers may continue after that, before they are cancelled.
    std::chrono::nanoseconds drain = std::chrono::seconds{10};
    /// Called with each exception that leaves a handler (not coir::cancelled, nor the std::errc::operation_canceled of one that
    /// has been cancelled), in the handler's fiber, with the peer's endpoint; and when descriptors or memory run out, once per
    /// shortage, with the listener's. None: a line on stderr. May suspend. An exception from it ends serve().
    std::function<void(std::exception_ptr failure, std::string_view endpoint)> on_error = {};
    /// The stack size of the handlers' fibers: see fiber_options.
    std::size_t stack_size = 0;
};

} // namespace coir::net
