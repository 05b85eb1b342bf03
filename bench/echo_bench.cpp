/// \file
/// echo_*: an echo server under load from N connections that each have one request of 64 bytes under way, beside another
/// one: fibers of coir, the same with deadlines, callbacks of raw libev.
///
/// The two servers are processes of their own on one core; so are their loads, on another. They are measured in turn,
/// A B B A. The server without load sleeps. Prints one line for every pair: the figure of OURS, of PEER.
///
///     echo_bench FIGURE OURS PEER CONNECTIONS PAIRS SECONDS_PER_TURN
///
/// FIGURE  cpu: the server's processor time per request, in us;  p99: the 99th percentile of the latency, in us
/// OURS, PEER  coir, coir_with_deadlines, libev

#include "cores.hpp"
#include "echo_load.hpp"
#include "echo_servers.hpp"
#include "pinned_process.hpp"
#include "processor_time.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include <sys/resource.h>

namespace {

/// What the process of a load does: connects, says so, and then one turn for each duration that it is told.
void be_load(int channel, std::uint16_t port, std::size_t connections) {
    echo_load load{port, connections};
    send_value(channel, echo_load::result{});
    for (;;)
        send_value(channel, load.run(receive_value<std::chrono::nanoseconds>(channel)));
}

/// A server and its load. The load has a process of its own, because 10,000 connections to each of two servers are as many
/// descriptors as one process may have on many systems.
class site {
public:
    site(const char* name, void (*serve)(int announce), int core)
        : name_(name), server_(name, core, serve), port_(receive_value<std::uint16_t>(server_.channel())) {}

    void connect(int core, std::size_t connections) {
        load_.emplace(name_, core, [=, port = port_](int channel) { be_load(channel, port, connections); });
        (void)receive_value<echo_load::result>(load_->channel()); // connected
    }

    struct figures {
        double processor_time; // per request
        double slowest_hundredth;
    };

    /// Both in us.
    figures measure(std::chrono::nanoseconds duration) const {
        using microseconds = std::chrono::duration<double, std::micro>;
        const auto before = processor_time_of(server_.id());
        send_value(load_->channel(), duration);
        const auto result = receive_value<echo_load::result>(load_->channel());
        // The server has answered the last request; let it find out that there is no other.
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
        const microseconds used = processor_time_of(server_.id()) - before;
        return {used.count() / static_cast<double>(result.answers), microseconds{result.slowest_hundredth}.count()};
    }

private:
    const char* name_;
    pinned_process server_;
    std::uint16_t port_;
    std::optional<pinned_process> load_;
};

struct named_server {
    const char* name;
    void (*serve)(int announce);
};

named_server server_of(std::string_view name) {
    for (const named_server& each : {named_server{"coir", serve_echo_by_coir},
                                     named_server{"coir_with_deadlines", serve_echo_by_coir_with_deadlines},
                                     named_server{"libev", serve_echo_by_libev}})
        if (name == each.name)
            return each;
    throw std::runtime_error{"no such server: " + std::string{name}};
}

double site::figures::*figure_of(std::string_view name) {
    if (name == "cpu")
        return &site::figures::processor_time;
    if (name == "p99")
        return &site::figures::slowest_hundredth;
    throw std::runtime_error{"no such figure: " + std::string{name}};
}

/// So many sockets and a few more.
void raise_descriptor_limit(std::size_t connections) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max < connections + 50)
        throw std::runtime_error{"so many connections need a larger hard limit of descriptors (ulimit -Hn)"};
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
}

void compare(double site::figures::*figure, const named_server& ours, const named_server& peer, std::size_t connections,
             int pairs, std::chrono::nanoseconds turn) {
    raise_descriptor_limit(connections);
    const auto [server_core, load_core] = two_cores();
    site a{ours.name, ours.serve, server_core};
    site b{peer.name, peer.serve, server_core};
    for (site* each : {&a, &b}) {
        each->connect(load_core, connections);
        each->measure(turn); // warm-up
    }
    for (int i = 0; i < pairs; ++i) {
        // A B, B A, A B: whatever the first of a pair has of being the first, both have it.
        const bool a_first = i % 2 == 0;
        const double first = (a_first ? a : b).measure(turn).*figure;
        const double second = (a_first ? b : a).measure(turn).*figure;
        std::cout << (a_first ? first : second) << ' ' << (a_first ? second : first) << std::endl;
    }
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 7)
        throw std::runtime_error{"usage: echo_bench FIGURE OURS PEER CONNECTIONS PAIRS SECONDS_PER_TURN"};
    compare(figure_of(argv[1]), server_of(argv[2]), server_of(argv[3]), std::stoul(argv[4]), std::stoi(argv[5]),
            std::chrono::nanoseconds{static_cast<std::int64_t>(std::stod(argv[6]) * 1e9)});
} catch (const std::exception& error) {
    std::cerr << "echo_bench: " << error.what() << '\n';
    return 1;
}
