#include "io/descriptors.hpp"
#include "net/abstract_name.hpp"

#include <coir/coir.hpp>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using net::endpoint;
using net::serve_options;
using net::tcp_listener;
using net::tcp_stream;

using serve = descriptors;

void echo(tcp_stream peer) {
    std::array<std::byte, 256> buffer{};
    while (const std::size_t size = peer.read_some(buffer, 20s))
        peer.write_all(std::span{buffer}.first(size), 20s);
}

std::string ask(tcp_stream& stream, std::string_view question) {
    stream.write_all(bytes_of(question), 20s);
    std::string answer(question.size(), '\0');
    stream.read_all(std::as_writable_bytes(std::span{answer}), 20s);
    return answer;
}

TEST_F(serve, each_connection_has_a_fiber_named_after_its_peer) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        const endpoint where = listener.local_endpoint();
        event stop;
        std::vector<std::string> names;
        auto server = spawn([&] {
            net::serve(listener,
                       [&](tcp_stream peer) {
                           names.emplace_back(this_fiber::name());
                           echo(std::move(peer));
                       },
                       {.stop = &stop});
        });
        std::vector<tcp_stream> clients;
        for (int i = 0; i < 20; ++i)
            clients.emplace_back(where, 5s);
        for (tcp_stream& each : clients)
            EXPECT_EQ(ask(each, "hello"), "hello");
        for (const tcp_stream& each : clients)
            EXPECT_EQ(std::ranges::count(names, each.local_endpoint().to_string()), 1);
        clients.clear();
        stop.set();
        server.join();
        EXPECT_EQ(error_of([&](auto& error) { tcp_stream(where, error, 5s); }), std::errc::connection_refused);
    });
}

TEST_F(serve, over_unix_sockets) {
    coir::run([] {
        const auto where = abstract_name("serve");
        net::unix_listener listener{where};
        std::string name;
        auto server = spawn([&] {
            net::serve(listener, [&](net::unix_stream peer) {
                name = this_fiber::name();
                peer.write_all(bytes_of("!"), 5s);
            });
        });
        net::unix_stream client{where, 5s};
        std::array<std::byte, 2> buffer{};
        EXPECT_EQ(client.read_all(buffer, 5s), 1U);
        EXPECT_EQ(name, "process " + std::to_string(::getpid()) + " on " + where.to_string());
        server.cancel();
        EXPECT_THROW(server.join(), cancelled);
        net::unix_seqpacket_listener packets{where};
        auto second =
            spawn([&] { net::serve(packets, [](net::unix_seqpacket peer) { peer.send(bytes_of("packet"), 5s); }); });
        net::unix_seqpacket other{where, 5s};
        std::array<std::byte, 10> message{};
        EXPECT_EQ(other.receive(message, 5s).size, 6U);
    });
}

TEST_F(serve, no_more_connections_than_allowed) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        event stop;
        int now = 0;
        int most = 0;
        int all = 0;
        auto server = spawn([&] {
            net::serve(listener,
                       [&](tcp_stream peer) {
                           most = std::max(most, ++now);
                           ++all;
                           std::array<std::byte, 8> buffer{};
                           peer.write_all(std::span{buffer}.first(peer.read_some(buffer, 20s)), 20s);
                           --now;
                       },
                       {.max_connections = 3, .stop = &stop});
        });
        // Ten connect at once: the backlog keeps those that do not fit. The first to be served let the others in.
        std::vector<tcp_stream> clients;
        for (int i = 0; i < 10; ++i)
            clients.emplace_back(listener.local_endpoint(), 5s);
        this_fiber::sleep_for(5ms);
        EXPECT_EQ(all, 3);
        for (tcp_stream& each : clients)
            EXPECT_EQ(ask(each, "x"), "x");
        EXPECT_EQ(most, 3);
        EXPECT_EQ(all, 10);
        clients.clear();
        // It stops also while it waits for a place.
        std::vector<tcp_stream> silent;
        for (int i = 0; i < 4; ++i)
            silent.emplace_back(listener.local_endpoint(), 5s);
        this_fiber::sleep_for(5ms);
        stop.set();
        silent.clear();
        server.join();
        EXPECT_EQ(all, 13);
    });
}

