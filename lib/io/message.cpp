#include <coir/io.hpp>

#include "io/call.hpp"

#include <sys/socket.h>

namespace coir {
namespace detail {
namespace {

// One message. An empty one is a success, too, therefore the size is kept apart from perform()'s count.
template <direction Way, class Message> class message_call {
public:
    static constexpr direction way = Way;
    static constexpr bool takes = true;

    message_call(Message& message, int flags, std::size_t& size) noexcept
        : message_(message), flags_(flags), size_(size) {}

    static bool is_empty() noexcept { return false; }
    ssize_t attempt(descriptor_kind, int number) noexcept {
        ssize_t moved = -1;
        if constexpr (Way == direction::read)
            moved = ::recvmsg(number, &message_, flags_ | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        else
            moved = ::sendmsg(number, &message_, flags_ | MSG_DONTWAIT | MSG_NOSIGNAL);
        if (moved > 0)
            size_ = static_cast<std::size_t>(moved);
        // What perform() does at the end of a stream is right for an empty message, too.
        return moved == 0 && Way == direction::write ? 1 : moved;
    }
    static bool is_short(ssize_t) noexcept { return false; }
    static bool advance(ssize_t) noexcept { return true; }

private:
    Message& message_;
    int flags_;
    std::size_t& size_;
};

using receiving = message_call<direction::read, msghdr>;
using sending = message_call<direction::write, const msghdr>;

} // namespace
} // namespace detail

namespace io {

std::size_t recvmsg(int socket, ::msghdr& message, int flags, deadline until) {
    std::size_t size = 0;
    detail::transfer("io::recvmsg", socket, detail::receiving{message, flags, size}, until);
    return size;
}

std::size_t recvmsg(int socket, ::msghdr& message, int flags, std::error_code& error, deadline until) noexcept {
    std::size_t size = 0;
    detail::transfer(error, socket, detail::receiving{message, flags, size}, until);
    return size;
}

std::size_t sendmsg(int socket, const ::msghdr& message, int flags, deadline until) {
    std::size_t size = 0;
    detail::transfer("io::sendmsg", socket, detail::sending{message, flags, size}, until);
    return size;
}

std::size_t sendmsg(int socket, const ::msghdr& message, int flags, std::error_code& error, deadline until) noexcept {
    std::size_t size = 0;
    detail::transfer(error, socket, detail::sending{message, flags, size}, until);
    return size;
}

} // namespace io
} // namespace coir
