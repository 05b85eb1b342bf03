#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <arpa/inet.h>
#include <chrono>
#include <ctime>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <set>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using net::endpoint;
using net::tcp_listener;
using net::tcp_stream;

using listener = descriptors;

TEST_F(listener, port_that_the_system_chooses) {
    coir::run([] {
        const tcp_listener none;
        EXPECT_FALSE(none);
        tcp_listener made{"127.0.0.1", 0};
        EXPECT_TRUE(made);
        EXPECT_NE(made.local_endpoint().port(), 0);
        EXPECT_EQ(made.local_endpoint().address(), "127.0.0.1");
        EXPECT_NE(::fcntl(made.native_handle(), F_GETFD) & FD_CLOEXEC, 0);
    });
}

TEST_F(listener, an_adopted_one_sends_at_once_too) {
    coir::run([] {
        raw made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        ASSERT_EQ(::listen(made.get(), 1), 0); // at a port that the system chooses
        tcp_listener adopted{io::descriptor{made.take()}};
        const tcp_stream near{endpoint{"127.0.0.1", adopted.local_endpoint().port()}, 5s};
        int at_once = 0;
        socklen_t size = sizeof at_once;
        const tcp_stream far = adopted.accept(5s);
        ASSERT_EQ(::getsockopt(far.native_handle(), IPPROTO_TCP, TCP_NODELAY, &at_once, &size), 0);
        EXPECT_EQ(at_once, 1);
    });
}

TEST_F(listener, every_local_address_takes_both_families) {
    coir::run([] {
        tcp_listener made{"", 0};
        const tcp_stream v4{endpoint{"127.0.0.1", made.local_endpoint().port()}, 5s};
        EXPECT_TRUE(made.accept(5s));
        if (made.local_endpoint().is_v6()) {
            const tcp_stream v6{endpoint{"::1", made.local_endpoint().port()}, 5s};
            EXPECT_TRUE(made.accept(5s));
        }
    });
}

TEST_F(listener, errors_name_the_endpoint) {
    coir::run([] {
        const tcp_listener first{"127.0.0.1", 0};
        const endpoint taken = first.local_endpoint();
        try {
            const tcp_listener second{taken};
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::address_in_use);
            EXPECT_EQ(failure.what(), "listen on " + taken.to_string() + ": Address already in use");
        }
        std::error_code error;
        EXPECT_FALSE((tcp_listener{taken, {}, error}));
        EXPECT_EQ(error, std::errc::address_in_use);
        EXPECT_TRUE((tcp_listener{endpoint{"127.0.0.1", 0}, {}, error}));
        EXPECT_FALSE(error);
        EXPECT_EQ(thrown_by([] { tcp_listener("192.0.2.1", 0); }), std::errc::address_not_available);
        EXPECT_THROW(tcp_listener("localhost", 0), std::system_error);
        const net::udp_socket other{endpoint{"127.0.0.1", 0}};
        EXPECT_EQ(message_of([&] { tcp_listener{io::descriptor{::dup(other.native_handle())}}; }),
                  "net::tcp_listener on " + other.local_endpoint().to_string() +
                      ": not a listening socket of this kind: Invalid argument");
        EXPECT_EQ(message_of([] { (void)tcp_listener{}.local_endpoint(); }),
                  "net: local endpoint on descriptor -1: Bad file descriptor");
    });
    EXPECT_THROW(tcp_listener("127.0.0.1", 0), std::logic_error);
    EXPECT_EQ(error_of([](auto& error) {
                  tcp_listener(endpoint{"127.0.0.1", 0}, {}, error);
              }),
              std::errc::operation_not_permitted);
}

TEST_F(listener, listens_again_right_after_connections) {
    coir::run([] {
        std::optional<tcp_listener> first{std::in_place, "127.0.0.1", 0};
        const endpoint where = first->local_endpoint();
        tcp_stream near{where, 5s};
        first->accept(5s).close(); // this side is in TIME_WAIT
        first.reset();
        const tcp_listener again{where};
        EXPECT_EQ(again.local_endpoint(), where);
    });
}

TEST_F(listener, several_share_a_port) {
    coir::run([] {
        tcp_listener first{endpoint{"127.0.0.1", 0}, {.reuse_port = true}};
        tcp_listener second{first.local_endpoint(), {.reuse_port = true}};
        std::vector<tcp_stream> clients;
        for (int i = 0; i < 50; ++i)
            clients.emplace_back(first.local_endpoint(), 5s);
        int accepted = 0;
        for (tcp_listener* each : {&first, &second}) {
            std::error_code error;
            while (each->accept(error, deadline::passed()))
                ++accepted;
            EXPECT_EQ(error, std::errc::timed_out);
        }
        EXPECT_EQ(accepted, 50);
    });
}

TEST_F(listener, accept_ends_at_its_deadline_and_when_cancelled_or_closed) {
    coir::run([] {
        tcp_listener made{"127.0.0.1", 0};
        const auto start = clock::now();
        EXPECT_EQ(thrown_by([&] { made.accept(2ms); }), std::errc::timed_out);
        EXPECT_GE(clock::now() - start, 2ms);
        auto thrower = spawn([&] { made.accept(); });
        auto reporter = spawn([&] { return error_of([&](auto& error) { made.accept(error); }); });
        auto closed = spawn([&] { return error_of([&](auto& error) { made.accept(error); }); });
        this_fiber::sleep_for(100us);
        thrower.cancel();
        reporter.cancel();
        EXPECT_THROW(thrower.join(), cancelled);
        EXPECT_EQ(reporter.join(), std::errc::operation_canceled);
        made.close();
        EXPECT_EQ(closed.join(), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { made.accept(); }), std::errc::bad_file_descriptor);
    });
}

