#include <coir/udp_socket.hpp>

#include "io/ev_driver.hpp"
#include "io/perform.hpp"
#include "net/endings.hpp"
#include "net/endpoint_storage.hpp"
#include "net/socket.hpp"
#include "net/udp_options.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>

namespace coir {
namespace detail {
namespace {

// Datagrams in one system call. Their headers are on the fiber's stack: 5 KiB.
constexpr std::size_t window = 64;

class sending_datagram {
public:
    static constexpr direction way = direction::write;
    static constexpr bool takes = true;

    sending_datagram(std::span<const std::byte> data, const net::endpoint* to) noexcept : data_(data), to_(to) {}

    static bool is_empty() noexcept { return false; }
    // One is the datagram: an empty one has been sent, too.
    [[nodiscard]] ssize_t attempt(descriptor_kind, int number) const noexcept {
        const auto* address = to_ ? static_cast<const sockaddr*>(to_->native()) : nullptr;
        const auto size = to_ ? static_cast<socklen_t>(to_->native_size()) : socklen_t{0};
        return ::sendto(number, data_.data(), data_.size(), MSG_DONTWAIT | MSG_NOSIGNAL, address, size) == -1 ? -1 : 1;
    }
    static bool is_short(ssize_t) noexcept { return false; }
    static bool advance(ssize_t) noexcept { return true; }

private:
    std::span<const std::byte> data_;
    const net::endpoint* to_;
};

class receiving_datagram {
public:
    static constexpr direction way = direction::read;
    static constexpr bool takes = true;

    explicit receiving_datagram(std::span<std::byte> buffer) noexcept : buffer_(buffer) {}

    static bool is_empty() noexcept { return false; }
    ssize_t attempt(descriptor_kind, int number) noexcept {
        iovec piece{buffer_.data(), buffer_.size()};
        msghdr header{};
        header.msg_name = endpoint_storage::address(result.from);
        header.msg_namelen = endpoint_storage::capacity;
        header.msg_iov = &piece;
        header.msg_iovlen = 1;
        const ssize_t size = ::recvmsg(number, &header, MSG_DONTWAIT);
        if (size == -1)
            return -1;
        result.size = static_cast<std::size_t>(size);
        result.truncated = (header.msg_flags & MSG_TRUNC) != 0;
        endpoint_storage::set_size(result.from, header.msg_namelen);
        return 1;
    }
    static bool is_short(ssize_t) noexcept { return false; }
    static bool advance(ssize_t) noexcept { return true; }

    net::udp_socket::received result;

private:
    std::span<std::byte> buffer_;
};

class sending_datagrams {
public:
    static constexpr direction way = direction::write;
    static constexpr bool takes = true;

    explicit sending_datagrams(std::span<const net::udp_socket::outgoing> datagrams) noexcept : rest_(datagrams) {}

