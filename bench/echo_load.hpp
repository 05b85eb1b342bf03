#pragma once

#include "busy_poll.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

/// The load of echo_*: connections that each have one request under way, send the next one when the answer has come, and
/// check every byte of it. Cheap for what it does (one read and one write per request, and no sleep), so that the server
/// and not the client is the limit when there are enough connections.
class echo_load {
public:
    static constexpr std::size_t request_size = 64;

    struct result {
        std::uint64_t answers = 0;
        std::chrono::nanoseconds slowest_hundredth{}; ///< 99th percentile of the times from a request to its answer
        double idle = 0;                              ///< part of the time in which there was nothing to receive
    };

    /// Connects. Throws std::system_error.
    echo_load(std::uint16_t port, std::size_t connections);
    ~echo_load();
    echo_load(const echo_load&) = delete;
    echo_load& operator=(const echo_load&) = delete;

    /// Sends requests for `duration` and waits for the last answers: nothing is under way before and after. Throws
    /// std::runtime_error for a wrong answer or none.
    result run(std::chrono::nanoseconds duration);

private:
    using clock = std::chrono::steady_clock;

    struct connection {
        int socket = -1;
        std::uint64_t number = 0; ///< of the request under way; it is what the request consists of
        clock::time_point sent;   ///< if it is timed
    };

    [[nodiscard]] static bool is_timed(const connection& each) noexcept;
    void send(connection& to);
    void receive(connection& from);

    std::vector<connection> connections_;
    busy_poll poll_;
    std::uint64_t next_number_ = 0;
    std::vector<clock::duration> latencies_; ///< its memory is kept for the next run()
};
