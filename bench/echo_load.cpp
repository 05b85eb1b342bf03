#include "echo_load.hpp"

#include "loopback.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

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

} // namespace

echo_load::echo_load(std::uint16_t port, std::size_t connections)
    : connections_(connections), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (connection& each : connections_) {
        each.socket = connect_to_loopback(port);
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

void echo_load::send(connection& to, clock::time_point now) {
    to.number = ++next_number_;
    to.sent = now;
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

echo_load::result echo_load::run(std::chrono::nanoseconds duration) {
    latencies_.clear();
    clock::time_point now = clock::now();
    const clock::time_point end = now + duration;
    for (connection& each : connections_)
        send(each, now = clock::now());
    for (std::size_t under_way = connections_.size(); under_way > 0;) {
        std::array<epoll_event, 1024> events;
        const int ready = ::epoll_wait(epoll_, events.data(), events.size(), 5000);
        if (ready <= 0)
            throw std::runtime_error{"the server does not answer"};
        for (int i = 0; i < ready; ++i) {
            auto& each = *static_cast<connection*>(events[static_cast<std::size_t>(i)].data.ptr);
            receive(each);
            now = clock::now();
            latencies_.push_back(
                static_cast<std::uint32_t>(std::min<std::int64_t>((now - each.sent).count(), UINT32_MAX)));
            if (now < end)
                send(each, now);
            else
                --under_way;
        }
    }
    const auto hundredth = latencies_.begin() + static_cast<std::ptrdiff_t>(latencies_.size() * 99 / 100);
    std::nth_element(latencies_.begin(), hundredth, latencies_.end());
    return {latencies_.size(), std::chrono::nanoseconds{*hundredth}};
}
