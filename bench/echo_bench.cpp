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
#include "loaded_server.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <sys/resource.h>

namespace {

using turn = loaded_server<echo_load>::turn;
using microseconds = std::chrono::duration<double, std::micro>;

double processor_time_per_request(const turn& of) {
    return microseconds{of.processor_time}.count() / static_cast<double>(of.load.answers);
}

double slowest_hundredth(const turn& of) {
    return microseconds{of.load.slowest_hundredth}.count();
}

using figure = double (*)(const turn& of);

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

figure figure_of(std::string_view name) {
    if (name == "cpu")
        return processor_time_per_request;
    if (name == "p99")
        return slowest_hundredth;
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

void compare(figure wanted, const named_server& ours, const named_server& peer, std::size_t connections, int pairs,
             std::chrono::nanoseconds duration) {
    raise_descriptor_limit(connections);
    const auto [server_core, load_core] = two_cores();
    loaded_server<echo_load> a{ours.name, ours.serve, server_core};
    loaded_server<echo_load> b{peer.name, peer.serve, server_core};
    compare_in_turn(a, b, connections, pairs, duration, load_core,
                    [wanted](const turn& of, const auto& /*server*/) { return wanted(of); });
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
