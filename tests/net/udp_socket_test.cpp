#include "emulation.hpp"
#include "io/descriptors.hpp"
#include "net/loopback.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <cstring>
#include <iostream>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <numeric>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using net::endpoint;
using net::udp_socket;

using udp = descriptors;

udp_socket on_loopback(const net::udp_options& options = {}) {
    return udp_socket{endpoint{"127.0.0.1", 0}, options};
}

// An endpoint where nobody is.
endpoint nobody() {
    return on_loopback().local_endpoint();
}

// The mode belongs to the open file, which others may have as well.
TEST_F(udp, one_that_others_have_made_blocking) {
    coir::run([] {
        udp_socket made = on_loopback();
        ::fcntl(made.native_handle(), F_SETFL, 0);
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(error_of([&](auto& error) { static_cast<void>(made.receive_from(buffer, error, 1ms)); }),
                  std::errc::timed_out);
    });
}

TEST_F(udp, sends_and_receives_and_says_from_whom) {
    coir::run([] {
        udp_socket a = on_loopback();
        udp_socket b = on_loopback();
        EXPECT_NE(::fcntl(a.native_handle(), F_GETFD) & FD_CLOEXEC, 0);
        EXPECT_NE(a.local_endpoint().port(), 0);
        a.send_to(bytes_of("question"), b.local_endpoint(), 5s);
        std::array<std::byte, 100> buffer{};
        const udp_socket::received got = b.receive_from(buffer, 5s);
        EXPECT_EQ(text_of(std::span{buffer}.first(got.size)), "question");
        EXPECT_EQ(got.from, a.local_endpoint());
        EXPECT_FALSE(got.truncated);
        b.send_to(bytes_of("answer"), got.from, 5s);
        EXPECT_EQ(a.receive_from(buffer, 5s).size, 6U);
    });
}

TEST_F(udp, over_ipv6_and_both_families) {
    bool skipped = false;
    coir::run([&skipped] {
        std::error_code error;
        udp_socket both{endpoint{"::", 0}, {}, error};
        udp_socket v6{endpoint{"::1", 0}, {}, error};
        if (!both || !v6) {
            skipped = true;
            return;
        }
        const std::uint16_t port = both.local_endpoint().port();
        udp_socket v4 = on_loopback();
        std::array<std::byte, 10> buffer{};
        v6.send_to(bytes_of("6"), endpoint{"::1", port}, 5s);
        EXPECT_EQ(both.receive_from(buffer, 5s).from, v6.local_endpoint());
        v4.send_to(bytes_of("4"), endpoint{"127.0.0.1", port}, 5s);
        const udp_socket::received got = both.receive_from(buffer, 5s);
        EXPECT_EQ(got.from.address(), "::ffff:127.0.0.1");
        both.send_to(bytes_of("back"), got.from, 5s);
        EXPECT_EQ(v4.receive_from(buffer, 5s).size, 4U);
        const udp_socket one{endpoint{"::", 0}, {.v6_only = true}};
        EXPECT_NO_THROW((udp_socket{endpoint{"0.0.0.0", one.local_endpoint().port()}}));
    });
    if (skipped)
        GTEST_SKIP() << "this machine has no IPv6";
}

TEST_F(udp, datagrams_that_are_too_long_say_so) {
    coir::run([] {
        udp_socket a = on_loopback();
        udp_socket b = on_loopback();
        a.send_to(bytes_of("too long"), b.local_endpoint(), 5s);
        a.send_to(bytes_of("next"), b.local_endpoint(), 5s);
        std::array<std::byte, 4> buffer{};
        const udp_socket::received cut = b.receive_from(buffer, 5s);
        EXPECT_EQ(cut.size, 4U);
        EXPECT_TRUE(cut.truncated);
        EXPECT_EQ(text_of(buffer), "too ");
        const udp_socket::received whole = b.receive_from(buffer, 5s);
        EXPECT_EQ(text_of(buffer), "next");
        EXPECT_FALSE(whole.truncated);
        const std::vector<std::byte> huge(70'000);
        try {
            a.send_to(huge, b.local_endpoint(), 5s);
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::message_size);
            EXPECT_EQ(failure.what(), "send to " + b.local_endpoint().to_string() + ": Message too long");
        }
    });
}

