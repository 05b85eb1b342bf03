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
#include "pinned_process.hpp"
#include "processor_time.hpp"
#include "udp_load.hpp"
#include "udp_servers.hpp"

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

namespace {

void be_load(int channel, std::uint16_t port, std::size_t sockets) {
    udp_load load{port, sockets};
    send_value(channel, udp_load::result{});
    for (;;)
        send_value(channel, load.run(receive_value<std::chrono::nanoseconds>(channel)));
}

/// A server and its load.
class site {
public:
    site(const char* name, void (*serve)(int announce), int core)
        : name_(name), server_(name, core, serve), port_(receive_value<std::uint16_t>(server_.channel())) {}

    void connect(int core, std::size_t sockets) {
        load_.emplace(name_, core, [=, port = port_](int channel) { be_load(channel, port, sockets); });
        (void)receive_value<udp_load::result>(load_->channel());
    }

    struct figures {
        double per_processor_second;
        double per_second;
        std::uint64_t lost;
    };

    figures measure(std::chrono::nanoseconds turn) const {
        using seconds = std::chrono::duration<double>;
        const auto before = processor_time_of(server_.id());
        send_value(load_->channel(), turn);
        const auto result = receive_value<udp_load::result>(load_->channel());
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
        const seconds used = processor_time_of(server_.id()) - before;
        const auto echoes = static_cast<double>(result.echoes);
        return {echoes / used.count(), echoes / seconds{result.duration}.count(), result.lost};
    }

private:
    const char* name_;
    pinned_process server_;
    std::uint16_t port_;
    std::optional<pinned_process> load_;
};

double site::figures::*figure_of(std::string_view name) {
    if (name == "rate")
        return &site::figures::per_processor_second;
    if (name == "wall")
        return &site::figures::per_second;
    throw std::runtime_error{"no such figure: " + std::string{name}};
}

void compare(double site::figures::*figure, std::size_t sockets, int pairs, std::chrono::nanoseconds turn) {
    const auto [server_core, load_core] = two_cores();
    site coir{"coir", serve_udp_by_coir, server_core};
    site libev{"libev", serve_udp_by_libev, server_core};
    for (site* each : {&coir, &libev}) {
        each->connect(load_core, sockets);
        each->measure(turn); // warm-up
    }
    std::uint64_t lost = 0;
    const auto figure_from = [&](const site& each) {
        const site::figures found = each.measure(turn);
        lost += found.lost;
        return found.*figure;
    };
    for (int i = 0; i < pairs; ++i) {
        const bool coir_first = i % 2 == 0;
        const double first = figure_from(coir_first ? coir : libev);
        const double second = figure_from(coir_first ? libev : coir);
        std::cout << (coir_first ? first : second) << ' ' << (coir_first ? second : first) << std::endl;
    }
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
