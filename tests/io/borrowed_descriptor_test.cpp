// Descriptors that other processes use at the same time: O_NONBLOCK belongs to the open file, so they would see it (hazard
// H4).
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <pty.h>
#include <string>
#include <termios.h>
#include <thread>
#include <type_traits>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using io::borrowed_descriptor;

using borrowed = descriptors;

TEST_F(borrowed, is_a_number) {
    static_assert(std::is_trivially_copyable_v<borrowed_descriptor>);
    static_assert(io::standard_input().get() == 0 && io::standard_output().get() == 1 &&
                  io::standard_error().get() == 2);
    static_assert(!borrowed_descriptor{});
    coir::run([] {
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(thrown_by([&] { borrowed_descriptor{}.read_some(buffer); }), std::errc::bad_file_descriptor);
        ends made = make_pipe();
        const io::descriptor out{made.write.take()};
        const borrowed_descriptor lent = out; // what owns can lend
        EXPECT_EQ(lent.write_all(bytes_of("abc")), 3U);
        const borrowed_descriptor in{made.read.get()};
        EXPECT_EQ(in.read_some(buffer), 3U);
        EXPECT_EQ(error_of([&](auto& error) { in.read_some(buffer, error, 1ms); }), std::errc::timed_out);
    });
}

// std::string and arrays of char are read into and written from without a cast.
template <class Stream> void expect_text_through(Stream& out, Stream& in) {
    std::error_code error;
    EXPECT_EQ(out.write_all("abcdef"), 6U);
    EXPECT_EQ(out.write_some(std::string{"g"}, 5s),
              1U); // one byte: no transfer is shorter, also where faults are injected
    EXPECT_EQ(out.write_all(std::string_view{"hij"}, error), 3U);
    EXPECT_EQ(out.write_some("k", error, 5s), 1U);
    EXPECT_FALSE(error);
    std::string six(6, ' ');
    EXPECT_EQ(in.read_all(six), 6U);
    std::array<char, 2> two{};
    EXPECT_EQ(in.read_all(two, error, 5s), 2U);
    char rest[3];
    EXPECT_EQ(in.read_some(std::span{rest, 1}, 5s), 1U);
    EXPECT_EQ(in.read_all(std::span{rest}.subspan(1), 5s), 2U);
    EXPECT_EQ(six + std::string(two.data(), 2) + std::string(rest, 3), "abcdefghijk");
    EXPECT_EQ(in.read_some(two, error, 1ms), 0U);
    EXPECT_EQ(error, std::errc::timed_out);
    static_assert(noexcept(in.read_some(two, error))&& noexcept(out.write_all(six, error, deadline{})));
    static_assert(!noexcept(in.read_some(two)) && !noexcept(out.write_all(six, deadline{})));
}

TEST_F(borrowed, and_other_streams_carry_text) {
    coir::run([] {
        auto [near, far] = net::unix_stream::pair();
        expect_text_through(near, far);
        const ends pipe = make_pipe();
        const borrowed_descriptor in{pipe.read.get()};
        const borrowed_descriptor out{pipe.write.get()};
        expect_text_through(out, in);
    });
}

// A child `cat` whose standard input and output are these.
pid_t start_cat(int in, int out) {
    const pid_t child = fork_dependent();
    if (child == 0) {
        ::dup2(in, 0);
        ::dup2(out, 1);
        ::execlp("cat", "cat", static_cast<char*>(nullptr));
        ::_exit(127);
    }
    return child;
}

// Standard input of this process becomes something else for a while.
class as_standard_input {
public:
    explicit as_standard_input(int number) : old_(::fcntl(0, F_DUPFD_CLOEXEC, 3)) { ::dup2(number, 0); }
    ~as_standard_input() {
        if (old_.get() >= 0)
            ::dup2(old_.get(), 0);
        else
            ::close(0);
    }
    as_standard_input(const as_standard_input&) = delete;
    as_standard_input& operator=(const as_standard_input&) = delete;

private:
    raw old_;
};

