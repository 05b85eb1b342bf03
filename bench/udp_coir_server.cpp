#include "udp_servers.hpp"

#include <coir/io.hpp>
#include <coir/run.hpp>
#include <coir/udp_socket.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

void serve_udp_by_coir(int announce) {
    coir::run([=] {
        using coir::net::udp_socket;
        udp_socket socket{"127.0.0.1", 0};
        const std::uint16_t port = socket.local_endpoint().port();
        coir::io::write_all(announce, std::as_bytes(std::span{&port, 1}));

        std::vector<std::array<std::byte, udp_buffer_size>> buffers(udp_batch);
        std::array<udp_socket::incoming, udp_batch> in;
        std::array<udp_socket::outgoing, udp_batch> out;
        for (std::size_t i = 0; i < udp_batch; ++i)
            in[i].buffer = buffers[i];
        for (;;) {
            const std::size_t count = socket.receive_many(in);
            for (std::size_t i = 0; i < count; ++i)
                out[i] = {in[i].data(), &in[i].from};
            (void)socket.send_many(std::span{out}.first(count));
        }
    });
}
