/// Sends back what it receives, to any number of clients at once.
///     echo_server PORT          serves until it is killed
///     echo_server --self-test   serves one hundred clients of its own, and ends

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/tcp_listener.hpp>
#include <coir/tcp_stream.hpp>

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
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

void echo(coir::net::tcp_stream peer) {
    std::array<std::byte, 1024> buffer;
    std::error_code error; // a client that vanishes is nothing exceptional
    while (const std::size_t size = peer.read_some(buffer, error, 60s))
        peer.write_all(std::span{buffer}.first(size), error, 60s);
}

[[noreturn]] void serve(coir::net::tcp_listener& listener) {
    for (;;) {
        coir::net::tcp_stream peer = listener.accept();
        coir::spawn(echo, std::move(peer)).detach(); // a fiber for each client
    }
}

/// Sends a message, and compares what comes back.
bool try_out(const coir::net::endpoint& server, const std::string& message) {
    coir::net::tcp_stream stream{server, 5s};
    stream.write_all(std::as_bytes(std::span{message}), 5s);
    std::string answer(message.size(), '\0');
    stream.read_all(std::as_writable_bytes(std::span{answer}), 5s);
    return answer == message;
}

int self_test() {
    coir::net::tcp_listener listener{"127.0.0.1", 0};
    const coir::fiber<void> server = coir::spawn([&listener] { serve(listener); });
    std::vector<coir::fiber<bool>> clients;
    for (int i = 0; i < 100; ++i)
        clients.push_back(coir::spawn(try_out, listener.local_endpoint(), "message " + std::to_string(i)));
    int served = 0;
    for (coir::fiber<bool>& client : clients)
        served += client.join();
    std::cout << served << " of 100 clients got back what they had sent\n";
    return served == 100 ? 0 : 1;
} // the destructor of `server` cancels it: accept() throws coir::cancelled, and the fiber ends

} // namespace

int main(int argc, char** argv) try {
    const std::string argument = argc > 1 ? argv[1] : "7777";
    if (argument == "--self-test")
        return coir::run(self_test);
    std::uint16_t port = 0;
    std::from_chars(argument.data(), argument.data() + argument.size(), port);
    coir::run([port] {
        coir::net::tcp_listener listener{"127.0.0.1", port};
        std::cout << "listening on " << listener.local_endpoint().to_string() << std::endl;
        serve(listener);
    });
} catch (const std::exception& error) {
    std::cerr << "echo_server: " << error.what() << '\n';
    return 1;
}