TEST_F(serve, failures_of_handlers_are_reported_and_the_others_go_on) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        event stop;
        std::vector<std::string> reports;
        auto server = spawn([&] {
            net::serve(listener,
                       [](tcp_stream peer) {
                           std::array<std::byte, 1> byte{};
                           peer.read_all(byte, 20s);
                           if (byte[0] == std::byte{'!'})
                               throw std::runtime_error{"cannot do that"};
                           if (byte[0] == std::byte{'?'})
                               throw 42; // NOLINT: anything
                           peer.write_all(byte, 20s);
                       },
                       {.stop = &stop, .on_error = [&](const std::exception_ptr& failure, std::string_view peer) {
                            try {
                                std::rethrow_exception(failure);
                            } catch (const std::exception& known) {
                                reports.push_back(std::string{peer} + ": " + known.what());
                            } catch (int) {
                                reports.push_back(std::string{peer} + ": a number");
                            }
                        }});
        });
        tcp_stream good{listener.local_endpoint(), 5s};
        tcp_stream bad{listener.local_endpoint(), 5s};
        tcp_stream worse{listener.local_endpoint(), 5s};
        const std::string bad_name = bad.local_endpoint().to_string();
        bad.write_all(bytes_of("!"), 5s);
        std::array<std::byte, 1> byte{};
        EXPECT_EQ(bad.read_some(byte, 5s), 0U); // closed
        worse.write_all(bytes_of("?"), 5s);
        EXPECT_EQ(worse.read_some(byte, 5s), 0U);
        EXPECT_EQ(ask(good, "x"), "x");
        stop.set();
        server.join();
        ASSERT_EQ(reports.size(), 2U);
        EXPECT_EQ(reports[0], bad_name + ": cannot do that");
        EXPECT_EQ(reports[1], worse.local_endpoint().to_string() + ": a number");
    });
}

TEST_F(serve, failures_are_said_on_stderr_by_default) {
    testing::internal::CaptureStderr();
    std::string peer;
    coir::run([&] {
        tcp_listener listener{"127.0.0.1", 0};
        auto server =
            spawn([&] { net::serve(listener, [](const tcp_stream&) { throw std::runtime_error{"cannot do that"}; }); });
        tcp_stream client{listener.local_endpoint(), 5s};
        peer = client.local_endpoint().to_string();
        std::array<std::byte, 1> byte{};
        EXPECT_EQ(client.read_some(byte, 5s), 0U);
    });
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("net::serve: " + peer + ": "), std::string::npos) << said;
    EXPECT_NE(said.find("cannot do that"), std::string::npos) << said;
}

TEST_F(serve, what_on_error_throws_ends_it) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        auto server = spawn([&] {
            net::serve(
                listener, [](const tcp_stream&) { throw std::runtime_error{"first"}; },
                {.on_error = [](const std::exception_ptr&, std::string_view) { throw std::domain_error{"enough"}; }});
        });
        const tcp_stream client{listener.local_endpoint(), 5s};
        EXPECT_THROW(server.join(), std::domain_error);
        EXPECT_FALSE(listener);
    });
}

TEST_F(serve, drains_before_it_returns) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        event stop;
        bool finished = false;
        auto server = spawn([&] {
            net::serve(listener,
                       [&](tcp_stream peer) {
                           std::array<std::byte, 1> byte{};
                           peer.read_all(byte, 20s);
                           peer.write_all(byte, 20s);
                           finished = true;
                       },
                       {.stop = &stop, .drain = 20s});
        });
        tcp_stream client{listener.local_endpoint(), 5s};
        this_fiber::sleep_for(2ms); // accepted
        stop.set();
        this_fiber::sleep_for(2ms);
        EXPECT_FALSE(listener);
        EXPECT_EQ(ask(client, "x"), "x"); // the request that was under way is answered
        server.join();
        EXPECT_TRUE(finished);
    });
}

