#include "io/descriptors.hpp"
#include "net/black_hole.hpp"
#include "net/dns_server.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using net::address_family;
using net::connect;
using net::endpoint;
using net::host_connect_options;
using net::resolver;
using net::resolver_errc;
using net::tcp_listener;
using net::tcp_stream;
using packets = std::vector<dns::packet>;

using by_name = descriptors;

endpoint nobody(const char* address = "127.0.0.1") {
    return tcp_listener{address, 0}.local_endpoint();
}

bool has_v6() {
    return !thrown_by([] { const tcp_listener made{endpoint{"::1", 0}}; });
}

TEST_F(by_name, first_of_several) {
    coir::run([] {
        tcp_listener first{"127.0.0.1", 0};
        tcp_listener second{"127.0.0.1", 0};
        const std::vector<endpoint> all{first.local_endpoint(), second.local_endpoint()};
        const tcp_stream near = connect(all, {}, 5s);
        EXPECT_EQ(near.remote_endpoint(), first.local_endpoint());
        std::error_code error;
        const tcp_stream other = connect(all, error, {}, 5s);
        EXPECT_FALSE(error);
        EXPECT_TRUE(other);
    });
}

TEST_F(by_name, refused_at_first) {
    coir::run([] {
        tcp_listener good{"127.0.0.1", 0};
        host_connect_options options;
        options.attempt_delay = 1h; // a failure does not wait for it
        const std::vector<endpoint> all{nobody(), nobody(), good.local_endpoint()};
        EXPECT_EQ(connect(all, options, 10s).remote_endpoint(), good.local_endpoint());
    });
}

// The family of the first one begins, and then they take turns.
TEST_F(by_name, in_the_order_they_are_given_but_for_the_families) {
    coir::run([] {
        if (!has_v6())
            GTEST_SKIP() << "no IPv6 here";
        const std::vector<endpoint> all{nobody("127.0.0.1"), nobody("127.0.0.1"), nobody("::1"), nobody("::1")};
        const std::string said = message_of([&] { static_cast<void>(connect(all, {}, 5s)); });
        std::size_t last = 0;
        for (const std::size_t each : {0U, 2U, 1U, 3U}) {
            const std::size_t place = said.find(all[each].to_string());
            ASSERT_NE(place, std::string::npos) << said;
            EXPECT_GT(place, last) << said;
            last = place;
        }
    });
}