TEST_F(udp, empty_datagrams_are_datagrams) {
    coir::run([] {
        udp_socket a = on_loopback();
        udp_socket b = on_loopback();
        std::array<std::byte, 4> buffer{};
        a.send_to({}, b.local_endpoint(), 5s);
        EXPECT_EQ(b.receive_from(buffer, 5s).size, 0U);
        a.send_to(bytes_of("x"), b.local_endpoint(), 5s);
        EXPECT_TRUE(b.receive_from({}, 5s).truncated); // no buffer: only who it was
        a.connect(b.local_endpoint());
        a.send({}, 5s);
        const std::array<udp_socket::outgoing, 2> out{};
        EXPECT_EQ(a.send_many(out, 5s), 2U);
        std::array<udp_socket::incoming, 4> in{};
        EXPECT_EQ(b.receive_many(in, 5s), 3U);
        EXPECT_EQ(in[2].from, a.local_endpoint());
        EXPECT_FALSE(in[0].truncated);
        EXPECT_EQ(b.receive_many({}, 5s), 0U);
        EXPECT_EQ(a.send_many({}, 5s), 0U);
    });
}

TEST_F(udp, connected_sockets_hear_one_peer_and_of_refusal) {
    coir::run([] {
        udp_socket server = on_loopback();
        udp_socket client = udp_socket::connected_to(server.local_endpoint());
        udp_socket stranger = on_loopback();
        EXPECT_EQ(client.remote_endpoint(), server.local_endpoint());
        stranger.send_to(bytes_of("spoof"), client.local_endpoint(), 5s);
        client.send(bytes_of("hello"), 5s);
        std::array<std::byte, 10> buffer{};
        EXPECT_EQ(server.receive_from(buffer, 5s).from, client.local_endpoint());
        server.send_to(bytes_of("real"), client.local_endpoint(), 5s);
        EXPECT_EQ(client.receive_from(buffer, 5s).size, 4U);

        // Refused: whoever asks next hears of it, once; also who waits already.
        udp_socket lonely = udp_socket::connected_to(nobody());
        auto waiting = spawn([&] {
            std::array<std::byte, 1> byte{};
            (void)lonely.receive_from(byte, 20s);
        });
        this_fiber::yield();
        lonely.send(bytes_of("anybody?"), 5s);
        try {
            waiting.join();
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::connection_refused);
            EXPECT_NE(std::string{failure.what()}.find(lonely.remote_endpoint().to_string()), std::string::npos);
        }
        lonely.send(bytes_of("anybody?"), 5s);
        EXPECT_EQ(error_of([&](auto& error) { lonely.send(bytes_of("?"), error, 5s); }), std::errc::connection_refused);
        EXPECT_EQ(error_of([&](auto& error) { (void)lonely.receive_from(buffer, error, 1ms); }), std::errc::timed_out);

        client.disconnect();
        EXPECT_EQ(thrown_by([&] { (void)client.remote_endpoint(); }), std::errc::not_connected);
        EXPECT_EQ(thrown_by([&] { client.send(bytes_of("x"), 5s); }), std::errc::destination_address_required);
    });
}