TEST_F(listener, a_hundred_fibers_accept_each_connection_once) {
    coir::run([] {
        tcp_listener made{"127.0.0.1", 0};
        std::set<std::uint16_t> accepted;
        std::vector<fiber<void>> servers;
        for (int i = 0; i < 100; ++i)
            servers.push_back(spawn([&] {
                for (int round = 0; round < 3; ++round) {
                    tcp_stream peer = made.accept(20s);
                    EXPECT_TRUE(accepted.insert(peer.remote_endpoint().port()).second);
                    std::array<std::byte, 8> buffer{};
                    const std::size_t n = peer.read_some(buffer, 20s);
                    peer.write_all(std::span{buffer}.first(n), 20s);
                }
            }));
        std::vector<fiber<void>> clients;
        for (int i = 0; i < 300; ++i)
            clients.push_back(spawn([&] {
                tcp_stream server{made.local_endpoint(), 20s};
                server.write_all(bytes_of("hello"), 20s);
                std::array<std::byte, 5> buffer{};
                EXPECT_EQ(server.read_all(buffer, 20s), 5U);
            }));
        for (auto& each : clients)
            each.join();
        for (auto& each : servers)
            each.join();
        EXPECT_EQ(accepted.size(), 300U);
    });
}

// Connections that were reset while queued are no error of the listener.
TEST_F(listener, dead_connections_in_the_queue) {
    coir::run([] {
        tcp_listener made{"127.0.0.1", 0};
        for (int i = 0; i < 10; ++i) {
            tcp_stream dead{made.local_endpoint(), 5s};
            const linger at_once{1, 0};
            ::setsockopt(dead.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        }
        tcp_stream alive{made.local_endpoint(), 5s};
        alive.write_all(bytes_of("x"));
        int found = 0;
        std::error_code error;
        while (tcp_stream peer = made.accept(error, 20ms)) {
            std::array<std::byte, 1> byte{};
            std::error_code failed;
            found += peer.read_some(byte, failed, 5s) == 1 ? 1 : 0;
        }
        EXPECT_EQ(error, std::errc::timed_out);
        EXPECT_EQ(found, 1);
    });
}

// No descriptor left (hazard F4). In a child, because the limit is the process's; its exit status tells what failed.
int accept_without_descriptors() {
    const rlimit limit{64, 64};
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return coir::run([]() -> int {
        tcp_listener made{"127.0.0.1", 0};
        // Clients that connect by themselves: their descriptors are another process's.
        const sockaddr_in where = *static_cast<const sockaddr_in*>(made.local_endpoint().native());
        const pid_t crowd = fork_dependent();
        if (crowd == 0) {
            std::vector<int> all;
            for (int i = 0; i < 50; ++i) {
                const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (client == -1 || ::connect(client, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0)
                    break;
                all.push_back(client);
            }
            ::pause();
        }
        std::vector<raw> hoard;
        while (hoard.empty() || hoard.back().get() != -1)
            hoard.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        hoard.pop_back();
        int status = 0;
        std::error_code error;
        // A server that just tries again, for half a second.
        const std::clock_t cpu = std::clock();
        const auto start = clock::now();
        int errors = 0;
        while (clock::now() - start < 500ms) {
            if (made.accept(error) || error != std::errc::too_many_files_open)
                status = 10;
            ++errors;
        }
        if (errors > 10)
            status = 11;
        if (std::clock() - cpu > CLOCKS_PER_SEC / 40) // 5 %
            status = 12;
        // The deadline is shorter than the pause; cancellation ends it.
        const auto before = clock::now();
        made.accept(error, 5ms);
        if (clock::now() - before > 80ms)
            status = 13;
        auto waiting = spawn([&] { made.accept(); });
        this_fiber::sleep_for(1ms);
        waiting.cancel();
        try {
            waiting.join();
            status = 14;
        } catch (const cancelled&) {}
        // Closed during the pause, after which there is another one at its number.
        const int number = hoard.back().take();
        ::dup2(made.native_handle(), number);
        tcp_listener closed{io::descriptor{number}};
        auto accepting = spawn([&] { return error_of([&](auto& failed) { closed.accept(failed); }); });
        this_fiber::sleep_for(1ms);
        closed.close();
        hoard.back().reset(::dup2(made.native_handle(), number));
        if (accepting.join() != std::errc::bad_file_descriptor)
            status = 16;
        // Closing a few is enough to go on, with the connections that wait.
        for (int i = 0; i < 5; ++i)
            hoard.pop_back();
        for (int i = 0; i < 5; ++i)
            if (!made.accept(error, 5s))
                status = 15;
        ::kill(crowd, SIGKILL);
        ::waitpid(crowd, nullptr, 0);
        return status;
    });
}

TEST_F(listener, survives_without_descriptors_and_without_spinning) {
    EXPECT_EQ(in_child(accept_without_descriptors), 0);
}

} // namespace
} // namespace coir::test
