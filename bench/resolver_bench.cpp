/// \file
/// resolver_bench [COUNT]: looks COUNT names up at once, both families of each, with a name server on loopback that answers every
/// question 50 ms after it has come. Prints the milliseconds from the first lookup to the last answer.
///
/// The server is a process of its own on another core; it takes and sends packets in batches, so that it is not what is measured.

#include "cores.hpp"
#include "pinned_process.hpp"
#include "stopwatch.hpp"

#include <coir/endpoint.hpp>
#include <coir/fiber.hpp>
#include <coir/resolver.hpp>
#include <coir/run.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <iostream>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

constexpr auto delay = 50ms;
constexpr std::size_t batch = 64;
constexpr std::size_t largest_packet = 512;

struct datagram {
    std::array<std::uint8_t, largest_packet> bytes;
    std::size_t size;
    sockaddr_in peer;
    clock_type::time_point due;
};

// Names are "n<number>.test": the address of the number is 10.0.0.0 plus that, and there is none for IPv6.
void answer(datagram& question) {
    std::uint32_t number = 0;
    for (std::size_t i = 14; i < 13U + question.bytes[12]; ++i)
        number = number * 10 + (question.bytes[i] - '0');
    const bool wants_v4 = question.bytes[question.size - 3] == 1;
    question.bytes[2] = 0x85;
    question.bytes[3] = 0x80;
    if (!wants_v4)
        return;
    question.bytes[7] = 1;
    const std::array<std::uint8_t, 16> record{0xc0,
                                              12,
                                              0,
                                              1,
                                              0,
                                              1,
                                              0,
                                              0,
                                              0,
                                              60,
                                              0,
                                              4,
                                              10,
                                              static_cast<std::uint8_t>(number >> 16),
                                              static_cast<std::uint8_t>(number >> 8),
                                              static_cast<std::uint8_t>(number)};
    std::memcpy(question.bytes.data() + question.size, record.data(), record.size());
    question.size += record.size();
}

class name_server {
public:
    name_server() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
        const int size = 64 << 20;
        if (::setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) // needs a privilege
            ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        sockaddr_in own{};
        own.sin_family = AF_INET;
        own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t own_size = sizeof own;
        if (::bind(socket_, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0 ||
            ::getsockname(socket_, reinterpret_cast<sockaddr*>(&own), &own_size) != 0)
            throw std::runtime_error{"no socket for the name server"};
        port_ = ntohs(own.sin_port);
    }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    [[noreturn]] void serve() {
        for (;;) {
            pollfd ready{socket_, POLLIN, 0};
            ::poll(&ready, 1, waiting_.empty() ? -1 : 1);
            receive();
            send_due();
        }
    }

private:
    void receive() {
        std::array<datagram, batch> taken;
        std::array<iovec, batch> pieces{};
        std::array<mmsghdr, batch> headers{};
        for (;;) {
            for (std::size_t i = 0; i < batch; ++i) {
                pieces[i] = {taken[i].bytes.data(), largest_packet - 16};
                headers[i].msg_hdr = {};
                headers[i].msg_hdr.msg_name = &taken[i].peer;
                headers[i].msg_hdr.msg_namelen = sizeof taken[i].peer;
                headers[i].msg_hdr.msg_iov = &pieces[i];
                headers[i].msg_hdr.msg_iovlen = 1;
            }
            const int count = ::recvmmsg(socket_, headers.data(), batch, 0, nullptr);
            if (count <= 0)
                return;
            const auto due = clock_type::now() + delay;
            for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
                taken[i].size = headers[i].msg_len;
                taken[i].due = due;
                answer(taken[i]);
                waiting_.push_back(taken[i]);
            }
        }
    }

    void send_due() {
        const auto now = clock_type::now();
        for (; !waiting_.empty() && waiting_.front().due <= now; waiting_.pop_front()) {
            const datagram& next = waiting_.front();
            ::sendto(socket_, next.bytes.data(), next.size, 0, reinterpret_cast<const sockaddr*>(&next.peer),
                     sizeof next.peer);
        }
    }

    int socket_;
    std::uint16_t port_;
    std::deque<datagram> waiting_;
};

void look_up_all(std::uint16_t port, int count) {
    coir::net::resolver_options options;
    options.servers = {coir::net::endpoint{"127.0.0.1", port}};
    options.search.emplace();
    options.timeout = 300ms; // a packet that the system drops is sent again
    coir::net::resolver from{options};
    int wrong = 0;
    std::vector<coir::fiber<void>> all;
    all.reserve(static_cast<std::size_t>(count));
    const stopwatch watch{stopwatch::time::wall};
    for (int i = 0; i < count; ++i)
        all.push_back(coir::spawn([&from, &wrong, i] {
            const std::uint32_t expected = 0x0a000000U + static_cast<std::uint32_t>(i);
            std::string name = "n";
            name.append(std::to_string(i)).append(".test");
            const auto found = from.resolve(name, 80);
            const auto* native = static_cast<const sockaddr_in*>(found.front().native());
            wrong += found.size() != 1 || ntohl(native->sin_addr.s_addr) != expected ? 1 : 0;
        }));
    for (coir::fiber<void>& each : all)
        each.join();
    const double milliseconds = watch.nanoseconds() / 1e6;
    if (wrong != 0)
        throw std::runtime_error{std::to_string(wrong) + " wrong answers"};
    std::cout << milliseconds << '\n';
}

} // namespace

int main(int argc, char** argv) try {
    const int count = argc > 1 ? std::stoi(argv[1]) : 10'000;
    const std::array<int, 2> cores = two_cores();
    const pinned_process server{"name server", cores[1], [](int channel) {
                                    name_server made;
                                    send_value(channel, made.port());
                                    made.serve();
                                }};
    const auto port = receive_value<std::uint16_t>(server.channel());
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(static_cast<unsigned>(cores[0]), &own);
    ::sched_setaffinity(0, sizeof own, &own);
    coir::run([&] { look_up_all(port, count); });
} catch (const std::exception& error) {
    std::cerr << "resolver_bench: " << error.what() << '\n';
    return 1;
}
