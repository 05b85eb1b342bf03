/// \file
/// idle_cpu: a program all of whose fibers wait for IO: some for a socket, some with a distant deadline as well, one
/// for connections, the first one for its standard input. Says "parked" when it is so, and ends with its input. What it
/// does in between, which should be nothing, is counted by scripts/bench.py, from outside.

#include <coir/descriptor.hpp>
#include <coir/fiber.hpp>
#include <coir/io.hpp>
#include <coir/run.hpp>
#include <coir/tcp_listener.hpp>
#include <coir/this_fiber.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace {

void wait_for_input() {
    std::vector<coir::io::descriptor> silent_ends;
    for (int i = 0; i < 100; ++i) {
        std::array<int, 2> pair{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
            throw std::system_error{errno, std::generic_category(), "socketpair"};
        silent_ends.emplace_back(pair[0]);
        const coir::deadline until = i % 2 != 0 ? coir::deadline{std::chrono::hours{1}} : coir::deadline::never();
        coir::spawn([until, end = coir::io::descriptor{pair[1]}]() mutable {
            std::array<std::byte, 64> buffer{};
            end.read_some(buffer, until);
        }).detach();
    }
    coir::spawn([] { coir::net::tcp_listener{"127.0.0.1", 0}.accept(); }).detach();
    coir::this_fiber::yield(); // all the others run until they wait
    std::cout << "parked" << std::endl;
    std::array<std::byte, 64> buffer{};
    while (coir::io::read_some(STDIN_FILENO, buffer) != 0) {}
}

} // namespace

int main() try { coir::run(wait_for_input); } catch (const std::exception& error) {
    std::cerr << "idle_cpu: " << error.what() << '\n';
    return 1;
}
