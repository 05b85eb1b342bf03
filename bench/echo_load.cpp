#include "echo_load.hpp"

#include "loopback.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <sys/socket.h>
#include <unistd.h>

namespace {

using request = std::array<std::uint64_t, echo_load::request_size / sizeof(std::uint64_t)>;

request request_of(std::uint64_t number) {
    request result;
    result.fill(number);
    return result;
}

} // namespace

echo_load::echo_load(std::uint16_t port, std::size_t connections) : connections_(connections) {
    for (connection& each : connections_) {
        each.socket = connect_to_loopback(port);
        poll_.add(each.socket, &each);
    }
}

echo_load::~echo_load() {
    for (const connection& each : connections_)
        ::close(each.socket);
}

/// One request in sixteen: the clock costs as much as a good part of the rest.
bool echo_load::is_timed(const connection& each) noexcept {
    return each.number % 16 == 0;
}

void echo_load::send(connection& to) {
    to.number = ++next_number_;
    if (is_timed(to))
        to.sent = clock::now();
    const request bytes = request_of(to.number);
    if (::send(to.socket, &bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes)
        throw std::system_error{errno, std::generic_category(), "send"};
}

void echo_load::receive(connection& from) {
    request bytes;
    // Over loopback what was sent in one piece comes in one piece.
    const ssize_t count = ::recv(from.socket, &bytes, sizeof bytes, MSG_DONTWAIT);
    if (count != sizeof bytes || bytes != request_of(from.number))
        throw std::runtime_error{"the server's answer is not an echo"};
    if (is_timed(from))
        latencies_.push_back(clock::now() - from.sent);
}

echo_load::result echo_load::run(std::chrono::nanoseconds duration) {
    latencies_.clear();
    const auto idle_before = poll_.idle();
    const clock::time_point start = clock::now();
    for (connection& each : connections_)
        send(each);
    result found;
    bool sending = true;
    for (std::size_t under_way = connections_.size(); under_way > 0;) {
        for (const epoll_event& event : poll_.wait()) {
            auto& each = *static_cast<connection*>(event.data.ptr);
            receive(each);
            ++found.answers;
            if (sending)
                send(each);
            else
                --under_way;
        }
        sending = sending && clock::now() - start < duration;
    }
    found.idle = std::chrono::duration<double>{poll_.idle() - idle_before} / (clock::now() - start);
    if (!latencies_.empty()) {
        const auto hundredth = latencies_.begin() + static_cast<std::ptrdiff_t>(latencies_.size() * 99 / 100);
        std::nth_element(latencies_.begin(), hundredth, latencies_.end());
        found.slowest_hundredth = *hundredth;
    }
    return found;
}