    [[nodiscard]] bool is_empty() const noexcept { return rest_.empty(); }
    ssize_t attempt(descriptor_kind, int number) noexcept {
        std::array<mmsghdr, window> headers;
        std::array<iovec, window> pieces;
        const std::size_t count = std::min(rest_.size(), window);
        for (std::size_t i = 0; i < count; ++i) {
            const net::udp_socket::outgoing& each = rest_[i];
            pieces[i] = {const_cast<std::byte*>(each.data.data()), each.data.size()};
            msghdr& header = headers[i].msg_hdr;
            header.msg_name = each.to ? const_cast<void*>(each.to->native()) : nullptr;
            header.msg_namelen = each.to ? static_cast<socklen_t>(each.to->native_size()) : 0;
            header.msg_iov = &pieces[i];
            header.msg_iovlen = 1;
            header.msg_control = nullptr;
            header.msg_controllen = 0;
            header.msg_flags = 0;
        }
        return ::sendmmsg(number, headers.data(), static_cast<unsigned>(count), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    // Fewer than were asked for may also mean that the next one fails.
    static bool is_short(ssize_t) noexcept { return false; }
    bool advance(ssize_t sent) noexcept {
        rest_ = rest_.subspan(static_cast<std::size_t>(sent));
        return rest_.empty();
    }

private:
    std::span<const net::udp_socket::outgoing> rest_;
};

class receiving_datagrams {
public:
    static constexpr direction way = direction::read;
    static constexpr bool takes = true;

    explicit receiving_datagrams(std::span<net::udp_socket::incoming> datagrams) noexcept
        : datagrams_(datagrams.first(std::min(datagrams.size(), window))) {}

    [[nodiscard]] bool is_empty() const noexcept { return datagrams_.empty(); }
    ssize_t attempt(descriptor_kind, int number) noexcept {
        std::array<mmsghdr, window> headers;
        std::array<iovec, window> pieces;
        for (std::size_t i = 0; i < datagrams_.size(); ++i) {
            net::udp_socket::incoming& each = datagrams_[i];
            pieces[i] = {each.buffer.data(), each.buffer.size()};
            msghdr& header = headers[i].msg_hdr;
            header.msg_name = endpoint_storage::address(each.from);
            header.msg_namelen = endpoint_storage::capacity;
            header.msg_iov = &pieces[i];
            header.msg_iovlen = 1;
            header.msg_control = nullptr;
            header.msg_controllen = 0;
            header.msg_flags = 0;
        }
        const int count =
            ::recvmmsg(number, headers.data(), static_cast<unsigned>(datagrams_.size()), MSG_DONTWAIT, nullptr);
        for (int i = 0; i < count; ++i) {
            const mmsghdr& header = headers[static_cast<std::size_t>(i)];
            net::udp_socket::incoming& each = datagrams_[static_cast<std::size_t>(i)];
            each.size = header.msg_len;
            each.truncated = (header.msg_hdr.msg_flags & MSG_TRUNC) != 0;
            endpoint_storage::set_size(each.from, header.msg_hdr.msg_namelen);
        }
        return count;
    }
    [[nodiscard]] bool took_all(std::size_t count) const noexcept { return count < datagrams_.size(); }
    static bool is_short(ssize_t) noexcept { return false; }
    static bool advance(ssize_t) noexcept { return true; }

private:
    std::span<net::udp_socket::incoming> datagrams_;
};

int receive(loop& here, int number, receiving_datagrams& work, deadline until, std::size_t& count) noexcept {
    const outcome done = perform(here, number, work, until);
    count = done.bytes;
    // There were no more, so the next call saves itself the attempt that would tell. (The number may have been closed while
    // others had their turn: then this is about another descriptor, which it costs a look at the event, nothing else.)
    if (count != 0 && work.took_all(count))
        if (descriptor_slot* slot = descriptors_of(here).find(number))
            slot->drained = slot->is_owned();
    return done.error;
}

// Errno or 0.
int make_bound(const net::endpoint& local, const net::udp_options& options, io::descriptor& socket) noexcept {
    int error = 0;
    io::descriptor made = make_udp_socket(local, options, error);
    // A machine without IPv6: every address is every IPv4 address.
    std::error_code unused;
    if (error == EAFNOSUPPORT && !options.v6_only && local == net::endpoint{"::", local.port(), unused})
        return make_bound(net::endpoint{"0.0.0.0", local.port(), unused}, options, socket);
    if (error == 0 && ::bind(made.get(), static_cast<const sockaddr*>(local.native()),
                             static_cast<socklen_t>(local.native_size())) == -1)
        error = errno;
    if (error == 0)
        socket = std::move(made);
    return error;
}

int make_connected(const net::endpoint& remote, const net::udp_options& options, io::descriptor& socket) noexcept {
    int error = 0;
    io::descriptor made = make_udp_socket(remote, options, error);
    if (error == 0)
        error = connect_udp_socket(made.get(), remote);
    if (error == 0)
        socket = std::move(made);
    return error;
}

} // namespace
} // namespace detail

namespace net {

using detail::call_or_tell;
using detail::call_or_throw;
using detail::loop;
using detail::perform;
using detail::placed;

udp_socket::udp_socket(const endpoint& local, const udp_options& options) {
    call_or_throw(
        "net::udp_socket", [&](loop&) { return detail::make_bound(local, options, socket_); },
        [&] { return "bind UDP socket to " + local.to_string(); });
}

udp_socket::udp_socket(const endpoint& local, const udp_options& options, std::error_code& error) noexcept {
    call_or_tell(error, [&](loop&) noexcept { return detail::make_bound(local, options, socket_); });
}

udp_socket udp_socket::connected_to(const endpoint& remote, const udp_options& options) {
    udp_socket made;
    call_or_throw(
        "net::udp_socket::connected_to", [&](loop&) { return detail::make_connected(remote, options, made.socket_); },
        [&] { return "connect UDP socket to " + remote.to_string(); });
    return made;
}

udp_socket udp_socket::connected_to(const endpoint& remote, const udp_options& options,
                                    std::error_code& error) noexcept {
    udp_socket made;
    call_or_tell(error, [&](loop&) noexcept { return detail::make_connected(remote, options, made.socket_); });
    return made;
}

endpoint udp_socket::local_endpoint() const {
    return detail::local_endpoint_of(socket_);
}

endpoint udp_socket::remote_endpoint() const {
    return detail::remote_endpoint_of(socket_);
}

void udp_socket::send_to(std::span<const std::byte> data, const endpoint& to, deadline until) {
    detail::sending_datagram work{data, &to};
    call_or_throw(
        "net::udp_socket::send_to", [&](loop& here) { return perform(here, native_handle(), work, until).error; },
        [&] { return "send to " + detail::text_of(to); });
}

void udp_socket::send_to(std::span<const std::byte> data, const endpoint& to, std::error_code& error,
                         deadline until) noexcept {
    detail::sending_datagram work{data, &to};
    call_or_tell(error, [&](loop& here) noexcept { return perform(here, native_handle(), work, until).error; });
}

void udp_socket::send(std::span<const std::byte> data, deadline until) {
    detail::sending_datagram work{data, nullptr};
    call_or_throw(
        "net::udp_socket::send", [&](loop& here) { return perform(here, native_handle(), work, until).error; },
        [&] { return "send" + placed(" to ", [&] { return remote_endpoint(); }); });
}

void udp_socket::send(std::span<const std::byte> data, std::error_code& error, deadline until) noexcept {
    detail::sending_datagram work{data, nullptr};
    call_or_tell(error, [&](loop& here) noexcept { return perform(here, native_handle(), work, until).error; });
}

udp_socket::received udp_socket::receive_from(std::span<std::byte> buffer, deadline until) {
    detail::receiving_datagram work{buffer};
    call_or_throw(
        "net::udp_socket::receive_from", [&](loop& here) { return perform(here, native_handle(), work, until).error; },
        [&] {
            return "receive" + placed(" from ", [&] { return remote_endpoint(); }) +
                   placed(" on ", [&] { return local_endpoint(); });
        });
    return work.result;
}

udp_socket::received udp_socket::receive_from(std::span<std::byte> buffer, std::error_code& error,
                                              deadline until) noexcept {
    detail::receiving_datagram work{buffer};
    call_or_tell(error, [&](loop& here) noexcept { return perform(here, native_handle(), work, until).error; });
    return work.result;
}

std::size_t udp_socket::send_many(std::span<const outgoing> datagrams, deadline until) {
    detail::sending_datagrams work{datagrams};
    std::size_t sent = 0;
    call_or_throw(
        "net::udp_socket::send_many",
        [&](loop& here) {
            const detail::outcome done = perform(here, native_handle(), work, until);
            sent = done.bytes;
            return sent == 0 ? done.error : 0;
        },
        [&] {
            const endpoint* to = datagrams.front().to;
            return "send" + placed(" to ", [&] { return to ? *to : remote_endpoint(); });
        });
    return sent;
}

std::size_t udp_socket::send_many(std::span<const outgoing> datagrams, std::error_code& error,
                                  deadline until) noexcept {
    detail::sending_datagrams work{datagrams};
    std::size_t sent = 0;
    call_or_tell(error, [&](loop& here) noexcept {
        const detail::outcome done = perform(here, native_handle(), work, until);
        sent = done.bytes;
        return done.error;
    });
    return sent;
}

std::size_t udp_socket::receive_many(std::span<incoming> datagrams, deadline until) {
    detail::receiving_datagrams work{datagrams};
    std::size_t count = 0;
    call_or_throw(
        "net::udp_socket::receive_many",
        [&](loop& here) { return detail::receive(here, native_handle(), work, until, count); },
        [&] {
            return "receive" + placed(" from ", [&] { return remote_endpoint(); }) +
                   placed(" on ", [&] { return local_endpoint(); });
        });
    return count;
}

std::size_t udp_socket::receive_many(std::span<incoming> datagrams, std::error_code& error, deadline until) noexcept {
    detail::receiving_datagrams work{datagrams};
    std::size_t count = 0;
    call_or_tell(error,
                 [&](loop& here) noexcept { return detail::receive(here, native_handle(), work, until, count); });
    return count;
}

} // namespace net
} // namespace coir
