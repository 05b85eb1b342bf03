// read_some, write_some, read_all, write_all, readv, writev on descriptors of every kind, owned and borrowed.
#include "io/holding.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <numeric>
#include <random>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;

class transfer : public holding {};

std::vector<std::byte> random_bytes(std::size_t size, unsigned seed) {
    std::mt19937 random{seed};
    std::vector<std::byte> made(size);
    for (std::byte& byte : made)
        byte = static_cast<std::byte>(random());
    return made;
}

TEST_P(transfer, pipe_carries_what_is_written) {
    run([this] {
        ends made = make_pipe();
        const int in = hold(made.read);
        const int out = hold(made.write);
        auto writer = spawn([out] {
            EXPECT_EQ(io::write_some(out, bytes_of("hello")), 5U);
            EXPECT_EQ(io::write_all(out, bytes_of(", world")), 7U);
        });
        std::array<std::byte, 12> buffer{};
        EXPECT_EQ(io::read_all(in, buffer), buffer.size());
        EXPECT_EQ(text_of(buffer), "hello, world");
        writer.join();
    });
}

TEST_P(transfer, read_some_takes_what_is_there_and_zero_is_the_end) {
    for (const bool is_socket : {false, true}) {
        run([this, is_socket] {
            ends made = is_socket ? make_sockets() : make_pipe();
            const int in = hold(made.read);
            ASSERT_EQ(::write(made.write.get(), "abc", 3), 3);
            std::array<std::byte, 100> buffer{};
            EXPECT_EQ(io::read_some(in, buffer), 3U);
            made.write.reset();
            EXPECT_EQ(io::read_some(in, buffer), 0U);
            EXPECT_EQ(io::read_some(in, buffer), 0U);
            EXPECT_EQ(io::read_all(in, buffer), 0U);
        });
    }
}

TEST_P(transfer, read_all_is_short_only_at_the_end) {
    run([this] {
        ends made = make_sockets();
        const int in = hold(made.read);
        auto writer = spawn([&made] {
            for (int i = 0; i < 3; ++i) {
                EXPECT_EQ(::write(made.write.get(), "ab", 2), 2);
                this_fiber::yield();
            }
            made.write.reset();
        });
        std::array<std::byte, 100> buffer{};
        EXPECT_EQ(io::read_all(in, buffer), 6U);
        writer.join();
    });
}

TEST_P(transfer, empty_buffers_are_no_transfer) {
    run([this] {
        ends made = make_sockets();
        const int in = hold(made.read);
        std::span<std::byte> nothing;
        EXPECT_EQ(io::read_some(in, nothing), 0U);
        EXPECT_EQ(io::read_all(in, nothing), 0U);
        EXPECT_EQ(io::write_some(in, nothing), 0U);
        EXPECT_EQ(io::write_all(in, nothing), 0U);
        EXPECT_EQ(io::readv(in, {}), 0U);
        EXPECT_EQ(io::writev(in, {}), 0U);
        const std::array<io::const_buffer, 2> empty{{{nullptr, 0}, {nullptr, 0}}};
        EXPECT_EQ(io::writev(in, empty), 0U);
    });
}

