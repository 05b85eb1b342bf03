#include "udp_load.hpp"

#include "loopback.hpp"

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using datagram = std::array<std::uint64_t, udp_load::datagram_size / sizeof(std::uint64_t)>;

/// Passes over all sockets after which a datagram counts as lost: the server has had thousands of times the time it needs.
constexpr std::uint64_t patience = 20'000;

} // namespace

udp_load::udp_load(std::uint16_t port, std::size_t sockets) {
    for (std::size_t i = 0; i < sockets; ++i)
        clients_.push_back({connect_to_loopback(port, SOCK_DGRAM)});
}

udp_load::~udp_load() {
    for (const client& each : clients_)
        ::close(each.socket);
}

void udp_load::send(client& by) {
    by.number = ++next_number_;
    datagram bytes;
    bytes.fill(by.number);
    if (::send(by.socket, &bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes)
        throw std::system_error{errno, std::generic_category(), "send"};
}

bool udp_load::receive(client& by) const {
    datagram bytes;
    const ssize_t size = ::recv(by.socket, &bytes, sizeof bytes, MSG_DONTWAIT);
    if (size == -1 && errno == EAGAIN)
        return false;
    datagram expected;
    expected.fill(by.number);
    if (size == sizeof bytes && bytes[0] < by.number)
        return false; // of one that was given up
    if (size != sizeof bytes || bytes != expected)
        throw std::runtime_error{"what came back is not an echo"};
    return true;
}

udp_load::result udp_load::run(std::chrono::nanoseconds duration) {
    result found;
    const clock::time_point start = clock::now();
    std::uint64_t round = 0;
    for (client& each : clients_) {
        send(each);
        each.round = round;
    }
    for (clock::time_point now = start; now - start < duration; now = clock::now()) {
        ++round;
        for (client& each : clients_) {
            const bool has_come = receive(each);
            if (has_come)
                ++found.echoes;
            else if (round - each.round < patience)
                continue;
            else
                ++found.lost;
            send(each);
            each.round = round;
        }
    }
    found.duration = clock::now() - start;
    // The last ones: nothing is under way before the next turn, but for what is lost.
    std::size_t under_way = clients_.size();
    for (std::uint64_t i = 0; i < patience && under_way > 0; ++i)
        for (client& each : clients_)
            under_way -= receive(each) ? 1 : 0;
    return found;
}
