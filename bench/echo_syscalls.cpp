/// \file
/// echo_syscalls: how many system calls an echo server of coir makes per request under load, and how many of them are
/// epoll_ctl. Prints both numbers.
///
///     echo_syscalls CONNECTIONS SECONDS
///
/// They are counted in the server, at full speed: what libcoir and libev call is defined here, and a function of the program
/// comes before the C library's. (A tracer would slow the server down, so that it found more connections ready at each poll,
/// and the number would come out too good.)

#include "cores.hpp"
#include "echo_load.hpp"
#include "echo_servers.hpp"
#include "pinned_process.hpp"

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace {

struct counts {
    std::uint64_t all = 0;
    std::uint64_t registrations = 0; // epoll_ctl
};

counts* counted = nullptr; // shared with the server's process, which writes it

template <class... Arguments> long counted_call(long number, Arguments... arguments) noexcept {
    if (counted)
        ++counted->all;
    return ::syscall(number, arguments...);
}

} // namespace

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
extern "C" {
int epoll_ctl(int epoll, int operation, int number, epoll_event* event) noexcept {
    if (counted)
        ++counted->registrations;
    return static_cast<int>(counted_call(SYS_epoll_ctl, epoll, operation, number, event));
}
int epoll_wait(int epoll, epoll_event* events, int size, int timeout) {
    return static_cast<int>(counted_call(SYS_epoll_pwait, epoll, events, size, timeout, nullptr, 8));
}
ssize_t recv(int number, void* data, size_t size, int flags) {
    return counted_call(SYS_recvfrom, number, data, size, flags, nullptr, nullptr);
}
ssize_t send(int number, const void* data, size_t size, int flags) {
    return counted_call(SYS_sendto, number, data, size, flags, nullptr, 0);
}
ssize_t read(int number, void* data, size_t size) {
    return counted_call(SYS_read, number, data, size);
}
ssize_t write(int number, const void* data, size_t size) {
    return counted_call(SYS_write, number, data, size);
}
int timerfd_settime(int number, int flags, const itimerspec* setting, itimerspec* old) noexcept {
    return static_cast<int>(counted_call(SYS_timerfd_settime, number, flags, setting, old));
}
int madvise(void* start, size_t size, int advice) noexcept {
    return static_cast<int>(counted_call(SYS_madvise, start, size, advice));
}
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)

namespace {

void measure(std::size_t connections, std::chrono::nanoseconds duration) {
    void* shared = ::mmap(nullptr, sizeof(counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        throw std::runtime_error{"no memory"};
    auto* const in_server = ::new (shared) volatile counts{};
    const auto [server_core, load_core] = two_cores();
    const pinned_process server{"server", server_core, [shared](int channel) {
                                    counted = static_cast<counts*>(shared);
                                    serve_echo_by_coir(channel);
                                }};
    const auto port = receive_value<std::uint16_t>(server.channel());
    const pinned_process client{
        "load", load_core, [=](int channel) {
            echo_load load{port, connections};
            load.run(duration / 4); // warm-up
            const counts before{in_server->all, in_server->registrations};
            const auto answers = static_cast<double>(load.run(duration).answers);
            const counts after{in_server->all, in_server->registrations};
            send_value(channel, static_cast<double>(after.all - before.all) / answers);
            send_value(channel, static_cast<double>(after.registrations - before.registrations) / answers);
        }};
    const auto all = receive_value<double>(client.channel());
    const auto registrations = receive_value<double>(client.channel());
    std::cout << all << ' ' << registrations << '\n';
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 3)
        throw std::runtime_error{"usage: echo_syscalls CONNECTIONS SECONDS"};
    measure(std::stoul(argv[1]), std::chrono::nanoseconds{static_cast<std::int64_t>(std::stod(argv[2]) * 1e9)});
} catch (const std::exception& error) {
    std::cerr << "echo_syscalls: " << error.what() << '\n';
    return 1;
}
