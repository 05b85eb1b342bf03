/// Sends back the datagrams that it receives, many at a time.
///     udp_echo PORT          serves until it is killed; try it with: nc -u 127.0.0.1 PORT
///     udp_echo --self-test   serves a client of its own, and ends

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/udp_socket.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <system_error>
#include <vector>

using namespace std::chrono_literals;
using coir::net::udp_socket;

namespace {

[[noreturn]] void echo(udp_socket& socket) {
    constexpr std::size_t batch = 32;
    std::vector<std::array<std::byte, 2048>> buffers(batch);
    std::array<udp_socket::incoming, batch> in;
    std::array<udp_socket::outgoing, batch> out;
    for (std::size_t i = 0; i < batch; ++i)
        in[i].buffer = buffers[i];
    for (;;) {
        const std::size_t count = socket.receive_many(in); // waits for the first, takes those that are there
        for (std::size_t i = 0; i < count; ++i)
            out[i] = {in[i].data(), &in[i].from};
        std::error_code error; // who cannot be answered is no reason to stop
        for (auto rest = std::span{out}.first(count); !rest.empty();) {
            const std::size_t sent = socket.send_many(rest, error, 1s);
            rest = rest.subspan(error ? sent + 1 : sent);
        }
    }
}

int self_test() {
    udp_socket server{"127.0.0.1", 0};
    const coir::fiber<void> serving = coir::spawn([&server] { echo(server); });
    udp_socket client = udp_socket::connected_to(server.local_endpoint());
    int answered = 0;
    for (int i = 0; i < 100; ++i) {
        const std::string question = "datagram " + std::to_string(i);
        client.send(std::as_bytes(std::span{question}));
        std::string answer(question.size(), '\0');
        answered += client.receive_from(std::as_writable_bytes(std::span{answer}), 5s).size == question.size() &&
                    answer == question;
    }
    std::cout << answered << " of 100 datagrams came back\n";
    return answered == 100 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) try {
    const std::string argument = argc > 1 ? argv[1] : "7777";
    if (argument == "--self-test")
        return coir::run(self_test);
    std::uint16_t port = 0;
    std::from_chars(argument.data(), argument.data() + argument.size(), port);
    coir::run([port] {
        udp_socket socket{"127.0.0.1", port};
        std::cout << "listening on " << socket.local_endpoint().to_string() << std::endl;
        echo(socket);
    });
} catch (const std::exception& error) {
    std::cerr << "udp_echo: " << error.what() << '\n';
    return 1;
}