TEST_F(serve, cancels_who_is_not_done_at_the_drain_deadline) {
    for (const bool by_cancelling : {false, true})
        coir::run([by_cancelling] {
            tcp_listener listener{"127.0.0.1", 0};
            event stop;
            int cancelled_handlers = 0;
            auto server = spawn([&] {
                net::serve(listener,
                           [&](tcp_stream peer) {
                               std::array<std::byte, 1> byte{};
                               try {
                                   peer.read_all(byte);
                               } catch (const cancelled&) {
                                   ++cancelled_handlers;
                                   throw;
                               }
                           },
                           {.stop = &stop, .drain = 30ms, .on_error = [](auto, auto) { ADD_FAILURE() << "told to"; }});
            });
            const tcp_stream first{listener.local_endpoint(), 5s};
            const tcp_stream second{listener.local_endpoint(), 5s};
            this_fiber::sleep_for(2ms);
            const auto start = clock::now();
            if (by_cancelling) {
                server.cancel();
                EXPECT_THROW(server.join(), cancelled);
            } else {
                stop.set();
                server.join();
            }
            EXPECT_GE(clock::now() - start, 30ms);
            EXPECT_EQ(cancelled_handlers, 2);
        });
}

// Whoever has not been cancelled may fail in this way for another reason.
TEST_F(serve, a_cancelled_handler_may_end_by_an_error_code) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        event stop;
        int begun = 0;
        std::vector<std::string> told;
        const auto on_error = [&](const std::exception_ptr& failure, std::string_view) {
            told.push_back(message_of([&] { std::rethrow_exception(failure); }));
        };
        auto server = spawn([&] {
            net::serve(listener,
                       [&](tcp_stream peer) {
                           ++begun;
                           std::array<std::byte, 1> byte{};
                           std::error_code error;
                           if (peer.read_all(byte, error) == 1)
                               throw std::system_error(std::make_error_code(std::errc::operation_canceled), "not told");
                           throw std::system_error(error, "told");
                       },
                       {.stop = &stop, .drain = 0s, .on_error = on_error});
        });
        tcp_stream first{listener.local_endpoint(), 5s};
        first.write_all("x", 5s);
        std::array<std::byte, 1> end{};
        EXPECT_EQ(first.read_some(end, 5s), 0U);
        const tcp_stream second{listener.local_endpoint(), 5s};
        while (begun < 2)
            this_fiber::yield();
        stop.set();
        server.join();
        EXPECT_EQ(told, std::vector<std::string>{"not told: Operation canceled"});
    });
}

TEST_F(serve, cancellation_lets_handlers_finish) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        auto server = spawn([&] { net::serve(listener, echo); });
        tcp_stream client{listener.local_endpoint(), 5s};
        EXPECT_EQ(ask(client, "x"), "x");
        server.cancel();
        this_fiber::sleep_for(1ms);
        EXPECT_EQ(ask(client, "still"), "still");
        client.close();
        EXPECT_THROW(server.join(), cancelled);
    });
}

// For a listener of both families an IPv4 client is at ::ffff:127.0.0.1.
TEST_F(serve, an_ipv4_client_is_named_as_it_names_itself) {
    bool skipped = false;
    coir::run([&skipped] {
        tcp_listener listener{"", 0};
        if (listener.local_endpoint().is_v4()) {
            skipped = true;
            return;
        }
        event stop;
        std::string name;
        std::string failed;
        std::string message;
        auto server = spawn([&] {
            net::serve(listener,
                       [&](tcp_stream peer) {
                           name = this_fiber::name();
                           EXPECT_EQ(peer.remote_endpoint().unmapped().to_string(), name);
                           message = message_of([&] { echo(std::move(peer)); });
                           throw std::runtime_error{"done"};
                       },
                       {.stop = &stop, .on_error = [&](auto, auto endpoint) { failed = endpoint; }});
        });
        tcp_stream client{endpoint{"127.0.0.1", listener.local_endpoint().port()}, 5s};
        const std::string own = client.local_endpoint().to_string();
        EXPECT_EQ(ask(client, "hello"), "hello");
        client.set_linger(0s);
        client.close();
        stop.set();
        server.join();
        EXPECT_EQ(name, own);
        EXPECT_EQ(failed, own);
        EXPECT_EQ(message, "io::read_some with " + own + ": Connection reset by peer");
    });
    if (skipped)
        GTEST_SKIP() << "this machine has no IPv6";
}

