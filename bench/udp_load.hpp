#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

/// The load of udp_echo: sockets that each have one datagram of 64 bytes under way, and send the next when the echo has come. They
/// are asked in turn, without ever sleeping. A datagram that has been lost is sent again after a while.
class udp_load {
public:
    static constexpr std::size_t datagram_size = 64;

    /// Throws std::system_error.
    udp_load(std::uint16_t port, std::size_t sockets);
    ~udp_load();
    udp_load(const udp_load&) = delete;
    udp_load& operator=(const udp_load&) = delete;

    struct result {
        std::uint64_t echoes = 0;
        std::uint64_t lost = 0;
        std::chrono::nanoseconds duration{};
    };

    /// Throws std::runtime_error for a wrong echo.
    result run(std::chrono::nanoseconds duration);

private:
    using clock = std::chrono::steady_clock;

    struct client {
        int socket;
        std::uint64_t number = 0; ///< of the datagram under way, which consists of it
        std::uint64_t round = 0;  ///< in which it was sent
    };

    void send(client& by);
    [[nodiscard]] bool receive(client& by) const;

    std::vector<client> clients_;
    std::uint64_t next_number_ = 0;
};
