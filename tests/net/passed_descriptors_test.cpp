#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <numeric>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using net::received_message;
using net::unix_datagram;
using net::unix_seqpacket;
using net::unix_stream;

using passed_descriptors = descriptors;

ino_t file_of(int descriptor) {
    struct stat file {};
    EXPECT_EQ(::fstat(descriptor, &file), 0);
    return file.st_ino;
}

/// Different files, in order.
struct files {
    explicit files(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            owned.emplace_back(std::move(make_pipe().read));
            numbers.push_back(owned.back().get());
        }
    }
    std::vector<raw> owned;
    std::vector<int> numbers;
};

void expect_same(const files& sent, std::span<const io::descriptor> received) {
    ASSERT_EQ(sent.numbers.size(), received.size());
    for (std::size_t i = 0; i < received.size(); ++i) {
        EXPECT_NE(received[i].get(), sent.numbers[i]);
        EXPECT_EQ(file_of(received[i].get()), file_of(sent.numbers[i]));
        EXPECT_NE(::fcntl(received[i].get(), F_GETFD) & FD_CLOEXEC, 0);
    }
}

TEST_F(passed_descriptors, from_one_to_as_many_as_there_can_be) {
    coir::run([] {
        auto [near, far] = unix_stream::pair();
        for (const std::size_t count : {1, 2, 3, 100, 252, 253}) {
            const files sent{count};
            EXPECT_EQ(near.write_with(bytes_of("data"), sent.numbers, 5s), 4U);
            std::vector<io::descriptor> into(count);
            std::array<std::byte, 10> buffer{};
            const received_message got = far.read_with(buffer, into, 5s);
            EXPECT_EQ(got.size, 4U);
            EXPECT_EQ(got.descriptors, count);
            EXPECT_FALSE(got.descriptors_lost);
            expect_same(sent, into);
        }
        const files too_many{254};
        EXPECT_EQ(thrown_by([&, &near = near] { near.write_with(bytes_of("x"), too_many.numbers, 5s); }),
                  std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&, &near = near] { near.write_with({}, std::array{0}, 5s); }),
                  std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&, &near = near] { near.write_with(bytes_of("x"), std::array{-1}, 5s); }),
                  std::errc::bad_file_descriptor);
        // None at all: as any other data.
        EXPECT_EQ(near.write_with(bytes_of("xyz"), {}, 5s), 3U);
        std::array<std::byte, 10> buffer{};
        const received_message got = far.read_with(buffer, {}, 5s);
        EXPECT_EQ(got.size, 3U);
        EXPECT_FALSE(got.descriptors_lost);
    });
}

TEST_F(passed_descriptors, a_pipe_works_at_the_other_end) {
    coir::run([] {
        auto [near, far] = unix_seqpacket::pair();
        ends pipe = make_pipe();
        const std::array numbers{pipe.read.get(), pipe.write.get()};
        near.send(bytes_of("pipe"), numbers, 5s);
        pipe.read.reset();
        pipe.write.reset();
        std::array<io::descriptor, 5> into; // more places than needed
        std::array<std::byte, 10> buffer{};
        const received_message got = far.receive(buffer, into, 5s);
        ASSERT_EQ(got.descriptors, 2U);
        into[1].write_all(bytes_of("hello"), 5s);
        EXPECT_EQ(into[0].read_some(buffer, 5s), 5U);
        EXPECT_FALSE(into[2]);
        into[1].close();
        EXPECT_EQ(into[0].read_some(buffer, 5s), 0U); // nobody else has it
    });
}

int mode_of(const raw& descriptor) {
    return ::fcntl(descriptor.get(), F_GETFL);
}

// Its open file is the sender's as well (hazard H4), and fibers that wait for it do not block the thread for that.
TEST_F(passed_descriptors, stay_in_the_mode_they_are_in) {
    coir::run([] {
        for (const bool as_pipe : {true, false}) {
            auto [near, far] = unix_seqpacket::pair();
            ends made = as_pipe ? make_pipe() : make_sockets();
            const int read_mode = mode_of(made.read);
            const int write_mode = mode_of(made.write);
            ASSERT_EQ((read_mode | write_mode) & O_NONBLOCK, 0);
            near.send(bytes_of("both"), std::array{made.read.get(), made.write.get()}, 5s);
            std::array<io::descriptor, 2> into;
            std::array<std::byte, 10> buffer{};
            ASSERT_EQ(far.receive(buffer, into, 5s).descriptors, 2U);

            auto reader = spawn([&] { return into[0].read_some(buffer, 5s); });
            this_fiber::yield();
            std::error_code error;
            into[0].read_some(buffer, error, 1us);
            EXPECT_EQ(error, std::errc::timed_out);
            EXPECT_EQ(::write(made.write.get(), "x", 1), 1);
            EXPECT_EQ(reader.join(), 1U);

            std::vector<std::byte> much(1'000'000); // more than there is room for
            auto writer = spawn([&] { return into[1].write_all(much, 5s); });
            EXPECT_EQ(into[0].read_all(much, 5s), much.size());
            EXPECT_EQ(writer.join(), much.size());
            EXPECT_EQ(mode_of(made.read), read_mode);
            EXPECT_EQ(mode_of(made.write), write_mode);

            const io::descriptor faster{into[1].release()};
            EXPECT_EQ(mode_of(made.write), write_mode | O_NONBLOCK);
        }
    });
}

