#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/detail/bound_path.hpp>
#include <coir/export.hpp>
#include <coir/unix_bind_options.hpp>
#include <coir/unix_endpoint.hpp>
#include <coir/unix_seqpacket.hpp>

#include <system_error>
#include <utility>

namespace coir::net {

/// As unix_listener, whose comments hold here, too, for connections with messages.
///
///     coir::net::unix_seqpacket_listener server{coir::net::unix_endpoint::abstract("service")};
///     coir::net::unix_seqpacket peer = server.accept();
class COIR_EXPORT unix_seqpacket_listener {
public:
    /// Not listening.
    unix_seqpacket_listener() noexcept = default;

    /// Listens.
    explicit unix_seqpacket_listener(const unix_endpoint& local, const unix_bind_options& options = {},
                                     int backlog = 1024);
    unix_seqpacket_listener(const unix_endpoint& local, const unix_bind_options& options, int backlog,
                            std::error_code& error) noexcept;

    /// Adopts a socket that listens already.
    explicit unix_seqpacket_listener(io::descriptor socket);

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(socket_); }
    [[nodiscard]] int native_handle() const noexcept { return socket_.get(); }
    /// Throws std::system_error.
    [[nodiscard]] unix_endpoint local_endpoint() const;

    /// The next connection. May suspend.
    unix_seqpacket accept(deadline until = {});
    unix_seqpacket accept(std::error_code& error, deadline until = {}) noexcept;

    /// Releases the socket without closing it: see stream_socket::release(). Its path stays: this object no longer removes it.
    [[nodiscard]] io::descriptor release() noexcept {
        path_.keep();
        return std::move(socket_);
    }

    /// Removes the path and stops listening.
    void close();
    void close(std::error_code& error) noexcept;

private:
    io::descriptor socket_;
    detail::bound_path path_; // goes first: while the path is there, somebody listens
};

} // namespace coir::net
