#include "io/descriptors.hpp"
#include "net/abstract_name.hpp"

#include <coir/coir.hpp>

#include <array>
#include <chrono>
#include <string>
#include <sys/socket.h>
#include <utility>

/// Messages that say who sent them.
namespace coir::test {
namespace {

using namespace std::chrono_literals;
using net::peer_credentials;
using net::received_message;
using net::unix_datagram;
using net::unix_endpoint;
using net::unix_listener;
using net::unix_seqpacket;
using net::unix_seqpacket_listener;
using net::unix_stream;

using message_credentials = descriptors;

peer_credentials of_process(pid_t process) {
    return {process, ::geteuid(), ::getegid()};
}

void ask_for_credentials(int socket) {
    const int on = 1;
    ASSERT_EQ(::setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
}

TEST_F(message_credentials, of_datagrams_on_demand) {
    coir::run([] {
        unix_datagram server{abstract_name("d"), {.credentials = true}};
        unix_datagram silent{abstract_name("s")};
        unix_datagram client{unix_endpoint{}};
        std::array<std::byte, 4> buffer{};
        client.send_to(bytes_of("x"), silent.local_endpoint(), 5s);
        EXPECT_EQ(silent.receive(buffer, 5s).sender, std::nullopt);
        client.send_to(bytes_of("x"), server.local_endpoint(), 5s);
        const unix_datagram::received got = server.receive(buffer, 5s);
        EXPECT_EQ(got.sender, of_process(::getpid()));
        EXPECT_FALSE(got.descriptors_lost);
        client.send_to({}, server.local_endpoint(), 5s); // an empty one
        EXPECT_EQ(server.receive(buffer, 5s).sender, of_process(::getpid()));
    });
}

// Nobody would close it.
TEST_F(message_credentials, a_descriptor_of_the_sender_that_nobody_has_asked_us_for_is_closed) {
    coir::run([] {
        auto [near, far] = unix_stream::pair();
        const int on = 1;
        constexpr int pass_pidfd = 76; // SO_PASSPIDFD, Linux 6.5
        if (::setsockopt(near.native_handle(), SOL_SOCKET, pass_pidfd, &on, sizeof on) != 0)
            GTEST_SKIP() << "not before Linux 6.5";
        far.write_all(bytes_of("x"), 5s);
        const std::size_t before = open_descriptors();
        std::array<std::byte, 4> buffer{};
        std::array<io::descriptor, 1> none;
        EXPECT_EQ(near.read_with(buffer, none, 5s).size, 1U);
        EXPECT_EQ(open_descriptors(), before);
    });
}

// One end, two senders: what the credentials of a connection cannot tell apart.
TEST_F(message_credentials, of_each_message_of_a_connection) {
    coir::run([] {
        unix_seqpacket_listener listener{abstract_name("q"), {.credentials = true}};
        unix_seqpacket near{listener.local_endpoint(), 5s};
        near.send(bytes_of("parent"), 5s); // before it is accepted
        unix_seqpacket far = listener.accept(5s);
        const pid_t child = fork_dependent();
        if (child == 0)
            ::_exit(::send(near.native_handle(), "child", 5, MSG_NOSIGNAL) == 5 ? 0 : 1);
        ASSERT_EQ(exit_status_of(child), 0);
        near.close();
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(far.receive(buffer, 5s).sender, of_process(::getpid()));
        EXPECT_EQ(far.receive(buffer, 5s).sender, of_process(child));
        const received_message end = far.receive(buffer, 5s);
        EXPECT_EQ(end.size, 0U);
        EXPECT_EQ(end.sender, std::nullopt);
    });
}

TEST_F(message_credentials, of_the_bytes_of_a_stream) {
    coir::run([] {
        unix_listener listener{abstract_name("b"), {.credentials = true}};
        unix_stream near{listener.local_endpoint(), 5s};
        unix_stream far = listener.accept(5s);
        near.write_all(bytes_of("bytes"), 5s);
        near.close();
        std::array<std::byte, 8> buffer{};
        const received_message got = far.read_with(buffer, {}, 5s);
        EXPECT_EQ(got.size, 5U);
        EXPECT_EQ(got.sender, of_process(::getpid()));
        EXPECT_FALSE(got.descriptors_lost);
        const received_message end = far.read_with(buffer, {}, 5s);
        EXPECT_EQ(end.size, 0U);
        EXPECT_EQ(end.sender, std::nullopt);
    });
}

TEST_F(message_credentials, leave_room_for_descriptors) {
    coir::run([] {
        auto [near, far] = unix_datagram::pair();
        ask_for_credentials(far.native_handle());
        constexpr std::size_t most = 253;
        const raw file = nameless_file();
        std::array<int, most> sent{};
        sent.fill(file.get());
        std::array<io::descriptor, most> into;
        std::array<std::byte, 4> buffer{};
        near.send(bytes_of("all"), sent, 5s);
        const received_message all = far.receive(buffer, into, 5s);
        EXPECT_EQ(all.descriptors, most);
        EXPECT_FALSE(all.descriptors_lost);
        EXPECT_EQ(all.sender, of_process(::getpid()));
        into = {};
        // Without place for them they are closed, and that is said.
        const std::size_t before = open_descriptors();
        near.send(bytes_of("one"), std::span{sent}.first(1), 5s);
        const received_message none = far.receive(buffer, 5s);
        EXPECT_TRUE(none.descriptors_lost);
        EXPECT_EQ(none.sender, of_process(::getpid()));
        EXPECT_EQ(open_descriptors(), before);
    });
}

// Who asks too late is told of nobody.
TEST_F(message_credentials, of_what_was_sent_before) {
    coir::run([] {
        auto [near, far] = unix_datagram::pair();
        near.send(bytes_of("x"), 5s);
        ask_for_credentials(far.native_handle());
        std::array<std::byte, 4> buffer{};
        const received_message got = far.receive(buffer, 5s);
        ASSERT_TRUE(got.sender);
        EXPECT_EQ(got.sender->process, 0);
        EXPECT_NE(got.sender->user, 0U);
    });
}

} // namespace
} // namespace coir::test