// A socket pair in blocking mode of which one end is full, or empty, as another program has handed it over.
struct received_socket {
    explicit received_socket(bool is_full) : made(make_sockets()) {
        auto [near, far] = unix_seqpacket::pair();
        near.send(bytes_of("socket"), std::array{made.read.get()}, 5s);
        std::array<std::byte, 10> buffer{};
        EXPECT_EQ(far.receive(buffer, into, 5s).descriptors, 1U);
        const std::vector<std::byte> much(64 * 1024);
        while (is_full && ::send(made.read.get(), much.data(), much.size(), MSG_DONTWAIT) > 0) {}
        EXPECT_EQ(mode_of(made.read) & O_NONBLOCK, 0);
    }
    [[nodiscard]] int get() const noexcept { return into[0].get(); }

    ends made;
    std::array<io::descriptor, 1> into;
};

// Others go on, and the deadline is kept: `transfer(socket, error, deadline)` has to wait for ever.
template <class Transfer> void expect_others_go_on(bool is_full, Transfer transfer) {
    const received_socket socket{is_full};
    bool has_ended = false;
    int turns = 0;
    auto ticker = spawn([&] {
        while (!has_ended) {
            this_fiber::sleep_for(1ms);
            ++turns;
        }
    });
    std::error_code error;
    EXPECT_EQ(transfer(socket.get(), error, 20ms), 0U);
    has_ended = true;
    ticker.join();
    EXPECT_EQ(error, std::errc::timed_out);
    EXPECT_GT(turns, 1);
    EXPECT_EQ(mode_of(socket.made.read) & O_NONBLOCK, 0);
}

