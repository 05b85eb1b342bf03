#include "busy_poll.hpp"

#include <cerrno>
#include <cstddef>
#include <iterator>
#include <stdexcept>
#include <system_error>

#include <unistd.h>

busy_poll::busy_poll() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0)
        throw std::system_error{errno, std::generic_category(), "epoll_create1"};
}

busy_poll::~busy_poll() {
    ::close(epoll_);
}

void busy_poll::add(int socket, void* data) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.ptr = data;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) != 0)
        throw std::system_error{errno, std::generic_category(), "epoll_ctl"};
}

std::span<epoll_event> busy_poll::wait() {
    using clock = std::chrono::steady_clock;
    const auto look = [this] { return ::epoll_wait(epoll_, events_, std::size(events_), 0); };
    int ready = look();
    if (ready <= 0) {
        const clock::time_point start = clock::now();
        clock::time_point now;
        do {
            ready = look();
            now = clock::now();
            if (now - start > std::chrono::seconds{5})
                throw std::runtime_error{"the server does not answer"};
        } while (ready <= 0);
        idle_ += now - start;
    }
    return std::span{events_}.first(static_cast<std::size_t>(ready));
}