// A fiber and `cat` read the same pipe, a fiber and `cat` write the same pipe. cat ends with an error at EAGAIN, which it
// would see when there is nothing to read: and there is not, most of the time.
TEST_F(borrowed, pipes_shared_with_a_child) {
    ends in = make_pipe();
    ends out = make_pipe();
    const int in_mode = ::fcntl(in.read.get(), F_GETFL);
    const int out_mode = ::fcntl(out.write.get(), F_GETFL);
    const pid_t cat = start_cat(in.read.get(), out.write.get());
    ASSERT_GT(cat, 0);
    const as_standard_input redirected{in.read.get()};
    constexpr int rounds = 300;
    coir::run([&] {
        auto reader = spawn([&] {
            std::string got;
            std::array<std::byte, 1> byte{};
            std::error_code error;
            while (io::standard_input().read_some(byte, error, 10s) == 1) {
                got += text_of(byte);
                borrowed_descriptor{out.write.get()}.write_all(byte);
            }
            EXPECT_EQ(error, std::error_code{});
            EXPECT_EQ(::fcntl(0, F_GETFL), in_mode);
            out.write.reset();
            return got.size();
        });
        auto feeder = spawn([&] {
            for (int i = 0; i < rounds; ++i) {
                EXPECT_EQ(::fcntl(in.read.get(), F_GETFL), in_mode);
                EXPECT_EQ(::write(in.write.get(), "x", 1), 1);
                this_fiber::sleep_for(i % 16 == 0 ? 500us : 10us);
            }
            in.write.reset();
        });
        // Everything comes out at the other end, whoever took it: where we read with a blocking peer, too.
        std::size_t all = 0;
        std::array<std::byte, 64> buffer{};
        while (const std::size_t n = borrowed_descriptor{out.read.get()}.read_some(buffer, 10s))
            all += n;
        EXPECT_EQ(all, static_cast<std::size_t>(rounds));
        feeder.join();
        reader.join();
    });
    EXPECT_EQ(exit_status_of(cat), 0) << "cat: Resource temporarily unavailable";
    EXPECT_EQ(::fcntl(out.read.get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(out_mode & O_NONBLOCK, 0);
}

// The same with a pipe that is full most of the time: cat and a fiber write, a thread reads slowly.
TEST_F(borrowed, a_full_pipe_shared_with_a_child) {
    ends in = make_pipe();
    ends out = make_pipe();
    const int mode = ::fcntl(out.write.get(), F_GETFL);
    const pid_t cat = start_cat(in.read.get(), out.write.get());
    ASSERT_GT(cat, 0);
    in.read.reset();
    constexpr std::size_t each = 300'000;
    std::size_t all = 0;
    std::thread reader{[&all, from = out.read.get()] {
        std::array<char, 8'192> buffer;
        ssize_t n = 0;
        while ((n = ::read(from, buffer.data(), buffer.size())) > 0)
            all += static_cast<std::size_t>(n);
    }};
    coir::run([&] {
        const std::vector<std::byte> much(each, std::byte{'x'});
        auto feeder = spawn([&] {
            borrowed_descriptor{in.write.get()}.write_all(much, 10s);
            in.write.reset();
        });
        borrowed_descriptor{out.write.get()}.write_all(much, 10s);
        EXPECT_EQ(::fcntl(out.write.get(), F_GETFL), mode);
        out.write.reset();
        feeder.join();
    });
    EXPECT_EQ(exit_status_of(cat), 0);
    reader.join();
    EXPECT_EQ(all, 2 * each);
}

// A terminal: its mode is seen by the shell and everything started from it.
TEST_F(borrowed, a_terminal_shared_with_a_child) {
    int outside_number = -1;
    int inside_number = -1;
    if (::openpty(&outside_number, &inside_number, nullptr, nullptr, nullptr) != 0)
        GTEST_SKIP() << "no pseudo-terminals here";
    raw outside{outside_number};
    raw inside{inside_number};
    for (const raw* each : {&outside, &inside})
        ::fcntl(each->get(), F_SETFD, FD_CLOEXEC);
    termios quiet{};
    ::tcgetattr(inside.get(), &quiet);
    quiet.c_lflag &= static_cast<tcflag_t>(~ECHO);
    quiet.c_oflag &= static_cast<tcflag_t>(~OPOST);
    ::tcsetattr(inside.get(), TCSANOW, &quiet);
    const int mode = ::fcntl(inside.get(), F_GETFL);
    ends out = make_pipe();
    pid_t cat = 0;
    const as_standard_input redirected{inside.get()};
    coir::run([&] {
        // Alone first: what is typed arrives, and other fibers run meanwhile.
        auto typist = spawn([&] {
            this_fiber::sleep_for(1ms);
            borrowed_descriptor{outside.get()}.write_all(bytes_of("typed\n"));
        });
        io::buffered_reader lines{io::standard_input()};
        EXPECT_EQ(lines.read_line(10s), "typed");
        typist.join();
        EXPECT_EQ(::fcntl(0, F_GETFL), mode);
        io::borrowed_descriptor{inside.get()}.write_all(bytes_of("shown\n"));
        std::array<std::byte, 64> buffer{};
        EXPECT_EQ(borrowed_descriptor{outside.get()}.read_all(std::span{buffer}.first(6), 10s), 6U);
        // A deadline while nothing is typed, with a child that waits for the same terminal.
        cat = start_cat(inside.get(), out.write.get());
        out.write.reset();
        for (int i = 0; i < 5; ++i) {
            EXPECT_EQ(error_of([&](auto& error) { io::standard_input().read_some(buffer, error, 5ms); }),
                      std::errc::timed_out);
            EXPECT_EQ(::fcntl(0, F_GETFL), mode);
        }
        // Only the child reads now: it waits, instead of failing.
        borrowed_descriptor{outside.get()}.write_all(bytes_of("for cat\n"));
        EXPECT_EQ(borrowed_descriptor{out.read.get()}.read_all(std::span{buffer}.first(8), 10s), 8U);
        EXPECT_EQ(text_of(std::span{buffer}.first(8)), "for cat\n");
        borrowed_descriptor{outside.get()}.write_all(bytes_of("\x04")); // end of file for cat
    });
    EXPECT_EQ(exit_status_of(cat), 0);
    EXPECT_EQ(::fcntl(inside.get(), F_GETFL), mode);
}

// It is in blocking mode, and what it takes depends on who reads it: only the fiber waits.
TEST_F(borrowed, a_terminal_that_nobody_reads) {
    int outside_number = -1;
    int inside_number = -1;
    if (::openpty(&outside_number, &inside_number, nullptr, nullptr, nullptr) != 0)
        GTEST_SKIP() << "no pseudo-terminals here";
    const raw outside{outside_number};
    const raw inside{inside_number};
    coir::run([&] {
        const std::vector<std::byte> much(1'000'000, std::byte{'\n'}); // each becomes two
        for (int i = 0; i < 2; ++i) {
            std::error_code error;
            while (io::write_all(inside.get(), much, error, 5ms) != 0)
                EXPECT_EQ(error, std::errc::timed_out);
            std::array<std::byte, 1'000> shown{}; // some room again, not enough for all
            EXPECT_NE(io::read_some(outside.get(), shown, 5s), 0U);
        }
    });
}

// What an executed child inherits: the same mode that this process was given.
TEST_F(borrowed, a_child_inherits_the_mode_unchanged) {
    ends made = make_pipe();
    const int mode = ::fcntl(made.read.get(), F_GETFL);
    coir::run([&] {
        std::array<std::byte, 8> buffer{};
        std::error_code error;
        const as_standard_input redirected{made.read.get()};
        io::standard_input().read_some(buffer, error, 1ms);
        EXPECT_EQ(error, std::errc::timed_out);
        EXPECT_EQ(in_child([mode] { return ::fcntl(0, F_GETFL) == mode ? 0 : 1; }), 0);
    });
}

} // namespace
} // namespace coir::test
