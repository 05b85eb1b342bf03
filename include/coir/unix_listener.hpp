#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/detail/bound_path.hpp>
#include <coir/export.hpp>
#include <coir/unix_bind_options.hpp>
#include <coir/unix_endpoint.hpp>
#include <coir/unix_stream.hpp>

#include <system_error>
#include <utility>

namespace coir::net {

/// Waits for connections at a path or an abstract name.
///
/// The path is removed by the listener that created it, in close() and in the destructor, if it still is the file that this
/// listener created. Not by one that adopted a socket (see below), and not in a child of fork(). A process that is killed
/// leaves it behind: see unix_bind_options::replace_stale.
///
///     coir::net::unix_listener listener{coir::net::unix_endpoint{"/run/service.sock"}, {.mode = 0700}};
///     coir::net::serve(listener, [](coir::net::unix_stream peer) { answer(peer); });
class COIR_EXPORT unix_listener {
public:
    /// Not listening.
    unix_listener() noexcept = default;

    /// Listens. `backlog` is how many connections wait for accept() before connecting has to wait. Never suspends. Throws
    /// std::system_error naming the endpoint: std::errc::address_in_use: the path exists; permission_denied, …
    explicit unix_listener(const unix_endpoint& local, const unix_bind_options& options = {}, int backlog = 1024);
    unix_listener(const unix_endpoint& local, const unix_bind_options& options, int backlog,
                  std::error_code& error) noexcept;

    /// Adopts a socket that listens already: see activated_sockets(). Throws std::system_error with std::errc::invalid_argument
    /// if it is another one, or does not listen; then it is closed.
    explicit unix_listener(io::descriptor socket);

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(socket_); }
    [[nodiscard]] int native_handle() const noexcept { return socket_.get(); }
    /// Throws std::system_error.
    [[nodiscard]] unix_endpoint local_endpoint() const;

    /// The next connection. May suspend; several fibers may accept on one listener. Errors, also when out of descriptors: as
    /// tcp_listener::accept(). Throws coir::cancelled.
    unix_stream accept(deadline until = {});
    /// On an error the returned stream is not connected.
    unix_stream accept(std::error_code& error, deadline until = {}) noexcept;

    /// Releases the socket without closing it: see stream_socket::release(). Its path stays: this object no longer removes it.
    [[nodiscard]] io::descriptor release() noexcept {
        path_.keep();
        return std::move(socket_);
    }

    /// Removes the path and stops listening; fibers in accept() get std::errc::bad_file_descriptor. Throws
    /// std::system_error.
    void close();
    void close(std::error_code& error) noexcept;

private:
    io::descriptor socket_;
    detail::bound_path path_; // goes first: while the path is there, somebody listens
};

} // namespace coir::net
