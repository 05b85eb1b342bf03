// recvmsg and sendmsg: the system calls, with everything that they can do, but waiting.
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <cstring>
#include <sys/un.h>

namespace coir::test {
namespace {

using namespace std::chrono_literals;

using message = descriptors;

// One piece, and room for one descriptor.
struct envelope {
    explicit envelope(std::size_t size) { piece.iov_len = size; }
    explicit envelope(std::string_view text) : envelope(text.size()) { text.copy(content.data(), content.size()); }

    msghdr& header() {
        piece.iov_base = content.data();
        header_.msg_iov = &piece;
        header_.msg_iovlen = 1;
        return header_;
    }
    msghdr& header_with_control() {
        header().msg_control = control.data();
        header_.msg_controllen = control.size();
        return header_;
    }

    std::array<char, 64> content{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec piece{};

private:
    msghdr header_{};
};

TEST_F(message, waits_and_carries_a_descriptor) {
    coir::run([] {
        ends made = make_sockets(SOCK_SEQPACKET);
        const io::descriptor in{made.read.take()};
        const io::descriptor out{made.write.take()};
        auto sender = spawn([&] {
            const raw passed{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
            envelope sent{"with a descriptor"};
            msghdr& header = sent.header_with_control();
            cmsghdr* control = CMSG_FIRSTHDR(&header);
            control->cmsg_level = SOL_SOCKET;
            control->cmsg_type = SCM_RIGHTS;
            control->cmsg_len = CMSG_LEN(sizeof(int));
            const int number = passed.get();
            std::memcpy(CMSG_DATA(control), &number, sizeof number);
            EXPECT_EQ(out.sendmsg(header, 0), 17U);
        });
        envelope got{64};
        EXPECT_EQ(in.recvmsg(got.header_with_control(), 0, 5s), 17U);
        EXPECT_STREQ(got.content.data(), "with a descriptor");
        const cmsghdr* control = CMSG_FIRSTHDR(&got.header_with_control());
        ASSERT_NE(control, nullptr);
        int number = -1;
        std::memcpy(&number, CMSG_DATA(control), sizeof number);
        const raw received{number};
        EXPECT_EQ(::fcntl(number, F_GETFD), FD_CLOEXEC);
        sender.join();
    });
}

TEST_F(message, an_empty_one_is_a_message) {
    coir::run([] {
        ends made = make_sockets(SOCK_DGRAM);
        envelope nothing{std::string_view{}};
        EXPECT_EQ(io::sendmsg(made.write.get(), nothing.header(), 0), 0U);
        EXPECT_EQ(error_of([&](auto& error) { io::sendmsg(made.write.get(), nothing.header(), 0, error); }),
                  std::error_code{});
        envelope got{8};
        EXPECT_EQ(io::recvmsg(made.read.get(), got.header(), 0, 5s), 0U);
        EXPECT_EQ(io::recvmsg(made.read.get(), got.header(), 0, 5s), 0U);
        EXPECT_EQ(error_of([&](auto& error) { io::recvmsg(made.read.get(), got.header(), 0, error, 1ms); }),
                  std::errc::timed_out);
    });
}

TEST_F(message, flags_are_passed_on) {
    coir::run([] {
        ends made = make_sockets(SOCK_DGRAM);
        envelope sent{"too long for it"};
        EXPECT_EQ(io::sendmsg(made.write.get(), sent.header(), 0), 15U);
        envelope got{3};
        EXPECT_EQ(io::recvmsg(made.read.get(), got.header(), MSG_PEEK | MSG_TRUNC), 15U);
        EXPECT_NE(got.header().msg_flags & MSG_TRUNC, 0);
        EXPECT_EQ(io::recvmsg(made.read.get(), got.header(), 0), 3U);
    });
}

TEST_F(message, waits_for_room) {
    coir::run([] {
        ends made = make_sockets(SOCK_DGRAM);
        envelope sent{"x"};
        int count = 0;
        while (::send(made.write.get(), "x", 1, MSG_DONTWAIT) == 1)
            ++count;
        auto sender = spawn([&] { EXPECT_EQ(io::sendmsg(made.write.get(), sent.header(), 0, 5s), 1U); });
        this_fiber::sleep_for(1ms);
        envelope got{8};
        for (; count >= 0; --count)
            EXPECT_EQ(io::recvmsg(made.read.get(), got.header(), 0, 5s), 1U);
        sender.join();
    });
}

TEST_F(message, what_can_go_wrong) {
    coir::run([] {
        envelope any{8};
        ends pipe = make_pipe();
        EXPECT_EQ(thrown_by([&] { io::recvmsg(pipe.read.get(), any.header(), 0); }), std::errc::not_a_socket);
        EXPECT_EQ(thrown_by([&] { io::sendmsg(pipe.write.get(), any.header(), 0); }), std::errc::not_a_socket);
        EXPECT_EQ(thrown_by([&] { io::recvmsg(-1, any.header(), 0); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(error_of([&](auto& error) { io::sendmsg(-1, any.header(), 0, error); }),
                  std::errc::bad_file_descriptor);
        ends sockets = make_sockets();
        const int near = sockets.read.get();
        EXPECT_EQ(error_of([&](auto& error) { io::recvmsg(near, any.header(), 0, error, 1ms); }), std::errc::timed_out);
        auto receiver = spawn([&] { io::recvmsg(near, any.header(), 0); });
        this_fiber::sleep_for(1ms);
        receiver.cancel();
        EXPECT_THROW(receiver.join(), cancelled);
        auto closed = spawn([&] { return error_of([&](auto& error) { io::recvmsg(near, any.header(), 0, error); }); });
        this_fiber::sleep_for(1ms);
        io::close(sockets.read.take());
        EXPECT_EQ(closed.join(), std::errc::bad_file_descriptor);
        // The peer is gone: no SIGPIPE.
        EXPECT_EQ(thrown_by([&] { io::sendmsg(sockets.write.get(), any.header(), 0); }), std::errc::broken_pipe);
    });
    envelope any{8};
    EXPECT_THROW(io::recvmsg(0, any.header(), 0), std::logic_error);
    EXPECT_EQ(error_of([&](auto& error) { io::sendmsg(0, any.header(), 0, error); }),
              std::errc::operation_not_permitted);
}

} // namespace
} // namespace coir::test