TEST_F(serve, ends_when_the_listener_is_closed_or_useless) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        auto server = spawn([&] { net::serve(listener, echo); });
        this_fiber::sleep_for(1ms);
        listener.close();
        server.join();
        // Not "as if it had been told to stop": that would hide a mistake.
        EXPECT_EQ(thrown_by([&] { net::serve(listener, echo); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(message_of([] {
                      tcp_listener none;
                      net::serve(none, echo);
                  }),
                  "net::serve: Bad file descriptor");
        tcp_listener other{"127.0.0.1", 0};
        EXPECT_THROW(net::serve(other, echo, {.max_connections = 0}), std::invalid_argument);
        EXPECT_THROW(net::serve(other, std::function<void(tcp_stream)>{}), std::invalid_argument);
        event stopped;
        stopped.set();
        net::serve(other, echo, {.stop = &stopped}); // at once
        EXPECT_FALSE(other);
        tcp_listener third{"127.0.0.1", 0};
        ::shutdown(third.native_handle(), SHUT_RDWR); // no listener any more
        EXPECT_EQ(thrown_by([&] { net::serve(third, echo); }), std::errc::invalid_argument);
    });
    tcp_listener none;
    EXPECT_THROW(net::serve(none, echo), std::logic_error);
}

TEST_F(serve, ends_with_the_loop_and_with_a_scope) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        EXPECT_EQ(thrown_by([&] { with_timeout(5ms, [&] { net::serve(listener, echo, {.drain = 10ms}); }); }),
                  std::errc::timed_out);
    });
    coir::run([] {
        spawn([] {
            tcp_listener listener{"127.0.0.1", 0};
            tcp_stream client{listener.local_endpoint(), 5s};
            auto other = spawn([&] {
                std::array<std::byte, 1> byte{};
                client.read_all(byte, 20s);
            });
            net::serve(listener, echo);
        }).detach();
        this_fiber::sleep_for(2ms);
    });
}

// 200 clients for a process that may have 64 descriptors (hazard F4). Exit status: what failed.
int storm() {
    const rlimit limit{64, 64};
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return coir::run([]() -> int {
        tcp_listener listener{endpoint{"127.0.0.1", 0}, {.backlog = 512}};
        const endpoint where = listener.local_endpoint();
        std::array<int, 2> go{};
        std::array<int, 2> done{};
        if (::pipe2(go.data(), O_CLOEXEC) != 0 || ::pipe2(done.data(), O_CLOEXEC) != 0)
            return 10;
        const pid_t crowd = fork_dependent();
        if (crowd == 0) { // their descriptors are another process's; 56 a process
            for (int process = 0; process < 3; ++process)
                if (::fork() == 0)
                    break;
            std::vector<int> all;
            const auto* address = static_cast<const sockaddr*>(where.native());
            for (int i = 0; i < 50; ++i) {
                const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (client == -1 || ::connect(client, address, static_cast<socklen_t>(where.native_size())) != 0)
                    ::_exit(1);
                all.push_back(client);
            }
            char byte = 'c';
            (void)!::write(done[1], &byte, 1);
            (void)!::read(go[0], &byte, 1);
            int answered = 0;
            for (const int each : all) {
                // Closing each gives the server its descriptor back.
                answered += ::write(each, &byte, 1) == 1 && ::read(each, &byte, 1) == 1 ? 1 : 0;
                ::close(each);
            }
            byte = answered == 50 ? 'y' : 'n';
            (void)!::write(done[1], &byte, 1);
            ::_exit(0);
        }
        event stop;
        int reports = 0;
        auto server = spawn([&] {
            net::serve(listener, echo,
                       {.stop = &stop, .on_error = [&](const std::exception_ptr&, std::string_view) { ++reports; }});
        });
        char byte = 0;
        for (int i = 0; i < 4; ++i)
            io::read_all(done[0], std::as_writable_bytes(std::span{&byte, 1}), 20s);
        bool is_idle = false;
        for (int i = 0; !is_idle && i < 3; ++i) { // at first it accepts what it can
            const std::clock_t cpu = std::clock();
            this_fiber::sleep_for(500ms);
            is_idle = std::clock() - cpu <= CLOCKS_PER_SEC / 40; // 5 %
        }
        if (!is_idle)
            return 11;
        if (reports != 1)
            return 12;
        io::write_all(go[1], bytes_of("gogo"), 5s);
        for (int i = 0; i < 4; ++i) {
            io::read_all(done[0], std::as_writable_bytes(std::span{&byte, 1}), 20s);
            if (byte != 'y')
                return 13;
        }
        stop.set();
        server.join();
        ::waitpid(crowd, nullptr, 0);
        return 0;
    });
}

TEST_F(serve, survives_a_storm_without_descriptors) {
    EXPECT_EQ(in_child(storm), 0);
}

} // namespace
} // namespace coir::test
