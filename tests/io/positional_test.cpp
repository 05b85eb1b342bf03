// pread_some, pread_all, pwrite_some, pwrite_all: transfers at an offset, of an owner's descriptor and of a bare number.
#include "io/holding.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <limits>
#include <string>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;

class positional : public holding {};

TEST_P(positional, the_position_of_the_file_stays) {
    run([this] {
        raw file = nameless_file();
        const int number = hold(file);
        EXPECT_EQ(io::pwrite_all(number, bytes_of("world"), 7), 5U);
        EXPECT_EQ(io::pwrite_some(number, bytes_of("hello, "), 0), 7U);
        EXPECT_EQ(::lseek(number, 0, SEEK_CUR), 0);
        std::array<std::byte, 12> whole{};
        EXPECT_EQ(io::pread_all(number, whole, 0), 12U);
        EXPECT_EQ(text_of(whole), "hello, world");
        std::array<std::byte, 5> end{};
        EXPECT_EQ(io::pread_some(number, end, 7), 5U);
        EXPECT_EQ(text_of(end), "world");
        EXPECT_EQ(::lseek(number, 0, SEEK_CUR), 0);
    });
}

TEST_P(positional, less_only_at_the_end_of_file) {
    run([this] {
        raw file = nameless_file();
        const int number = hold(file);
        io::pwrite_all(number, bytes_of("abc"), 0);
        std::array<std::byte, 10> buffer{};
        EXPECT_EQ(io::pread_all(number, buffer, 1), 2U);
        EXPECT_EQ(io::pread_all(number, buffer, 3), 0U);
        EXPECT_EQ(io::pread_some(number, buffer, 1'000'000), 0U);
        EXPECT_EQ(io::pread_some(number, {}, 0), 0U);
        EXPECT_EQ(io::pwrite_all(number, {}, 0), 0U);
    });
}

// Beyond what 32 bits hold, and beyond what the system's offsets do: -1 means "the file's position" to some system calls.
TEST_P(positional, large_and_impossible_offsets) {
    run([this] {
        raw file = nameless_file();
        const int number = hold(file);
        const std::uint64_t far = (1ULL << 33) + 5;
        EXPECT_EQ(io::pwrite_all(number, bytes_of("x"), far), 1U);
        std::array<std::byte, 1> byte{};
        EXPECT_EQ(io::pread_all(number, byte, far), 1U);
        EXPECT_EQ(text_of(byte), "x");
        for (const std::uint64_t offset : {std::numeric_limits<std::uint64_t>::max(), std::uint64_t{1} << 63}) {
            EXPECT_EQ(thrown_by([&] { io::pread_some(number, byte, offset); }), std::errc::invalid_argument);
            EXPECT_EQ(thrown_by([&] { io::pwrite_all(number, byte, offset); }), std::errc::invalid_argument);
        }
    });
}

TEST_P(positional, what_has_no_position) {
    run([this] {
        ends pipe = make_pipe();
        ends sockets = make_sockets();
        const int in = hold(pipe.read);
        const int socket = hold(sockets.read);
        std::array<std::byte, 8> buffer{};
        for (const int number : {in, socket}) {
            EXPECT_EQ(thrown_by([&] { io::pread_some(number, buffer, 0); }), std::errc::invalid_seek);
            EXPECT_EQ(error_of([&](auto& error) { io::pread_all(number, buffer, 0, error, 5s); }),
                      std::errc::invalid_seek);
        }
        EXPECT_EQ(thrown_by([&] { io::pwrite_some(hold(pipe.write), buffer, 0); }), std::errc::invalid_seek);
        EXPECT_EQ(error_of([&](auto& error) { io::pwrite_all(socket, buffer, 0, error, 5s); }),
                  std::errc::invalid_seek);
    });
}

// A terminal takes these calls, ignores the offset, and blocks.
TEST_P(positional, a_terminal_makes_the_fiber_wait_and_not_the_thread) {
    run([this] {
        raw master{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
        if (master.get() < 0 || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0)
            GTEST_SKIP() << "no pseudo-terminals here";
        raw terminal{::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC)};
        const int number = hold(terminal);
        auto typist = spawn([&] { EXPECT_EQ(::write(master.get(), "typed\n", 6), 6); });
        std::array<std::byte, 64> buffer{};
        std::error_code error;
        const std::size_t got = io::pread_some(number, buffer, 0, error, 5s);
        EXPECT_TRUE((!error && got == 6) || error == std::errc::invalid_seek) << error;
        typist.join();
    });
}

TEST_P(positional, wrong_direction_and_closed) {
    run([this] {
        raw reading{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
        const int number = hold(reading);
        EXPECT_EQ(thrown_by([&] { io::pwrite_some(number, bytes_of("x"), 0); }), std::errc::bad_file_descriptor);
        std::array<std::byte, 8> buffer{};
        for (const int bad : {-1, 1'000'000}) {
            EXPECT_EQ(thrown_by([&] { io::pread_some(bad, buffer, 0); }), std::errc::bad_file_descriptor);
            EXPECT_EQ(thrown_by([&] { io::pread_all(bad, buffer, 0); }), std::errc::bad_file_descriptor);
            EXPECT_EQ(thrown_by([&] { io::pwrite_some(bad, buffer, 0); }), std::errc::bad_file_descriptor);
            EXPECT_EQ(thrown_by([&] { io::pwrite_all(bad, buffer, 0); }), std::errc::bad_file_descriptor);
        }
    });
}

TEST_P(positional, a_full_disk_says_how_far_it_got) {
    run([this] {
        raw full{::open("/dev/full", O_RDWR | O_CLOEXEC)};
        const int number = hold(full);
        try {
            io::pwrite_all(number, bytes_of("x"), 0);
            ADD_FAILURE();
        } catch (const io::transfer_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::no_space_on_device);
            EXPECT_EQ(failure.bytes_transferred(), 0U);
            EXPECT_EQ(std::string_view{failure.what()}.substr(0, 14), "io::pwrite_all");
        }
    });
}

TEST_P(positional, a_cancelled_fiber_does_not_begin) {
    run([this] {
        raw file = nameless_file();
        const int number = hold(file);
        auto writer = spawn([number] {
            std::error_code error;
            EXPECT_EQ(io::pwrite_all(number, bytes_of("x"), 0, error), 0U);
            EXPECT_EQ(error, std::errc::operation_canceled);
            io::pwrite_all(number, bytes_of("x"), 0);
            ADD_FAILURE();
        });
        writer.cancel();
        EXPECT_THROW(writer.join(), cancelled);
        EXPECT_EQ(::lseek(number, 0, SEEK_END), 0);
    });
}

TEST(positional_outside, is_misuse) {
    std::array<std::byte, 8> buffer{};
    EXPECT_THROW(io::pread_some(0, buffer, 0), std::logic_error);
    EXPECT_THROW(io::pwrite_all(0, buffer, 0), std::logic_error);
    EXPECT_EQ(error_of([&](auto& error) { io::pread_all(0, buffer, 0, error); }), std::errc::operation_not_permitted);
    EXPECT_EQ(error_of([&](auto& error) { io::pwrite_some(0, buffer, 0, error); }), std::errc::operation_not_permitted);
}

INSTANTIATE_TEST_SUITE_P(both, positional, testing::Values(held::borrowed, held::owned),
                         [](const auto& test) { return test.param == held::owned ? "owned" : "borrowed"; });

} // namespace
} // namespace coir::test