// Large, in random sizes, through the smallest buffer the kernel grants: all waits and partial transfers there are.
TEST_P(transfer, nothing_is_lost_or_reordered_through_a_small_socket) {
    run([this] {
        ends made = make_sockets();
        const int one = 1;
        ::setsockopt(made.write.get(), SOL_SOCKET, SO_SNDBUF, &one, sizeof one);
        ::setsockopt(made.read.get(), SOL_SOCKET, SO_RCVBUF, &one, sizeof one);
        const int in = hold(made.read);
        const int out = hold(made.write);
        const auto sent = random_bytes(300'000, 1);
        auto writer = spawn([out, &sent] {
            std::mt19937 random{2};
            for (std::size_t done = 0; done < sent.size();) {
                const std::size_t size = std::min<std::size_t>(random() % 20'000, sent.size() - done);
                EXPECT_EQ(io::write_all(out, std::span{sent}.subspan(done, size)), size);
                done += size;
            }
        });
        std::mt19937 random{3};
        std::vector<std::byte> got(sent.size());
        for (std::size_t done = 0; done < got.size();) {
            const std::size_t size = std::min<std::size_t>(1 + random() % 10'000, got.size() - done);
            done += random() % 2 ? io::read_all(in, std::span{got}.subspan(done, size))
                                 : io::read_some(in, std::span{got}.subspan(done, size));
        }
        EXPECT_EQ(got, sent);
        writer.join();
    });
}

TEST_P(transfer, writev_and_readv_keep_the_order_of_many_pieces) {
    run([this] {
        ends made = make_sockets();
        const int one = 1;
        ::setsockopt(made.write.get(), SOL_SOCKET, SO_SNDBUF, &one, sizeof one);
        const int in = hold(made.read);
        const int out = hold(made.write);
        const auto sent = random_bytes(200'000, 4);
        // 2,000 pieces of 0 to 199 bytes: more than IOV_MAX, and each call stops in the middle of one.
        std::vector<io::const_buffer> pieces;
        for (std::size_t done = 0; done < sent.size();) {
            const std::size_t size = std::min<std::size_t>(pieces.size() % 200, sent.size() - done);
            pieces.push_back({sent.data() + done, size});
            done += size;
        }
        auto writer = spawn([&] { EXPECT_EQ(io::writev(out, pieces), sent.size()); });
        std::vector<std::byte> got(sent.size());
        for (std::size_t done = 0; done < got.size();) {
            const std::span rest = std::span{got}.subspan(done);
            const std::size_t first = std::min<std::size_t>(rest.size(), 7);
            const std::array<io::mutable_buffer, 3> into{
                {{rest.data(), first}, {nullptr, 0}, {rest.data() + first, rest.size() - first}}};
            const std::size_t n = io::readv(in, into);
            ASSERT_GT(n, 0U);
            done += n;
        }
        EXPECT_EQ(got, sent);
        writer.join();
    });
}

TEST_P(transfer, messages_are_kept_apart) {
    run([this] {
        ends made = make_sockets(SOCK_SEQPACKET);
        const int in = hold(made.read);
        const int out = hold(made.write);
        io::write_some(out, bytes_of("one"));
        io::write_some(out, bytes_of("three"));
        std::array<std::byte, 100> buffer{};
        EXPECT_EQ(io::read_some(in, buffer), 3U);
        EXPECT_EQ(io::read_some(in, buffer), 5U);
    });
}

TEST_P(transfer, regular_file) {
    run([this] {
        raw file = nameless_file();
        const auto sent = random_bytes(3'000'000, 5);
        const int number = hold(file);
        io::wait_writable(number);
        EXPECT_EQ(io::write_all(number, sent), sent.size());
        ::lseek(number, 0, SEEK_SET);
        // Pages that are not in memory.
        ::fsync(number);
        ::posix_fadvise(number, 0, 0, POSIX_FADV_DONTNEED);
        io::wait_readable(number);
        std::vector<std::byte> got(sent.size() + 1);
        EXPECT_EQ(io::read_all(number, got), sent.size());
        got.pop_back();
        EXPECT_EQ(got, sent);
    });
}

TEST_P(transfer, devices_and_proc) {
    run([this] {
        std::array<std::byte, 64> buffer{};
        raw null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
        const int number = hold(null);
        io::wait_readable(number, 1s);
        EXPECT_EQ(io::read_some(number, buffer), 0U);
        EXPECT_EQ(io::write_all(number, buffer), buffer.size());
        raw zero{::open("/dev/zero", O_RDONLY | O_CLOEXEC)};
        EXPECT_EQ(io::read_all(hold(zero), buffer), buffer.size());
        raw proc{::open("/proc/self/status", O_RDONLY | O_CLOEXEC)};
        const int status = hold(proc);
        io::wait_readable(status, 1s);
        EXPECT_EQ(io::read_all(status, buffer), buffer.size());
        raw directory{::open("/", O_RDONLY | O_CLOEXEC)};
        const int root = hold(directory);
        io::wait_readable(root, 1s);
        EXPECT_EQ(thrown_by([&] { io::read_some(root, buffer); }), std::errc::is_a_directory);
    });
}

TEST_P(transfer, eventfd_timerfd_and_signalfd) {
    run([this] {
        raw event{::eventfd(0, EFD_CLOEXEC)};
        const int number = hold(event);
        auto writer = spawn([number] {
            const std::uint64_t seven = 7;
            io::write_all(number, std::as_bytes(std::span{&seven, 1}));
        });
        std::uint64_t count = 0;
        EXPECT_EQ(io::read_some(number, std::as_writable_bytes(std::span{&count, 1}), 5s), 8U);
        EXPECT_EQ(count, 7U);
        writer.join();

        raw timer{::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)};
        const itimerspec soon{{}, {0, 1'000'000}};
        ::timerfd_settime(timer.get(), 0, &soon, nullptr);
        EXPECT_EQ(io::read_some(hold(timer), std::as_writable_bytes(std::span{&count, 1}), 5s), 8U);

        sigset_t wanted;
        sigemptyset(&wanted);
        sigaddset(&wanted, SIGUSR1);
        sigset_t old;
        ::pthread_sigmask(SIG_BLOCK, &wanted, &old);
        raw signals{::signalfd(-1, &wanted, SFD_CLOEXEC)};
        const int arrivals = hold(signals);
        auto raiser = spawn([] { ::raise(SIGUSR1); });
        signalfd_siginfo arrived{};
        EXPECT_EQ(io::read_some(arrivals, std::as_writable_bytes(std::span{&arrived, 1}), 5s), sizeof arrived);
        EXPECT_EQ(arrived.ssi_signo, static_cast<unsigned>(SIGUSR1));
        raiser.join();
        ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
    });
}

TEST_P(transfer, terminal) {
    run([this] {
        raw master{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
        if (master.get() < 0 || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0)
            GTEST_SKIP() << "no pseudo-terminals here";
        raw terminal{::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC)};
        ASSERT_GE(terminal.get(), 0);
        const int outside = hold(master);
        const int inside = hold(terminal);
        auto typist = spawn([outside] {
            this_fiber::yield();
            io::write_all(outside, bytes_of("typed\n"));
        });
        std::array<std::byte, 64> buffer{};
        EXPECT_EQ(io::read_some(inside, buffer, 5s), 6U);
        EXPECT_EQ(text_of(std::span{buffer}.first(6)), "typed\n");
        typist.join();
    });
}

// The mode belongs to the file, which others may share (hazard H4).
// Somebody who has the same open file may change its mode at any time. Sockets are asked not to wait by each call.
TEST_F(descriptors, an_owned_socket_that_others_have_made_blocking) {
    coir::run([] {
        ends made = make_sockets();
        const io::descriptor owner{made.read.take()};
        ::fcntl(owner.get(), F_SETFL, 0);
        std::array<std::byte, 8> little{};
        const std::array<io::mutable_buffer, 1> into{{{little.data(), little.size()}}};
        EXPECT_EQ(error_of([&](auto& error) { io::read_some(owner.get(), little, error, 1ms); }), std::errc::timed_out);
        EXPECT_EQ(error_of([&](auto& error) { io::readv(owner.get(), into, error, 1ms); }), std::errc::timed_out);
        const std::vector<std::byte> much(10'000'000);
        const std::array<io::const_buffer, 1> from{{{much.data(), much.size()}}};
        EXPECT_EQ(error_of([&](auto& error) { io::write_all(owner.get(), much, error, 1ms); }), std::errc::timed_out);
        EXPECT_EQ(error_of([&](auto& error) { io::writev(owner.get(), from, error, 1ms); }), std::errc::timed_out);
    });
}

// As splice.opened_again_when_the_slice_ends: it has read what was there, and wants more.
TEST_F(descriptors, opened_again_when_the_slice_ends) {
    coir::run([] {
        constexpr int calls_in_two_slices = 128;
        std::array<std::byte, 1> byte{};
        for (int calls = 0; calls <= calls_in_two_slices; ++calls) {
            ends from = make_pipe();
            ends other = make_pipe();
            io::pipe_ends unrelated = io::pipe();
            for (const ends* each : {&from, &other})
                io::write_all(each->write.get(), byte);
            bool begins = false;
            auto reader = spawn([&, in = from.read.get()] {
                for (int i = 0; i < calls; ++i)
                    unrelated.write.write_all(byte);
                begins = true;
                std::array<std::byte, 2> two{};
                return error_of([&](auto& error) { io::read_all(in, two, error, 5s); });
            });
            while (!begins)
                this_fiber::yield();
            const int number = from.read.take();
            io::close(number);
            const raw reused{::dup2(other.read.get(), number)};
            ASSERT_EQ(reader.join(), std::errc::bad_file_descriptor) << calls;
            ASSERT_EQ(io::read_some(other.read.get(), byte, 5s), 1U) << calls;
        }
    });
}

TEST_F(descriptors, mode_of_a_borrowed_descriptor_is_not_changed) {
    coir::run([] {
        ends made = make_pipe();
        auto writer = spawn([&made] { io::write_all(made.write.get(), bytes_of("x")); });
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(io::read_some(made.read.get(), buffer), 1U);
        writer.join();
        EXPECT_EQ(::fcntl(made.read.get(), F_GETFL) & O_NONBLOCK, 0);
        EXPECT_EQ(::fcntl(made.write.get(), F_GETFL) & O_NONBLOCK, 0);
        // A full pipe in blocking mode: the fiber waits, the thread does not.
        auto filler = spawn([&made] { io::write_all(made.write.get(), random_bytes(200'000, 6)); });
        std::vector<std::byte> got(200'000);
        EXPECT_EQ(io::read_all(made.read.get(), got), got.size());
        filler.join();
        EXPECT_EQ(got, random_bytes(200'000, 6));
    });
}

INSTANTIATE_TEST_SUITE_P(both, transfer, testing::Values(held::borrowed, held::owned),
                         [](const auto& test) { return test.param == held::owned ? "owned" : "borrowed"; });

} // namespace
} // namespace coir::test