TEST_F(udp, many_at_a_time) {
    coir::run([] {
        udp_socket a = on_loopback({.send_buffer = 1 << 20});
        udp_socket b = on_loopback({.receive_buffer = 1 << 20});
        constexpr std::size_t count = 150; // three system calls
        std::vector<std::uint32_t> numbers(count);
        std::iota(numbers.begin(), numbers.end(), 0U);
        const endpoint to = b.local_endpoint();
        std::vector<udp_socket::outgoing> out;
        for (const std::uint32_t& each : numbers)
            out.push_back({std::as_bytes(std::span{&each, 1}), &to});
        EXPECT_EQ(a.send_many(out, 5s), count);
        std::vector<std::array<std::byte, 8>> buffers(100);
        std::vector<udp_socket::incoming> in;
        for (auto& each : buffers)
            in.push_back({.buffer = each});
        std::uint32_t next = 0;
        while (next < count) {
            const std::size_t received = b.receive_many(in, 5s);
            ASSERT_GE(received, 1U);
            ASSERT_LE(received, 64U);
            for (std::size_t i = 0; i < received; ++i) {
                std::uint32_t number = 0;
                ASSERT_EQ(in[i].data().size(), sizeof number);
                std::memcpy(&number, in[i].data().data(), sizeof number);
                EXPECT_EQ(number, next++);
                EXPECT_EQ(in[i].from, a.local_endpoint());
                EXPECT_FALSE(in[i].truncated);
            }
        }
        // A short list took all there was; later ones are received all the same.
        EXPECT_EQ(error_of([&](auto& error) { (void)b.receive_many(in, error, 1ms); }), std::errc::timed_out);
        a.send_to(bytes_of("much too long"), to, 5s);
        EXPECT_EQ(b.receive_many(in, deadline::passed()), 1U);
        EXPECT_TRUE(in[0].truncated);
        EXPECT_EQ(in[0].size, 8U);
        auto waiting = spawn([&] { return b.receive_many(in, 20s); });
        this_fiber::yield();
        a.send_to(bytes_of("x"), to, 5s);
        EXPECT_EQ(waiting.join(), 1U);
    });
}

