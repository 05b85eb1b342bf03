/// \file
/// udp_echo: datagrams of 64 bytes that a server sends back, under load from many sockets: a fiber of coir with receive_many() and
/// send_many(), beside a callback of raw libev with recvmmsg() and sendmmsg().
///
/// The two servers are processes of their own on one core; so is the load, on another, which never sleeps. They are measured in
/// turn, A B B A. Prints one line for every pair: the figure of coir, of libev.
///
///     udp_bench FIGURE SOCKETS PAIRS SECONDS_PER_TURN
///
/// FIGURE  rate: datagrams echoed per second of the server's processor time;  wall: per second

#include "cores.hpp"
#include "loaded_server.hpp"
#include "udp_load.hpp"
#include "udp_servers.hpp"

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

using turn = loaded_server<udp_load>::turn;
using seconds = std::chrono::duration<double>;

double per_processor_second(const turn& of) {
    return static_cast<double>(of.load.echoes) / seconds{of.processor_time}.count();
}

double per_second(const turn& of) {
    return static_cast<double>(of.load.echoes) / seconds{of.load.duration}.count();
}

using figure = double (*)(const turn& of);

figure figure_of(std::string_view name) {
    if (name == "rate")
        return per_processor_second;
    if (name == "wall")
        return per_second;
    throw std::runtime_error{"no such figure: " + std::string{name}};
}

void compare(figure wanted, std::size_t sockets, int pairs, std::chrono::nanoseconds duration) {
    const auto [server_core, load_core] = two_cores();
    loaded_server<udp_load> coir{"coir", serve_udp_by_coir, server_core};
    loaded_server<udp_load> libev{"libev", serve_udp_by_libev, server_core};
    std::uint64_t lost = 0;
    compare_in_turn(coir, libev, sockets, pairs, duration, load_core, [&](const turn& of, const auto& /*server*/) {
        lost += of.load.lost;
        return wanted(of);
    });
    std::cout << "# " << lost << " datagrams were lost\n";
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 5)
        throw std::runtime_error{"usage: udp_bench FIGURE SOCKETS PAIRS SECONDS_PER_TURN"};
    compare(figure_of(argv[1]), std::stoul(argv[2]), std::stoi(argv[3]),
            std::chrono::nanoseconds{static_cast<std::int64_t>(std::stod(argv[4]) * 1e9)});
} catch (const std::exception& error) {
    std::cerr << "udp_bench: " << error.what() << '\n';
    return 1;
}