// The kernel's own transfers have no flag as recv() and send() have it: those who wait in them keep the thread.
TEST_F(passed_descriptors, a_socket_in_blocking_mode_does_not_stop_the_thread) {
    coir::run([] {
        const std::string content(200'000, 'x');
        const raw file = nameless_file();
        ASSERT_EQ(::pwrite(file.get(), content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
        expect_others_go_on(true, [&](int socket, std::error_code& error, deadline until) {
            return io::send_file(socket, file.get(), 0, content.size(), error, until);
        });
        expect_others_go_on(true, [&](int socket, std::error_code& error, deadline until) {
            return io::copy(file.get(), socket, io::no_limit, error, until);
        });
        io::pipe_ends full = io::pipe();
        io::write_some(full.write.get(), bytes_of("in the pipe"));
        expect_others_go_on(true, [&](int socket, std::error_code& error, deadline until) {
            return io::copy(full.read.get(), socket, io::no_limit, error, until);
        });
        io::pipe_ends empty = io::pipe();
        expect_others_go_on(false, [&](int socket, std::error_code& error, deadline until) {
            return io::copy(socket, empty.write.get(), io::no_limit, error, until);
        });
        // There is no other way for this one.
        const received_socket socket{true};
        std::error_code error;
        EXPECT_EQ(io::splice(full.read.get(), socket.get(), 1, error, 5s), 0U);
        EXPECT_EQ(error, std::errc::invalid_argument);
    });
}

// Whoever has the open file may change its mode at any time.
TEST_F(passed_descriptors, the_mode_is_what_it_is_at_the_time) {
    coir::run([] {
        const received_socket socket{false};
        io::pipe_ends pipe = io::pipe();
        io::write_some(pipe.write.get(), bytes_of("1234"));
        std::error_code error;
        ::fcntl(socket.made.read.get(), F_SETFL, O_NONBLOCK);
        EXPECT_EQ(io::splice(pipe.read.get(), socket.get(), 2, error, 5s), 2U);
        EXPECT_FALSE(error);
        ::fcntl(socket.made.read.get(), F_SETFL, 0);
        EXPECT_EQ(io::splice(pipe.read.get(), socket.get(), 2, error, 5s), 0U);
        EXPECT_EQ(error, std::errc::invalid_argument);
    });
}

TEST_F(passed_descriptors, a_listening_socket_accepts_at_the_other_end) {
    coir::run([] {
        auto [near, far] = unix_seqpacket::pair();
        raw listening{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        ASSERT_EQ(::listen(listening.get(), 8), 0); // at a port of the system's choice
        near.send(bytes_of("listener"), std::array{listening.get()}, 5s);
        std::array<io::descriptor, 1> into;
        std::array<std::byte, 10> buffer{};
        ASSERT_EQ(far.receive(buffer, into, 5s).descriptors, 1U);
        net::tcp_listener listener{std::move(into[0])};
        std::error_code error;
        (void)listener.accept(error, 1us);
        EXPECT_EQ(error, std::errc::timed_out);
        auto client = spawn([port = listener.local_endpoint().port()] {
            return net::tcp_stream{net::endpoint{"127.0.0.1", port}};
        });
        EXPECT_TRUE(listener.accept(5s));
        (void)client.join();
    });
}

// More than there is place for: all are closed, and it is said. The data is there.
// Opened with O_PATH, which no mode can be set of.
TEST_F(passed_descriptors, a_name_without_a_file_arrives) {
    coir::run([] {
        auto [near, far] = unix_stream::pair();
        const raw name{::open("/", O_PATH | O_CLOEXEC)};
        near.write_with(bytes_of("x"), std::array{name.get()}, 5s);
        std::vector<io::descriptor> into(1);
        std::array<std::byte, 1> buffer{};
        EXPECT_EQ(far.read_with(buffer, into, 5s).descriptors, 1U);
        EXPECT_EQ(file_of(into.front().get()), file_of(name.get()));
    });
}

TEST_F(passed_descriptors, too_many_for_the_receiver_are_closed) {
    coir::run([] {
        auto [stream, far_stream] = unix_stream::pair();
        auto [packets, far_packets] = unix_seqpacket::pair();
        auto [datagrams, far_datagrams] = unix_datagram::pair();
        for (const std::size_t places : {0, 1, 2, 3, 4}) {
            const files sent{5};
            std::vector<io::descriptor> into(places);
            std::array<std::byte, 4> buffer{};
            const std::size_t before = open_descriptors();
            const auto expect_lost = [&](const received_message& got) {
                EXPECT_EQ(got.size, 4U);
                EXPECT_EQ(got.descriptors, 0U);
                EXPECT_TRUE(got.descriptors_lost);
                EXPECT_EQ(open_descriptors(), before);
            };
            stream.write_with(bytes_of("data"), sent.numbers, 5s);
            expect_lost(far_stream.read_with(buffer, into, 5s));
            packets.send(bytes_of("data"), sent.numbers, 5s);
            expect_lost(far_packets.receive(buffer, into, 5s));
            datagrams.send(bytes_of("data"), sent.numbers, 5s);
            expect_lost(far_datagrams.receive(buffer, into, 5s));
            // Who does not ask for them does not get them.
            stream.write_with(bytes_of("data"), sent.numbers, 5s);
            EXPECT_EQ(far_stream.read_some(buffer, 5s), 4U);
            EXPECT_EQ(open_descriptors(), before);
        }
    });
}

// No free numbers in the receiving process: as no place for them.
int receive_at_the_limit() {
    return coir::run([]() -> int {
        auto [near, far] = unix_stream::pair();
        const files sent{4};
        near.write_with(bytes_of("data"), sent.numbers, 5s);
        const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        ::close(next);
        const auto limit = static_cast<rlim_t>(next + 2); // two of the four
        const rlimit few{limit, limit};
        ::setrlimit(RLIMIT_NOFILE, &few);
        std::array<io::descriptor, 4> into;
        std::array<std::byte, 4> buffer{};
        const received_message got = far.read_with(buffer, into, 5s);
        if (got.size != 4 || got.descriptors != 0 || !got.descriptors_lost || into[0])
            return 1;
        return ::open("/dev/null", O_RDONLY | O_CLOEXEC) == next ? 0 : 2; // all have been closed
    });
}

TEST_F(passed_descriptors, a_receiver_without_free_numbers_keeps_none) {
    EXPECT_EQ(in_child(receive_at_the_limit), 0);
}

TEST_F(passed_descriptors, go_with_the_first_byte_of_what_takes_several_writes) {
    coir::run([] {
        auto [near, far] = unix_stream::pair();
        std::vector<std::byte> much(3 << 20);
        auto writer = spawn([&, &near = near] {
            const files sent{2};
            EXPECT_EQ(near.write_with(much, sent.numbers, 20s), much.size());
        });
        std::vector<io::descriptor> into(2);
        std::vector<std::byte> buffer(100'000);
        std::size_t size = 0;
        std::size_t descriptors = 0;
        while (size < much.size()) {
            const received_message got = far.read_with(buffer, into, 20s);
            EXPECT_TRUE(got.descriptors == 0 || size == 0);
            size += got.size;
            descriptors += got.descriptors;
        }
        writer.join();
        EXPECT_EQ(descriptors, 2U);
    });
}

TEST_F(passed_descriptors, deadline_and_cancellation_say_how_far_it_got) {
    coir::run([] {
        auto [near, far] = unix_stream::pair();
        std::array<io::descriptor, 1> into;
        std::array<std::byte, 4> buffer{};
        EXPECT_EQ(thrown_by([&, &far = far] { (void)far.read_with(buffer, into, 1ms); }), std::errc::timed_out);
        auto reader = spawn([&, &far = far] { (void)far.read_with(buffer, into); });
        const std::vector<std::byte> much(3 << 20);
        const files sent{1};
        this_fiber::yield();
        reader.cancel();
        EXPECT_THROW(reader.join(), cancelled);
        auto writer = spawn([&, &near = near] { near.write_with(much, sent.numbers); });
        this_fiber::sleep_for(1ms);
        writer.cancel();
        try {
            writer.join();
            ADD_FAILURE();
        } catch (const io::transfer_cancelled& failure) {
            EXPECT_GT(failure.bytes_transferred(), 0U);
        }
        std::error_code error;
        EXPECT_EQ(near.write_with(much, sent.numbers, error, 1ms), 0U);
        EXPECT_EQ(error, std::errc::timed_out);
        auto waiting =
            spawn([&, &near = near] { return error_of([&](auto& e) { near.write_with(much, sent.numbers, e); }); });
        this_fiber::yield();
        waiting.cancel();
        EXPECT_EQ(waiting.join(), std::errc::operation_canceled);
        // What was sent and is not read is closed with the socket.
        far.close();
        EXPECT_EQ(error_of([&, &near = near](auto& e) { near.write_with(much, sent.numbers, e, 5s); }),
                  std::errc::broken_pipe);
    });
    unix_stream none;
    EXPECT_THROW((void)none.read_with({}, {}), std::logic_error);
    EXPECT_EQ(error_of([&](auto& error) { none.write_with(bytes_of("x"), {}, error); }),
              std::errc::operation_not_permitted);
}

// Closed, and its number used again, while there is no room: what is there now is nothing for the peer.
TEST_F(passed_descriptors, closed_while_the_call_waits) {
    coir::run([] {
        auto [near, far] = unix_stream::pair();
        const std::vector<std::byte> much(1'000'000);
        std::error_code error;
        near.write_all(much, error, 1ms);
        io::pipe_ends passed = io::pipe();
        const raw secret{::memfd_create("secret", MFD_CLOEXEC)};
        auto sender = spawn([&, &near = near, number = passed.read.get()] {
            return error_of([&](auto& e) { near.write_with(bytes_of("x"), std::array{number}, e); });
        });
        this_fiber::yield();
        const int number = passed.read.get();
        passed.read.close();
        const raw reused{::dup2(secret.get(), number)};
        std::array<io::descriptor, 1> into;
        std::vector<std::byte> buffer(much.size());
        far.read_all(buffer, error, 10ms);
        EXPECT_EQ(sender.join(), std::errc::bad_file_descriptor);
        EXPECT_EQ(error_of([&, &far = far](auto& e) { (void)far.read_with(buffer, into, e, 1ms); }),
                  std::errc::timed_out);
        EXPECT_FALSE(into[0]);
    });
}

TEST_F(passed_descriptors, an_end_and_a_reset_are_what_they_are_for_other_reads) {
    coir::run([] {
        std::array<std::byte, 4> buffer{};
        {
            auto [near, far] = unix_stream::pair();
            near.close();
            EXPECT_EQ(far.read_with(buffer, {}, 5s).size, 0U);
        }
        auto [near, far] = unix_stream::pair();
        far.write_all(bytes_of("unread"), 5s);
        near.close(); // with something that it has not read: the peer is told
        EXPECT_EQ(error_of([&, &far = far](auto& error) { (void)far.read_with(buffer, {}, error, 5s); }),
                  std::errc::connection_reset);
        EXPECT_EQ(error_of([&, &far = far](auto& error) { (void)far.read_with(buffer, {}, error, 5s); }),
                  std::errc::connection_reset);
    });
}

} // namespace
} // namespace coir::test