TEST_F(by_name, attempts_have_the_options_of_a_connection) {
    coir::run([] {
        tcp_listener v4{"127.0.0.1", 0};
        host_connect_options options;
        options.attempts.local = endpoint{"127.0.0.2", 0};
        options.attempts.connection.receive_buffer = 30'000;
        options.attempts.connection.no_delay = false;
        const std::vector<endpoint> only_v4{v4.local_endpoint()};
        const tcp_stream near = connect(only_v4, options, 5s);
        EXPECT_EQ(near.local_endpoint().address(), "127.0.0.2");
        EXPECT_EQ(near.receive_buffer(), 60'000U); // the kernel doubles it
        EXPECT_FALSE(near.no_delay());
        options.attempts.local = endpoint{"192.0.2.1", 0}; // not of this machine
        EXPECT_EQ(thrown_by([&] { static_cast<void>(connect(only_v4, options, 5s)); }),
                  std::errc::address_not_available);
        if (!has_v6())
            return;
        // The other family has nothing to do with it.
        tcp_listener v6{"::1", 0};
        const std::vector<endpoint> both{v4.local_endpoint(), v6.local_endpoint()};
        const tcp_stream other = connect(both, options, 5s);
        EXPECT_EQ(other.remote_endpoint(), v6.local_endpoint());
        EXPECT_EQ(other.receive_buffer(), 60'000U);
        options.attempts.local = endpoint{"::1", 0};
        EXPECT_EQ(connect(only_v4, options, 5s).local_endpoint().address(), "127.0.0.1");
    });
}

TEST_F(by_name, all_errors_are_told) {
    coir::run([] {
        const std::vector<endpoint> all{nobody(), nobody()};
        try {
            static_cast<void>(connect(all, {}, 5s));
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::connection_refused);
            EXPECT_EQ(failure.what(), "connect to one of several addresses (" + all[0].to_string() +
                                          ": Connection refused; " + all[1].to_string() +
                                          ": Connection refused): Connection refused");
        }
        EXPECT_EQ(error_of([&](auto& error) { static_cast<void>(connect(all, error, {}, 5s)); }),
                  std::errc::connection_refused);
    });
}

TEST_F(by_name, no_addresses) {
    coir::run([] {
        const std::vector<endpoint> none;
        EXPECT_EQ(thrown_by([&] { static_cast<void>(connect(none)); }), std::errc::invalid_argument);
        const std::string message = message_of([&] { static_cast<void>(connect(none)); });
        EXPECT_NE(message.find("no addresses were given"), std::string::npos) << message;
    });
}

TEST_F(by_name, silent_at_first) {
    coir::run([] {
        const black_hole silent;
        if (!silent.swallows())
            GTEST_SKIP() << "this system does not drop connections beyond the backlog";
        tcp_listener good{"127.0.0.1", 0};
        host_connect_options options;
        options.attempt_delay = 20ms;
        const std::vector<endpoint> all{silent.where(), silent.where(), good.local_endpoint()};
        const auto start = clock::now();
        EXPECT_EQ(connect(all, options, 10s).remote_endpoint(), good.local_endpoint());
        EXPECT_GE(clock::now() - start, 40ms);
        // By default it has a quarter of a second.
        const std::vector<endpoint> two{silent.where(), good.local_endpoint()};
        const auto again = clock::now();
        EXPECT_EQ(connect(two, {}, 10s).remote_endpoint(), good.local_endpoint());
        EXPECT_GE(clock::now() - again, 250ms);
    });
}

TEST_F(by_name, deadline_and_cancellation) {
    coir::run([] {
        const black_hole silent;
        if (!silent.swallows())
            GTEST_SKIP() << "this system does not drop connections beyond the backlog";
        const std::size_t before = open_descriptors();
        const std::vector<endpoint> all{nobody(), silent.where()};
        try {
            static_cast<void>(connect(all, {}, 5ms));
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::timed_out);
            EXPECT_NE(std::string{failure.what()}.find(all[0].to_string() + ": Connection refused"), std::string::npos);
            EXPECT_NE(std::string{failure.what()}.find(all[1].to_string() + ": no answer yet"), std::string::npos);
        }
        EXPECT_EQ(error_of([&](auto& error) { static_cast<void>(connect(all, error, {}, 5ms)); }),
                  std::errc::timed_out);
        fiber<void> waiting = spawn([&] {
            EXPECT_EQ(error_of([&](auto& error) { static_cast<void>(connect(all, error)); }),
                      std::errc::operation_canceled);
            static_cast<void>(connect(all));
        });
        for (int i = 0; i < 10; ++i)
            this_fiber::yield();
        waiting.cancel();
        EXPECT_THROW(waiting.join(), cancelled);
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST_F(by_name, many_candidates_cancelled_at_every_moment) {
    coir::run([] {
        tcp_listener good{"127.0.0.1", 0};
        const std::vector<endpoint> all{nobody(), nobody(), good.local_endpoint(), good.local_endpoint()};
        host_connect_options options;
        options.attempt_delay = 0ns; // all at once
        const std::size_t before = open_descriptors();
        for (int turns = 0; turns < 30; ++turns) {
            fiber<void> waiting = spawn([&] { static_cast<void>(connect(all, options)); });
            for (int i = 0; i < turns; ++i)
                this_fiber::yield();
            waiting.cancel();
            try {
                waiting.join();
            } catch (const cancelled&) { // or it had ended
            }
        }
        EXPECT_EQ(open_descriptors(), before);
    });
}

// Answers with the addresses of this machine.
packets loopback(const dns::query& asked) {
    return {dns::response{asked}.address(asked.kind == dns::a ? "127.0.0.1" : "::1")};
}

net::resolver_options only(const dns::server& server) {
    net::resolver_options made;
    made.servers = {server.where()};
    made.search.emplace();
    made.configuration = made.hosts_file = "/nonexistent";
    return made;
}

TEST_F(by_name, a_host) {
    const dns::server server{loopback};
    coir::run([&] {
        resolver names{only(server)};
        host_connect_options options;
        options.names = &names;
        // Only one of the two addresses has somebody listening.
        tcp_listener listener{"127.0.0.1", 0};
        const std::uint16_t port = listener.local_endpoint().port();
        EXPECT_EQ(connect("host.test", port, options, 5s).remote_endpoint(), listener.local_endpoint());
        EXPECT_EQ(connect("host.test", std::to_string(port), options, 5s).remote_endpoint(), listener.local_endpoint());
        EXPECT_EQ(server.asked("host.test"), 2U); // then from the cache
        EXPECT_EQ(connect("127.0.0.1", port, options, 5s).remote_endpoint(), listener.local_endpoint());
        EXPECT_EQ(connect("localhost", port, {}, 5s).remote_endpoint(), listener.local_endpoint());
        options.family = address_family::v6;
        std::error_code error;
        EXPECT_FALSE(connect("host.test", port, error, options, 5s));
        EXPECT_TRUE(error);
        EXPECT_FALSE(connect("127.0.0.1", port, error, options, 5s));
        EXPECT_EQ(error, resolver_errc::no_data);
        EXPECT_FALSE(connect("host.test", "no-such-service", error, options, 5s));
        EXPECT_EQ(error, resolver_errc::unknown_service);
    });
}

TEST_F(by_name, v6_is_preferred_even_if_it_comes_later) {
    if (!coir::run(has_v6))
        GTEST_SKIP() << "no IPv6";
    const dns::server server{loopback};
    coir::run([&] {
        tcp_listener both{"", 0}; // of both families
        resolver names{only(server)};
        host_connect_options options;
        options.names = &names;
        options.resolution_delay = 10s;
        EXPECT_EQ(connect("host.test", both.local_endpoint().port(), options, 5s).remote_endpoint().address(), "::1");
    });
}

// What IPv6 has to say never comes: IPv4 does not wait for it.
TEST_F(by_name, one_family_without_an_answer) {
    const dns::server server{
        [](const dns::query& asked) { return asked.kind == dns::a ? loopback(asked) : packets{}; }};
    coir::run([&] {
        tcp_listener listener{"127.0.0.1", 0};
        resolver names{only(server)};
        host_connect_options options;
        options.names = &names;
        const auto start = clock::now();
        EXPECT_EQ(connect("host.test", listener.local_endpoint().port(), options, 20s).remote_endpoint(),
                  listener.local_endpoint());
        EXPECT_GE(clock::now() - start, 50ms);
        EXPECT_EQ(names.open_queries(), 0U);
    });
}

TEST_F(by_name, no_such_host) {
    const dns::server server{[](const dns::query& asked) -> packets {
        return {dns::response{asked, asked.name == "absent.test"                            ? dns::name_error
                                     : asked.name == "half.test" && asked.kind == dns::aaaa ? dns::server_failure
                                                                                            : dns::no_error}};
    }};
    coir::run([&] {
        resolver names{only(server)};
        host_connect_options options;
        options.names = &names;
        try {
            static_cast<void>(connect("absent.test", "http", options, 5s));
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.code(), resolver_errc::not_found);
            EXPECT_STREQ(failure.what(), "connect to absent.test, port http: no such name");
        }
        EXPECT_EQ(thrown_by([&] { static_cast<void>(connect("absent.test", 1, options, 5s)); }),
                  resolver_errc::not_found);
        EXPECT_EQ(error_of([&](auto& known) { static_cast<void>(names.resolve("absent.test", 1, known, {}, 5s)); }),
                  resolver_errc::not_found); // now the cache knows it for both families
        EXPECT_EQ(thrown_by([&] { static_cast<void>(connect("absent.test", 1, options, 5s)); }),
                  resolver_errc::not_found);
        std::error_code error;
        EXPECT_FALSE(connect("half.test", 1, error, options, 5s));
        EXPECT_EQ(error, resolver_errc::server_failure);
        EXPECT_FALSE(connect("empty.test", 1, error, options, 5s));
        EXPECT_EQ(error, resolver_errc::no_data);
        EXPECT_FALSE(connect("a..b", 1, error, options, 5s));
        EXPECT_EQ(error, resolver_errc::bad_name);
    });
}

TEST_F(by_name, the_resolver_is_silent) {
    const dns::server server{[](const dns::query&) -> packets { return {}; }};
    coir::run([&] {
        resolver names{only(server)};
        host_connect_options options;
        options.names = &names;
        EXPECT_EQ(error_of([&](auto& error) { static_cast<void>(connect("host.test", 1, error, options, 5ms)); }),
                  std::errc::timed_out);
        EXPECT_EQ(names.open_queries(), 0U);
        fiber<void> waiting = spawn([&] { static_cast<void>(connect("host.test", 1, options)); });
        for (int i = 0; i < 5; ++i)
            this_fiber::yield();
        waiting.cancel();
        EXPECT_THROW(waiting.join(), cancelled);
        EXPECT_EQ(names.open_queries(), 0U);
    });
}

TEST_F(by_name, outside_of_a_loop) {
    const std::vector<endpoint> all{endpoint{"127.0.0.1", 1}};
    EXPECT_THROW(static_cast<void>(connect(all)), std::logic_error);
    EXPECT_THROW(static_cast<void>(connect("localhost", 1)), std::logic_error);
    EXPECT_EQ(error_of([&](auto& error) { static_cast<void>(connect(all, error)); }),
              std::errc::operation_not_permitted);
    EXPECT_EQ(error_of([&](auto& error) { static_cast<void>(connect("localhost", 1, error)); }),
              std::errc::operation_not_permitted);
}

} // namespace
} // namespace coir::test
