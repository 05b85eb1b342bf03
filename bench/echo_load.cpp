#include "echo_load.hpp"

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using request = std::array<std::uint64_t, echo_load::request_size / sizeof(std::uint64_t)>;

request request_of(std::uint64_t number) {
    request result;
    result.fill(number);
    return result;
}

[[noreturn]] void fail(const char* operation) {
    throw std::system_error{errno, std::generic_category(), operation};
}

int connect_to(std::uint16_t port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (socket < 0 || ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        fail("connect");
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return socket;
}

} // namespace

echo_load::echo_load(std::uint16_t port, std::size_t connections)
    : connections_(connections), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (connection& each : connections_) {
        each.socket = connect_to(port);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &each;
        if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, each.socket, &event) != 0)
            fail("epoll_ctl");
    }
}

echo_load::~echo_load() {
    for (const connection& each : connections_)
        ::close(each.socket);
    ::close(epoll_);
}

void echo_load::send(connection& to) {
    to.number = ++next_number_;
    const request bytes = request_of(to.number);
    if (::send(to.socket, &bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes)
        fail("send");
}

void echo_load::receive(connection& from) {
    request bytes;
    // It is readable, and over loopback what was sent in one piece comes in one piece.
    const ssize_t count = ::recv(from.socket, &bytes, sizeof bytes, MSG_WAITALL);
    if (count != sizeof bytes || bytes != request_of(from.number))
        throw std::runtime_error{"the server's answer is not an echo"};
}

std::uint64_t echo_load::run(std::chrono::nanoseconds duration) {
    using clock = std::chrono::steady_clock;
    const clock::time_point end = clock::now() + duration;
    for (connection& each : connections_)
        send(each);
    std::uint64_t answers = 0;
    bool sending = true;
    for (std::size_t under_way = connections_.size(); under_way > 0;) {
        std::array<epoll_event, 1024> events;
        const int ready = ::epoll_wait(epoll_, events.data(), events.size(), 5000);
        if (ready <= 0)
            throw std::runtime_error{"the server does not answer"};
        for (int i = 0; i < ready; ++i) {
            auto& each = *static_cast<connection*>(events[static_cast<std::size_t>(i)].data.ptr);
            receive(each);
            ++answers;
            if (sending)
                send(each);
            else
                --under_way;
        }
        sending = sending && clock::now() < end;
    }
    return answers;
}
