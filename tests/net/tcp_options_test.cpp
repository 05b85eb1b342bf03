#include "emulation.hpp"
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using net::connect_options;
using net::endpoint;
using net::listen_options;
using net::tcp_keep_alive;
using net::tcp_listener;
using net::tcp_options;
using net::tcp_stream;

using tcp_options_of = descriptors;

struct connection {
    tcp_stream near;
    tcp_stream far;
};

connection connect(const listen_options& listening = {}, const connect_options& connecting = {}) {
    tcp_listener listener{endpoint{"127.0.0.1", 0}, listening};
    tcp_stream near{listener.local_endpoint(), connecting, 5s};
    return {std::move(near), listener.accept(5s)};
}

int number_of(const tcp_stream& stream, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    EXPECT_EQ(::getsockopt(stream.native_handle(), level, name, &value, &size), 0);
    return value;
}

const tcp_options unusual{.no_delay = false,
                          .keep_alive = tcp_keep_alive{.idle = 61s, .interval = 7s, .probes = 3},
                          .linger = 2s,
                          .user_timeout = 4321ms,
                          .send_buffer = 20'000,
                          .receive_buffer = 30'000};

void expect_unusual(const tcp_stream& stream) {
    EXPECT_FALSE(stream.no_delay());
    EXPECT_EQ(stream.keep_alive(), unusual.keep_alive);
    EXPECT_EQ(stream.linger(), 2s);
    EXPECT_EQ(stream.user_timeout(), 4321ms);
    EXPECT_EQ(stream.send_buffer(), 40'000U); // the kernel doubles it
    EXPECT_EQ(stream.receive_buffer(), 60'000U);
    EXPECT_EQ(number_of(stream, SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(number_of(stream, IPPROTO_TCP, TCP_KEEPINTVL), 7);
}

TEST_F(tcp_options_of, a_new_connection_are_the_defaults) {
    coir::run([] {
        const connection made = connect();
        for (const tcp_stream* each : {&made.near, &made.far}) {
            EXPECT_TRUE(each->no_delay());
            EXPECT_EQ(each->keep_alive(), std::nullopt);
            EXPECT_EQ(each->linger(), std::nullopt);
            EXPECT_EQ(each->user_timeout(), 0ms);
        }
    });
}

TEST_F(tcp_options_of, connecting_and_of_listening_hold_from_the_beginning) {
    coir::run([] {
        const connection connected = connect({}, {.connection = unusual});
        expect_unusual(connected.near);
        EXPECT_TRUE(connected.far.no_delay());
        const connection accepted = connect({.connections = unusual});
        expect_unusual(accepted.far);
        EXPECT_TRUE(accepted.near.no_delay());
    });
}

TEST_F(tcp_options_of, a_stream_can_be_changed) {
    coir::run([] {
        connection made = connect();
        tcp_stream& stream = made.near;
        stream.set_no_delay(false);
        stream.set_keep_alive(unusual.keep_alive);
        stream.set_linger(2s);
        stream.set_user_timeout(4321ms);
        stream.set_send_buffer(20'000);
        stream.set_receive_buffer(30'000);
        expect_unusual(stream);
        stream.set_no_delay(true);
        stream.set_keep_alive(std::nullopt);
        stream.set_linger(std::nullopt);
        EXPECT_TRUE(stream.no_delay());
        EXPECT_EQ(stream.keep_alive(), std::nullopt);
        EXPECT_EQ(stream.linger(), std::nullopt);
        stream.set_quick_ack(false);
        EXPECT_EQ(number_of(stream, IPPROTO_TCP, TCP_QUICKACK), 0);
        stream.set_quick_ack(true);
        EXPECT_EQ(number_of(stream, IPPROTO_TCP, TCP_QUICKACK), 1);
    });
}

// Who asks for it without being allowed to.
std::error_code refusal_of(const tcp_options& privileged) {
    std::error_code error;
    const tcp_listener made{endpoint{"127.0.0.1", 0}, {.connections = privileged}, error};
    return error;
}

TEST_F(tcp_options_of, packets_and_congestion) {
    if (is_emulated())
        GTEST_SKIP() << "the emulator does not know all of these";
    coir::run([] {
        const tcp_options chosen{.not_sent_low_water = 16'384,
                                 .congestion_control = "reno",
                                 .ip = {.traffic_class = 0xb8, .priority = 3, .interface = "lo"}};
        const connection connected = connect({}, {.connection = chosen});
        const connection accepted = connect({.connections = chosen});
        for (const tcp_stream* each : {&connected.near, &accepted.far}) {
            EXPECT_EQ(each->not_sent_low_water(), 16'384U);
            EXPECT_EQ(each->congestion_control(), "reno");
            EXPECT_EQ(each->traffic_class(), 0xb8);
            std::array<char, 16> interface {};
            socklen_t size = interface.size();
            EXPECT_EQ(::getsockopt(each->native_handle(), SOL_SOCKET, SO_BINDTODEVICE, interface.data(), &size), 0);
            EXPECT_STREQ(interface.data(), "lo");
        }
        EXPECT_EQ(connected.near.priority(), 3);
        EXPECT_EQ(accepted.far.priority(), 0); // the kernel's rule

        connection made = connect();
        tcp_stream& stream = made.near;
        EXPECT_EQ(stream.traffic_class(), 0);
        EXPECT_EQ(stream.not_sent_low_water(), 0U);
        stream.set_traffic_class(0x20);
        stream.set_priority(5);
        stream.set_not_sent_low_water(4096);
        stream.set_congestion_control("reno");
        EXPECT_EQ(stream.traffic_class(), 0x20);
        EXPECT_EQ(stream.priority(), 5);
        EXPECT_EQ(stream.not_sent_low_water(), 4096U);
        EXPECT_EQ(stream.congestion_control(), "reno");
        EXPECT_EQ(message_of([&] { stream.set_congestion_control("no-such"); }),
                  "net::tcp_stream::set_congestion_control with " + stream.remote_endpoint().to_string() +
                      ": No such file or directory");
        EXPECT_EQ(error_of([&](auto& error) { stream.set_congestion_control("reno-and-much-more", error); }),
                  std::errc::no_such_file_or_directory);
        EXPECT_EQ(thrown_by([] { connect({}, {.connection = {.ip = {.interface = "no-such"}}}); }),
                  std::errc::no_such_device);
        EXPECT_EQ(thrown_by([] { connect({.connections = {.ip = {.interface = "lo-and-much-more-than-that"}}}); }),
                  std::errc::no_such_device);
    });
    EXPECT_EQ(in_child([] {
                  if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0)
                      return 1;
                  return coir::run([] {
                      return refusal_of({.ip = {.mark = 7}}) == std::errc::operation_not_permitted &&
                                     refusal_of({.ip = {.priority = 7}}) == std::errc::operation_not_permitted
                                 ? 0
                                 : 2;
                  });
              }),
              0);
}

TEST_F(tcp_options_of, an_address_that_this_machine_does_not_have) {
    if (is_emulated())
        GTEST_SKIP() << "the emulator does not know IP_FREEBIND";
    coir::run([] {
        const endpoint elsewhere{"192.0.2.1", 0};
        EXPECT_EQ(thrown_by([&] { tcp_listener{elsewhere}; }), std::errc::address_not_available);
        const tcp_listener made{elsewhere, {.connections = {.ip = {.free_bind = true}}}};
        EXPECT_EQ(made.local_endpoint().address(), "192.0.2.1");
        const net::udp_socket socket{elsewhere, {.ip = {.free_bind = true}}};
        EXPECT_EQ(socket.local_endpoint().address(), "192.0.2.1");
        std::error_code error;
        const tcp_listener v6{endpoint{"2001:db8::1", 0}, {.connections = {.ip = {.free_bind = true}}}, error};
        EXPECT_TRUE(!error || error == std::errc::address_family_not_supported) << error.message();
    });
}

TEST_F(tcp_options_of, what_is_written_under_a_cork_is_sent_without_it) {
    coir::run([] {
        connection made = connect();
        made.near.set_cork(true);
        EXPECT_TRUE(made.near.cork());
        made.near.write_all(bytes_of("head"), 5s);
        made.near.write_all(bytes_of("body"), 5s);
        made.near.set_cork(false);
        EXPECT_FALSE(made.near.cork());
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(made.far.read_all(buffer, 5s), 8U);
        EXPECT_EQ(text_of(buffer), "headbody");
    });
}

TEST_F(tcp_options_of, values_that_make_no_sense_are_refused) {
    coir::run([] {
        connection made = connect();
        tcp_stream& stream = made.near;
        EXPECT_EQ(thrown_by([&] { stream.set_keep_alive(tcp_keep_alive{.idle = 0s}); }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { stream.set_keep_alive(tcp_keep_alive{.idle = std::chrono::hours{1'000'000}}); }),
                  std::errc::invalid_argument);
        EXPECT_EQ(stream.keep_alive(), std::nullopt); // as it was
        EXPECT_EQ(error_of([&](auto& error) { stream.set_linger(-1s, error); }), std::errc::invalid_argument);
        EXPECT_EQ(error_of([&](auto& error) { stream.set_user_timeout(-1ms, error); }), std::errc::invalid_argument);
        tcp_stream none;
        EXPECT_EQ(thrown_by([&] { none.set_no_delay(true); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { (void)none.linger(); }), std::errc::bad_file_descriptor);
        // Nothing is left of a connection, or of a listener, whose options are refused.
        EXPECT_EQ(thrown_by([&] { connect({}, {.connection = {.linger = -1s}}); }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { connect({.connections = {.user_timeout = -1ms}}); }), std::errc::invalid_argument);
    });
}

TEST_F(tcp_options_of, errors_name_the_peer) {
    coir::run([] {
        connection made = connect();
        tcp_stream& stream = made.near;
        const std::string peer = " with " + stream.remote_endpoint().to_string();
        EXPECT_EQ(message_of([&] { stream.set_linger(-1s); }),
                  "net::tcp_stream::set_linger" + peer + ": Invalid argument");
        EXPECT_EQ(message_of([&] { stream.set_user_timeout(-1ms); }),
                  "net::tcp_stream::set_user_timeout" + peer + ": Invalid argument");
        // Also of a connection that has ended.
        made.far.set_linger(0s);
        made.far.close();
        std::array<std::byte, 1> byte{};
        EXPECT_EQ(thrown_by([&] { stream.read_some(byte, 5s); }), std::errc::connection_reset);
        EXPECT_EQ(message_of([&] { stream.shutdown_write(); }),
                  "net::tcp_stream::shutdown_write" + peer + ": Transport endpoint is not connected");
        EXPECT_EQ(message_of([&] { stream.shutdown_read(); }),
                  "net::tcp_stream::shutdown_read" + peer + ": Transport endpoint is not connected");
        EXPECT_EQ(" with " + stream.remote_endpoint().to_string(), peer);
        EXPECT_EQ(message_of([] { (void)tcp_stream{}.linger(); }),
                  "net::tcp_stream::linger on descriptor -1: Bad file descriptor");
    });
}

// Of a connection that has just ended at this side the kernel remembers the port for a minute.
TEST_F(tcp_options_of, a_local_end_that_was_in_use_a_moment_ago) {
    coir::run([] {
        const endpoint own = tcp_listener{"127.0.0.3", 0}.local_endpoint();
        for (int i = 0; i < 2; ++i) {
            tcp_listener listener{"127.0.0.1", 0};
            tcp_stream near{listener.local_endpoint(), {.local = own}, 5s};
            tcp_stream far = listener.accept(5s);
            near.close();
            std::array<std::byte, 1> byte{};
            EXPECT_EQ(far.read_some(byte, 5s), 0U);
        }
    });
}

TEST_F(tcp_options_of, the_local_end) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        const tcp_stream near{listener.local_endpoint(), {.local = endpoint{"127.0.0.2", 0}}, 5s};
        EXPECT_EQ(near.local_endpoint().address(), "127.0.0.2");
        EXPECT_NE(near.local_endpoint().port(), 0);
        const tcp_stream far = listener.accept(5s);
        EXPECT_EQ(far.remote_endpoint(), near.local_endpoint());

        // A certain port; and one that is taken.
        std::uint16_t port = 0;
        {
            const tcp_listener unused{"127.0.0.3", 0};
            port = unused.local_endpoint().port();
        }
        const tcp_stream chosen{listener.local_endpoint(), {.local = endpoint{"127.0.0.3", port}}, 5s};
        EXPECT_EQ(chosen.local_endpoint(), (endpoint{"127.0.0.3", port}));
        try {
            const tcp_stream again{listener.local_endpoint(), {.local = listener.local_endpoint()}, 5s};
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::address_in_use);
            const std::string where = listener.local_endpoint().to_string();
            EXPECT_EQ(failure.what(), "connect to " + where + " from " + where + ": Address already in use");
        }
        EXPECT_EQ(error_of([&](auto& error) {
                      tcp_stream(listener.local_endpoint(), {.local = endpoint{"192.0.2.1", 0}}, error, 5s);
                  }),
                  std::errc::address_not_available);
    });
}

// A linger of 0 s is a reset.
TEST_F(tcp_options_of, linger_of_zero_resets) {
    coir::run([] {
        connection made = connect();
        made.near.set_linger(0s);
        made.near.close();
        std::array<std::byte, 1> byte{};
        EXPECT_EQ(thrown_by([&] { made.far.read_some(byte, 5s); }), std::errc::connection_reset);
    });
}

// Nobody acknowledges: the connection ends long before the kernel would give up by itself.
TEST_F(tcp_options_of, user_timeout_ends_a_connection_to_nowhere) {
    coir::run([] {
        // 127.0.0.1 always answers, so the peer's window is closed instead: nothing is taken, and the probes fail.
        connection made = connect({.connections = {.receive_buffer = 4096}},
                                  {.connection = {.user_timeout = 100ms, .send_buffer = 4096}});
        const std::vector<std::byte> much(1 << 20);
        EXPECT_EQ(error_of([&](auto& error) { made.near.write_all(much, error, 20s); }), std::errc::timed_out);
        std::error_code error;
        made.near.write_some(bytes_of("x"), error, 5s);
        EXPECT_TRUE(error); // it has ended: not the deadline
    });
}

TEST_F(tcp_options_of, deferred_accept_waits_for_data) {
    coir::run([] {
        tcp_listener listener{endpoint{"127.0.0.1", 0}, {.defer_accept = 30s}};
        tcp_stream silent{listener.local_endpoint(), 5s};
        EXPECT_EQ(thrown_by([&] { listener.accept(10ms); }), std::errc::timed_out);
        silent.write_all(bytes_of("x"), 5s);
        EXPECT_TRUE(listener.accept(5s));
    });
}

TEST_F(tcp_options_of, fast_open_connects_with_the_first_bytes) {
    coir::run([] {
        connection made = connect({.fast_open = 16}, {.fast_open = false});
        tcp_listener listener{endpoint{"127.0.0.1", 0}, {.fast_open = 16}};
        // With a cookie or without one: what is written arrives.
        for (int i = 0; i < 3; ++i) {
            tcp_stream near{listener.local_endpoint(), {.fast_open = true}, 5s};
            near.write_all(bytes_of("hello"), 5s);
            tcp_stream far = listener.accept(5s);
            std::array<std::byte, 5> buffer{};
            EXPECT_EQ(far.read_all(buffer, 5s), 5U);
        }
    });
}

TEST_F(tcp_options_of, v6_only_leaves_the_port_to_ipv4) {
    bool skipped = false;
    coir::run([&skipped] {
        try {
            tcp_listener v6{endpoint{"::", 0}, {.v6_only = true}};
            const std::uint16_t port = v6.local_endpoint().port();
            tcp_listener v4{endpoint{"0.0.0.0", port}};
            const tcp_stream to_v4{endpoint{"127.0.0.1", port}, 5s};
            const tcp_stream to_v6{endpoint{"::1", port}, 5s};
            EXPECT_TRUE(v4.accept(5s).remote_endpoint().is_v4());
            EXPECT_TRUE(v6.accept(5s).remote_endpoint().is_v6());
            // Without it one takes both.
            v4.close();
            v6.close();
            tcp_listener both{endpoint{"::", port}};
            const tcp_stream again_v4{endpoint{"127.0.0.1", port}, 5s};
            EXPECT_EQ(both.accept(5s).remote_endpoint().address(), "::ffff:127.0.0.1");
        } catch (const std::system_error& failure) {
            if (failure.code() != std::errc::address_family_not_supported &&
                failure.code() != std::errc::address_not_available)
                throw;
            skipped = true;
        }
    });
    if (skipped)
        GTEST_SKIP() << "this machine has no IPv6";
}

TEST_F(tcp_options_of, shutdown_read_ends_a_read_that_waits) {
    coir::run([] {
        connection made = connect();
        auto reader = spawn([&] {
            std::array<std::byte, 1> byte{};
            return made.near.read_some(byte, 20s);
        });
        this_fiber::yield();
        made.near.shutdown_read();
        EXPECT_EQ(reader.join(), 0U);
        made.near.write_all(bytes_of("x"), 5s); // the other direction goes on
        std::array<std::byte, 1> byte{};
        EXPECT_EQ(made.far.read_some(byte, 5s), 1U);
        tcp_stream none;
        EXPECT_EQ(thrown_by([&] { none.shutdown_read(); }), std::errc::bad_file_descriptor);
    });
}

TEST_F(tcp_options_of, a_listener_takes_over_a_socket_that_listens_and_no_other) {
    coir::run([] {
        tcp_listener first{"127.0.0.1", 0};
        io::descriptor shared{::fcntl(first.native_handle(), F_DUPFD_CLOEXEC, 0)};
        tcp_listener second{std::move(shared)};
        EXPECT_EQ(second.local_endpoint(), first.local_endpoint());
        const tcp_stream client{first.local_endpoint(), 5s};
        EXPECT_TRUE(second.accept(5s).no_delay());

        const int unbound = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(thrown_by([&] { tcp_listener{io::descriptor{unbound}}; }), std::errc::invalid_argument);
        EXPECT_EQ(::fcntl(unbound, F_GETFD), -1); // closed
        const int datagrams = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(thrown_by([&] { tcp_listener{io::descriptor{datagrams}}; }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { tcp_listener{io::descriptor{make_pipe().read.take()}}; }), std::errc::not_a_socket);
    });
}

} // namespace
} // namespace coir::test
