#include "echo_servers.hpp"

#include <coir/fiber.hpp>
#include <coir/io.hpp>
#include <coir/run.hpp>
#include <coir/tcp_listener.hpp>
#include <coir/tcp_stream.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <utility>

namespace {

using namespace std::chrono_literals;

void echo(coir::net::tcp_stream& peer) {
    std::array<std::byte, echo_buffer_size> buffer; // not initialised: nor are libev's
    while (const std::size_t count = peer.read_some(buffer))
        peer.write_all(std::span{buffer}.first(count));
}

void echo_with_deadlines(coir::net::tcp_stream& peer) {
    std::array<std::byte, echo_buffer_size> buffer;
    while (const std::size_t count = peer.read_some(buffer, 5s))
        peer.write_all(std::span{buffer}.first(count), 5s);
}

void serve(int announce, void (*handle)(coir::net::tcp_stream& peer)) {
    coir::run([=] {
        coir::net::tcp_listener listener{"127.0.0.1", 0};
        const std::uint16_t port = listener.local_endpoint().port();
        coir::io::write_all(announce, std::as_bytes(std::span{&port, 1}));
        for (;;)
            coir::spawn([handle, peer = listener.accept()]() mutable { handle(peer); }).detach();
    });
}

} // namespace

void serve_echo_by_coir(int announce) {
    serve(announce, echo);
}

void serve_echo_by_coir_with_deadlines(int announce) {
    serve(announce, echo_with_deadlines);
}
