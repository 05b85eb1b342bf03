#include <coir/tcp_listener.hpp>

#include "io/errors.hpp"
#include "io/operation.hpp"
#include "io/ownership.hpp"
#include "net/socket.hpp"
#include "sched/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>

namespace coir {
namespace detail {
namespace {

// Once per failed accept: a loop of them costs ten wake-ups a second.
constexpr std::chrono::milliseconds longest_pause{100};

// The connection died while it was queued, or the network hands on an older error of its own: see accept(2).
bool is_transient(int error) noexcept {
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
        return true;
    default:
        return false;
    }
}

bool is_lack_of_resources(int error) noexcept {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

class accepting final : public operation {
public:
    accepting() noexcept : operation(direction::read) {}

    bool attempt(int number) noexcept override {
        do
            accepted = ::accept4(number, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        while (accepted == -1 && is_transient(errno));
        return accepted != -1;
    }

    int accepted = -1;
};

// Errno or was_cancelled; 0 and the connection. It has TCP_NODELAY from the listener.
int accept_one(loop& here, int listener, deadline until, io::descriptor& accepted) noexcept {
    accepting work;
    int error = perform(here, listener, work, until).error;
    if (error == 0)
        accepted = ownership::adopt_fresh_socket(work.accepted, error);
    return error;
}

int accept(loop& here, int listener, deadline until, io::descriptor& accepted) noexcept {
    const std::uint32_t generation = ownership::generation(listener);
    const int error = accept_one(here, listener, until, accepted);
    if (!is_lack_of_resources(error))
        return error;
    // The connection stays queued, so accept() would fail again at once: whoever calls it in a loop would spin (hazard
    // F4). Nothing tells when a descriptor becomes free.
    wait_record pause{wait_kind::sleep, nullptr};
    if (here.wait(pause, std::min(until, deadline{longest_pause})) == wake_reason::cancelled)
        return was_cancelled;
    if (ownership::generation(listener) != generation)
        return EBADF;
    const int again = accept_one(here, listener, deadline::passed(), accepted);
    return again == ETIMEDOUT ? error : again;
}

io::descriptor listen(const net::endpoint& local, const net::listen_options& options, int& error) noexcept {
    io::descriptor made = make_tcp_socket(local, error);
    if (!made)
        return made;
    const int on = 1;
    const int off = 0;
    ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (local.is_v6()) // "::" takes IPv4 too, whatever the system's default; of others it is ignored
        ::setsockopt(made.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if ((options.reuse_port && ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == -1) ||
        ::bind(made.get(), static_cast<const sockaddr*>(local.native()), static_cast<socklen_t>(local.native_size())) ==
            -1 ||
        ::listen(made.get(), options.backlog) == -1) {
        error = errno;
        return {};
    }
    return made;
}

// " on 127.0.0.1:80", for messages; nothing if it is closed.
std::string where(const io::descriptor& listener) {
    try {
        return " on " + local_endpoint_of(listener).to_string();
    } catch (const std::system_error&) {
        return {};
    }
}

} // namespace
} // namespace detail

namespace net {

tcp_listener::tcp_listener(const endpoint& local, const listen_options& options) {
    static_cast<void>(detail::loop::of_running_fiber("net::tcp_listener"));
    int error = 0;
    socket_ = detail::listen(local, options, error);
    // A machine without IPv6: every address is every IPv4 address.
    if (error == EAFNOSUPPORT && local == endpoint{"::", local.port()})
        socket_ = detail::listen(endpoint{"0.0.0.0", local.port()}, options, error);
    if (error != 0)
        throw std::system_error(detail::error_code_of(error), "listen on " + local.to_string());
}

endpoint tcp_listener::local_endpoint() const {
    return detail::local_endpoint_of(socket_);
}

tcp_stream tcp_listener::accept(deadline until) {
    detail::loop& here = detail::loop::of_running_fiber("net::tcp_listener::accept");
    io::descriptor accepted;
    const int error = detail::accept(here, native_handle(), until, accepted);
    if (error == detail::was_cancelled)
        detail::throw_cancelled(here.running(), "net::tcp_listener::accept");
    if (error != 0)
        throw std::system_error(detail::error_code_of(error), "accept" + detail::where(socket_));
    return tcp_stream{std::move(accepted)};
}

tcp_stream tcp_listener::accept(std::error_code& error, deadline until) noexcept {
    detail::loop* here = detail::loop::current();
    io::descriptor accepted;
    error = detail::error_code_of(here ? detail::accept(*here, native_handle(), until, accepted) : EPERM);
    return tcp_stream{std::move(accepted)};
}

} // namespace net
} // namespace coir