TEST_F(udp, of_many_those_before_the_bad_one_are_sent) {
    coir::run([] {
        udp_socket a = on_loopback();
        udp_socket b = on_loopback();
        const endpoint to = b.local_endpoint();
        const std::vector<std::byte> huge(70'000);
        const std::array<udp_socket::outgoing, 3> out{{{bytes_of("1"), &to}, {huge, &to}, {bytes_of("3"), &to}}};
        EXPECT_EQ(a.send_many(out, 5s), 1U);
        EXPECT_EQ(thrown_by([&] { (void)a.send_many(std::span{out}.subspan(1), 5s); }), std::errc::message_size);
        std::error_code error;
        EXPECT_EQ(a.send_many(out, error, 5s), 1U);
        EXPECT_EQ(error, std::errc::message_size);
        std::array<std::byte, 2> buffer{};
        EXPECT_EQ(b.receive_from(buffer, 5s).size, 1U);
    });
}

TEST_F(udp, deadline_cancellation_and_closing_of_every_call) {
    coir::run([] {
        udp_socket socket = on_loopback();
        std::array<std::byte, 8> buffer{};
        std::array<udp_socket::incoming, 2> in{{{.buffer = buffer}, {.buffer = buffer}}};
        EXPECT_EQ(thrown_by([&] { (void)socket.receive_from(buffer, 1ms); }), std::errc::timed_out);
        EXPECT_EQ(thrown_by([&] { (void)socket.receive_many(in, 1ms); }), std::errc::timed_out);
        const auto ends = [&](auto call, auto end) {
            auto throws = spawn([&] { call(nullptr); });
            auto tells = spawn([&] {
                std::error_code error;
                call(&error);
                return error;
            });
            this_fiber::sleep_for(100us);
            end(throws, tells);
        };
        const auto one = [&](std::error_code* error) {
            (void)(error ? socket.receive_from(buffer, *error) : socket.receive_from(buffer));
        };
        const auto many = [&](std::error_code* error) {
            (void)(error ? socket.receive_many(in, *error) : socket.receive_many(in));
        };
        const auto cancelling = [](auto& throws, auto& tells) {
            throws.cancel();
            tells.cancel();
            EXPECT_THROW(throws.join(), cancelled);
            EXPECT_EQ(tells.join(), std::errc::operation_canceled);
        };
        ends(one, cancelling);
        ends(many, cancelling);
        const auto closing = [&](auto& throws, auto& tells) {
            socket.close();
            EXPECT_EQ(thrown_by([&] { throws.join(); }), std::errc::bad_file_descriptor);
            EXPECT_EQ(tells.join(), std::errc::bad_file_descriptor);
        };
        ends(one, closing);
        socket = on_loopback();
        ends(many, closing);

        // Sending does not wait here; a fiber that is cancelled must be told all the same.
        socket = on_loopback();
        const endpoint to = socket.local_endpoint();
        auto sender = spawn([&] {
            const std::array<udp_socket::outgoing, 1> out{{{bytes_of("x"), &to}}};
            EXPECT_THROW(socket.send_to(bytes_of("x"), to), cancelled);
            EXPECT_EQ(error_of([&](auto& error) { socket.send(bytes_of("x"), error); }), std::errc::operation_canceled);
            EXPECT_EQ(error_of([&](auto& error) { (void)socket.send_many(out, error); }),
                      std::errc::operation_canceled);
        });
        sender.cancel();
        sender.join();
    });
}

TEST_F(udp, multicast_on_loopback) {
    coir::run([] {
        const endpoint group{"239.255.77.77", 0};
        udp_socket first{endpoint{"0.0.0.0", 0}, {.reuse_address = true}};
        udp_socket second{endpoint{"0.0.0.0", first.local_endpoint().port()}, {.reuse_address = true}};
        const endpoint to{group.address(), first.local_endpoint().port()};
        first.join_multicast(group, "lo");
        second.join_multicast(group, "lo");
        udp_socket sender{"0.0.0.0", 0};
        sender.set_multicast_interface("lo");
        EXPECT_TRUE(sender.multicast_loop());
        EXPECT_EQ(sender.multicast_hops(), 1);
        sender.set_multicast_hops(3);
        EXPECT_EQ(sender.multicast_hops(), 3);
        sender.send_to(bytes_of("all"), to, 5s);
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(first.receive_from(buffer, 5s).size, 3U);
        EXPECT_EQ(second.receive_from(buffer, 5s).size, 3U);
        second.leave_multicast(group, "lo");
        sender.send_to(bytes_of("one"), to, 5s);
        EXPECT_EQ(first.receive_from(buffer, 5s).size, 3U);
        EXPECT_EQ(thrown_by([&] { second.leave_multicast(group, "lo"); }), std::errc::address_not_available);
        EXPECT_EQ(thrown_by([&] { first.join_multicast(endpoint{"127.0.0.1", 0}); }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { first.join_multicast(group, "no-such-device"); }), std::errc::no_such_device);
        EXPECT_EQ(error_of([&](auto& error) { first.set_multicast_interface("nope", error); }),
                  std::errc::no_such_device);
        sender.set_multicast_loop(false);
        EXPECT_FALSE(sender.multicast_loop());
    });
}

// Although another socket of this machine is a member: what is sent to it alone comes next.
TEST_F(udp, groups_of_others_are_not_received) {
    if (is_emulated())
        GTEST_SKIP() << "the emulator does not know IP_MULTICAST_ALL";
    coir::run([] {
        const endpoint group{"239.255.77.77", 0};
        udp_socket member{endpoint{"0.0.0.0", 0}, {.reuse_address = true}};
        const std::uint16_t port = member.local_endpoint().port();
        udp_socket other{endpoint{"0.0.0.0", port}, {.reuse_address = true}};
        const endpoint other_itself{"127.0.0.1", port}; // the latest of the two
        member.join_multicast(group, "lo");
        udp_socket sender{"0.0.0.0", 0};
        sender.set_multicast_interface("lo");
        std::array<std::byte, 8> buffer{};
        const auto send_to_group_and_other = [&] {
            sender.send_to(bytes_of("all"), {group.address(), port}, 5s);
            sender.send_to(bytes_of("other"), other_itself, 5s);
            EXPECT_EQ(member.receive_from(buffer, 5s).size, 3U);
        };
        send_to_group_and_other();
        EXPECT_EQ(other.receive_from(buffer, 5s).size, 5U); // not joined yet
        other.join_multicast(group, "lo");
        send_to_group_and_other();
        EXPECT_EQ(other.receive_from(buffer, 5s).size, 3U);
        EXPECT_EQ(other.receive_from(buffer, 5s).size, 5U);
        other.leave_multicast(group, "lo");
        send_to_group_and_other();
        EXPECT_EQ(other.receive_from(buffer, 5s).size, 5U);
    });
}

TEST_F(udp, a_group_of_one_source) {
    if (is_emulated())
        GTEST_SKIP() << "the emulator does not know MCAST_JOIN_SOURCE_GROUP";
    coir::run([] {
        const endpoint group{"232.255.77.77", 0};
        udp_socket receiver{endpoint{"0.0.0.0", 0}};
        const endpoint to{group.address(), receiver.local_endpoint().port()};
        udp_socket wanted{"127.0.0.2", 0};
        udp_socket other{"127.0.0.3", 0};
        for (udp_socket* each : {&wanted, &other})
            each->set_multicast_interface("lo");
        receiver.join_multicast_source(group, wanted.local_endpoint(), "lo");
        other.send_to(bytes_of("other"), to, 5s);
        wanted.send_to(bytes_of("wanted"), to, 5s);
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(receiver.receive_from(buffer, 5s).from, wanted.local_endpoint());
        receiver.join_multicast_source(group, other.local_endpoint(), "lo");
        receiver.leave_multicast_source(group, wanted.local_endpoint(), "lo");
        wanted.send_to(bytes_of("wanted"), to, 5s);
        other.send_to(bytes_of("other"), to, 5s);
        EXPECT_EQ(receiver.receive_from(buffer, 5s).from, other.local_endpoint());
        EXPECT_EQ(message_of([&] { receiver.leave_multicast_source(group, wanted.local_endpoint(), "lo"); }),
                  "leave multicast group 232.255.77.77 of 127.0.0.2 on " + receiver.local_endpoint().to_string() +
                      ": Cannot assign requested address");
        EXPECT_EQ(error_of([&](auto& error) { receiver.join_multicast_source(group, group, "no-such", error); }),
                  std::errc::no_such_device);
    });
}

TEST_F(udp, packets_and_buffers) {
    coir::run([] {
        udp_socket socket = on_loopback({.send_buffer = 20'000, .ip = {.traffic_class = 0xb8, .interface = "lo"}});
        EXPECT_EQ(socket.traffic_class(), 0xb8);
        EXPECT_EQ(socket.send_buffer(), 40'000U); // the kernel doubles it
        socket.set_traffic_class(0x20);
        socket.set_send_buffer(30'000);
        socket.set_receive_buffer(25'000);
        EXPECT_EQ(socket.traffic_class(), 0x20);
        EXPECT_EQ(socket.send_buffer(), 60'000U);
        EXPECT_EQ(socket.receive_buffer(), 50'000U);
        EXPECT_EQ(thrown_by([] { on_loopback({.ip = {.interface = "no-such"}}); }), std::errc::no_such_device);
        std::error_code error;
        const udp_socket v6{endpoint{"::1", 0}, {.ip = {.traffic_class = 0xb8}}, error};
        EXPECT_TRUE(!v6 || v6.traffic_class() == 0xb8);
    });
}

// Returns 0, or the number of what went wrong. As the child's only loop: it has entered a network of its own.
int multicast_over_ipv6() {
    return coir::run([] {
        const endpoint group{"ff01::7777", 0};
        const endpoint zoned{"ff01::7777%lo", 0}; // the zone says which interface
        udp_socket first{endpoint{"::", 0}, {.reuse_address = true}};
        const std::uint16_t port = first.local_endpoint().port();
        udp_socket second{endpoint{"::", port}, {.reuse_address = true}};
        first.join_multicast(group, "lo");
        second.join_multicast(zoned);
        udp_socket sender{"::", 0};
        sender.set_multicast_interface("lo");
        sender.set_multicast_hops(2);
        if (sender.multicast_hops() != 2)
            return 1;
        std::array<std::byte, 8> buffer{};
        const endpoint to{"ff01::7777%lo", port};
        sender.send_to(bytes_of("all"), to, 5s);
        if (first.receive_from(buffer, 5s).size != 3 || second.receive_from(buffer, 5s).size != 3)
            return 2;
        second.leave_multicast(zoned);
        sender.send_to(bytes_of("one"), to, 5s);
        sender.send_to(bytes_of("direct"), {"::1", port}, 5s); // to the latest
        return first.receive_from(buffer, 5s).size == 3 && second.receive_from(buffer, 5s).size == 6 ? 0 : 3;
    });
}

// The loopback of a new network is down, and has no route for multicast.
bool enter_own_network() {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWNET) != 0)
        return false;
    if (!switch_loopback_on())
        return false;
    const raw socket{::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    in6_rtmsg route{};
    route.rtmsg_dst.s6_addr[0] = 0xff;
    route.rtmsg_dst_len = 8;
    route.rtmsg_metric = 1;
    route.rtmsg_flags = RTF_UP | RTF_LOCAL; // without the latter it would be a route that refuses
    route.rtmsg_ifindex = static_cast<int>(::if_nametoindex("lo"));
    return ::ioctl(socket.get(), SIOCADDRT, &route) == 0 || errno == EEXIST;
}

TEST_F(udp, multicast_over_ipv6) {
    constexpr int not_allowed = 77;
    const int ended = in_child([] {
        int result = not_allowed;
        const std::string failure = message_of([&result] {
            if (enter_own_network())
                result = multicast_over_ipv6();
        });
        if (!failure.empty())
            std::cerr << failure << '\n';
        return failure.empty() ? result : 4;
    });
    if (ended == not_allowed)
        GTEST_SKIP() << "this process may not have a network of its own, or the system has no IPv6";
    EXPECT_EQ(ended, 0);
}

TEST_F(udp, broadcast_must_be_asked_for) {
    coir::run([] {
        udp_socket socket{"0.0.0.0", 0};
        EXPECT_FALSE(socket.broadcast());
        const endpoint everybody{"127.255.255.255", socket.local_endpoint().port()};
        EXPECT_EQ(thrown_by([&] { socket.send_to(bytes_of("x"), everybody, 5s); }), std::errc::permission_denied);
        socket.set_broadcast(true);
        EXPECT_TRUE(socket.broadcast());
        socket.send_to(bytes_of("x"), everybody, 5s);
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(socket.receive_from(buffer, 5s).size, 1U);
        socket.set_hops(7);
        EXPECT_EQ(socket.hops(), 7);
        EXPECT_TRUE((udp_socket{endpoint{"0.0.0.0", 0}, {.broadcast = true}}.broadcast()));
    });
}

TEST_F(udp, errors_name_the_endpoint_and_misuse_is_told) {
    coir::run([] {
        const udp_socket first = on_loopback();
        try {
            const udp_socket second{first.local_endpoint()};
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.what(),
                      "bind UDP socket to " + first.local_endpoint().to_string() + ": Address already in use");
        }
        std::error_code error;
        EXPECT_FALSE((udp_socket{first.local_endpoint(), {}, error}));
        EXPECT_EQ(error, std::errc::address_in_use);
        udp_socket changed = on_loopback();
        const std::string own = " on " + changed.local_endpoint().to_string();
        EXPECT_EQ(message_of([&] { changed.set_hops(1'000); }),
                  "net::udp_socket::set_hops" + own + ": Invalid argument");
        EXPECT_EQ(message_of([&] { changed.set_multicast_interface("no-such"); }),
                  "send multicast through 'no-such'" + own + ": No such device");
        EXPECT_EQ(message_of([&] { (void)changed.remote_endpoint(); }),
                  "net: remote endpoint" + own + ": Transport endpoint is not connected");
        udp_socket none;
        EXPECT_FALSE(none);
        EXPECT_EQ(thrown_by([&] { none.send_to({}, first.local_endpoint()); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { (void)none.receive_from({}); }), std::errc::bad_file_descriptor);
    });
    EXPECT_THROW(on_loopback(), std::logic_error);
    std::error_code error;
    (void)udp_socket{}.receive_from({}, error);
    EXPECT_EQ(error, std::errc::operation_not_permitted);
}

TEST_F(udp, reuse_port_shares) {
    coir::run([] {
        const udp_socket first = on_loopback({.reuse_port = true});
        EXPECT_NO_THROW((udp_socket{first.local_endpoint(), {.reuse_port = true}}));
        EXPECT_EQ(thrown_by([&] { udp_socket{first.local_endpoint()}; }), std::errc::address_in_use);
    });
}

} // namespace
} // namespace coir::test
