#pragma once

#include "pinned_process.hpp"
#include "processor_time.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iostream>
#include <optional>
#include <thread>

/// A server and its load, processes of their own, pinned to a core each. Load is made of the server's port and a size, which is
/// how many connections, or bytes; its run(duration) returns a Load::result.
///
/// The load has a process of its own, because 10,000 connections to each of two servers are as many descriptors as one process
/// may have on many systems.
template <class Load> class loaded_server {
public:
    /// `serve(announce)` sends its port into the channel, and serves until it is killed.
    template <class Serve>
    loaded_server(const char* name, Serve serve, int core)
        : name_(name), server_(name, core, serve), port_(receive_value<std::uint16_t>(server_.channel())) {}

    void connect(int core, std::size_t size) {
        load_.emplace(name_, core, [=, port = port_](int channel) { be_load(channel, port, size); });
        (void)receive_value<typename Load::result>(load_->channel()); // connected
    }

    struct turn {
        typename Load::result load;
        std::chrono::nanoseconds processor_time; ///< the server's, user and system
    };

    turn run(std::chrono::nanoseconds duration) const {
        const auto before = processor_time_of(server_.id());
        send_value(load_->channel(), duration);
        const auto result = receive_value<typename Load::result>(load_->channel());
        // The server has answered the last request; let it find out that there is no other.
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
        return {result, processor_time_of(server_.id()) - before};
    }

private:
    // Connects, says so, and then one turn for each duration that it is told.
    static void be_load(int channel, std::uint16_t port, std::size_t size) {
        Load load{port, size};
        send_value(channel, typename Load::result{});
        for (;;)
            send_value(channel, load.run(receive_value<std::chrono::nanoseconds>(channel)));
    }

    const char* name_;
    pinned_process server_;
    std::uint16_t port_;
    std::optional<pinned_process> load_;
};

/// Loads both in turn, after a warm-up each: A B, B A, A B, so that whatever the first of a pair has of being the first, both
/// have it. Prints a line for every pair, what `figure(turn, server)` makes of A's and of B's.
template <class Load, class Figure>
void compare_in_turn(loaded_server<Load>& a, loaded_server<Load>& b, std::size_t size, int pairs,
                     std::chrono::nanoseconds duration, int load_core, Figure figure) {
    for (loaded_server<Load>* each : {&a, &b}) {
        each->connect(load_core, size);
        each->run(duration);
    }
    const auto figure_from = [&](loaded_server<Load>& server) { return figure(server.run(duration), server); };
    for (int i = 0; i < pairs; ++i) {
        const bool a_first = i % 2 == 0;
        const double first = figure_from(a_first ? a : b);
        const double second = figure_from(a_first ? b : a);
        std::cout << (a_first ? first : second) << ' ' << (a_first ? second : first) << std::endl;
    }
}
