/// \file
/// echo_cpu_N: how much processor time a server needs for one request of 64 bytes, with N connections that each have
/// one request under way: fibers of coir against callbacks of raw libev.
///
/// The two servers are processes of their own on one core, the load is this process on another, and loads them in turn,
/// A B A B. The server without load sleeps. Prints one line for every pair: microseconds by coir, by libev.
///
///     echo_bench CONNECTIONS PAIRS SECONDS_PER_TURN

#include "echo_load.hpp"
#include "echo_servers.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

[[noreturn]] void fail(const char* operation) {
    throw std::system_error{errno, std::generic_category(), operation};
}

/// The first two cores that this process may use: one for the servers, one for the load.
std::array<int, 2> two_cores() {
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        fail("sched_getaffinity");
    std::array<int, 2> cores{};
    std::size_t found = 0;
    for (int core = 0; core < CPU_SETSIZE && found < cores.size(); ++core)
        if (CPU_ISSET(core, &allowed))
            cores[found++] = core;
    if (found < cores.size())
        throw std::runtime_error{"server and load need a core each"};
    return cores;
}

void pin_to(int core) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(core, &only);
    if (::sched_setaffinity(0, sizeof only, &only) != 0)
        fail("sched_setaffinity");
}

/// A server in a process of its own, with the load that belongs to it.
class server {
public:
    server(const char* name, void (*serve)(int announce), int core) : name_(name) { start(serve, core); }
    ~server() {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    /// Not before all servers have been started: they would inherit the sockets.
    void connect(std::size_t connections) { load_.emplace(port_, connections); }

    /// Microseconds of processor time per request.
    double measure(std::chrono::nanoseconds duration) try {
        const auto before = processor_time();
        const auto requests = load_->run(duration);
        // It has answered the last request; let it find out that there is no other.
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
        return std::chrono::duration<double, std::micro>(processor_time() - before).count() /
               static_cast<double>(requests);
    } catch (const std::exception& error) {
        throw std::runtime_error{std::string{name_} + ": " + error.what()};
    }

private:
    void start(void (*serve)(int announce), int core) {
        std::array<int, 2> announcement{};
        if (::pipe(announcement.data()) != 0)
            fail("pipe");
        process_ = ::fork();
        if (process_ < 0)
            fail("fork");
        if (process_ == 0)
            be_server(serve, announcement[1], core);
        ::close(announcement[1]);
        const bool started = ::read(announcement[0], &port_, sizeof port_) == sizeof port_;
        ::close(announcement[0]);
        if (!started)
            throw std::runtime_error{std::string{name_} + ": the server did not start"};
    }

    [[noreturn]] void be_server(void (*serve)(int announce), int announce, int core) {
        try {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL); // whatever becomes of the measuring process, no server stays behind
            pin_to(core);
            serve(announce);
        } catch (const std::exception& error) {
            std::cerr << name_ << ": " << error.what() << '\n';
        }
        ::_exit(1);
    }

    /// What getrusage() reports to the server itself, user and system, readable from outside and in nanoseconds.
    [[nodiscard]] std::chrono::nanoseconds processor_time() const {
        clockid_t clock{};
        timespec time{};
        if (::clock_getcpuclockid(process_, &clock) != 0 || ::clock_gettime(clock, &time) != 0)
            throw std::runtime_error{"the server has gone"};
        return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
    }

    const char* name_;
    pid_t process_ = -1;
    std::uint16_t port_ = 0;
    std::optional<echo_load> load_;
};

void compare(std::size_t connections, int pairs, std::chrono::nanoseconds turn) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    const auto [server_core, load_core] = two_cores();
    pin_to(load_core);

    server ours{"coir", serve_echo_by_coir, server_core};
    server peer{"libev", serve_echo_by_libev, server_core};
    ours.connect(connections);
    peer.connect(connections);
    ours.measure(turn); // warm-up
    peer.measure(turn);
    for (int i = 0; i < pairs; ++i) {
        const double by_coir = ours.measure(turn);
        const double by_libev = peer.measure(turn);
        std::cout << by_coir << ' ' << by_libev << std::endl;
    }
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 4)
        throw std::runtime_error{"usage: echo_bench CONNECTIONS PAIRS SECONDS_PER_TURN"};
    compare(std::stoul(argv[1]), std::stoi(argv[2]),
            std::chrono::nanoseconds{static_cast<std::int64_t>(std::stod(argv[3]) * 1e9)});
} catch (const std::exception& error) {
    std::cerr << "echo_bench: " << error.what() << '\n';
    return 1;
}
