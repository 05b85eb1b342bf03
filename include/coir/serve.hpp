#pragma once

#include <coir/export.hpp>
#include <coir/serve_options.hpp>
#include <coir/tcp_listener.hpp>
#include <coir/tcp_stream.hpp>
#include <coir/unix_listener.hpp>
#include <coir/unix_seqpacket.hpp>
#include <coir/unix_seqpacket_listener.hpp>
#include <coir/unix_stream.hpp>

#include <functional>

namespace coir::net {

/// Accepts connections, and calls `handler` for each in a fiber of its own, which is named after the peer's endpoint. Suspends
/// until it is told to end.
///
/// **Failures.** An exception that leaves the handler ends that connection, and is reported through serve_options::on_error;
/// the others go on. When descriptors or memory run out, connections stay in the backlog until some are free, without busy
/// waiting. Other errors of the listener are thrown, as std::system_error, after the handlers have been cancelled.
///
/// **The end.** When options.stop is set, when the listener is closed, or when the calling fiber is cancelled, the listener is
/// closed, so that clients are refused (unless other processes hold the same socket, as systemd does: then they own its
/// backlog). Handlers may continue for options.drain, and are then cancelled. When all have ended serve() returns, or throws
/// the coir::cancelled with which its fiber was cancelled. At the end of coir::run, when everything is cancelled, handlers are
/// cancelled at once. The listener is also closed when serve() throws.
///
/// Threads: only inside coir::run, everything on the calling thread. Several calls may share one handler, each with its own
/// listener. Also throws std::invalid_argument for max_connections = 0 or an empty handler, std::errc::bad_file_descriptor for a
/// listener that is empty or already closed, and what spawn() throws.
///
///     coir::event stopping;
///     coir::net::tcp_listener listener{"", 8080};
///     coir::net::serve(listener, [](coir::net::tcp_stream peer) { answer(peer); },
///                      {.max_connections = 1000, .stop = &stopping});
COIR_EXPORT void serve(tcp_listener& listener, const std::function<void(tcp_stream)>& handler,
                       const serve_options& options = {});
COIR_EXPORT void serve(unix_listener& listener, const std::function<void(unix_stream)>& handler,
                       const serve_options& options = {});
COIR_EXPORT void serve(unix_seqpacket_listener& listener, const std::function<void(unix_seqpacket)>& handler,
                       const serve_options& options = {});

} // namespace coir::net
