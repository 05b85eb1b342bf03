// splice: between a pipe and anything, waiting for whichever is not ready.
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <numeric>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;

using splice = descriptors;

std::vector<std::byte> numbered_bytes(std::size_t size) {
    std::vector<std::byte> made(size);
    for (std::size_t i = 0; i < size; ++i)
        made[i] = static_cast<std::byte>(i * 7 + i / 251);
    return made;
}

// From a socket through two pipes into a socket: each splice waits now for the one side, now for the other.
TEST_F(splice, relays_a_stream) {
    for (const bool owned : {true, false})
        coir::run([owned] {
            ends source = make_sockets();
            ends first = make_pipe();
            ends second = make_pipe();
            ends sink = make_sockets();
            std::vector<io::descriptor> owners;
            const auto hold = [&](raw& made) {
                // Sockets in blocking mode are not for splice(2): these have to be owned.
                return owned || &made == &source.read || &made == &sink.write ? owners.emplace_back(made.take()).get()
                                                                              : made.get();
            };
            owners.reserve(8);
            const auto sent = numbered_bytes(500'000);
            auto writer = spawn([&] {
                io::write_all(source.write.get(), sent);
                source.write.reset();
            });
            const int a = hold(source.read);
            const int b = hold(first.write);
            const int c = hold(first.read);
            const int d = hold(second.write);
            const int e = hold(second.read);
            const int f = hold(sink.write);
            const auto end = [&](int number, raw& unowned) {
                if (unowned.get() == number)
                    unowned.reset();
                else
                    for (io::descriptor& each : owners)
                        if (each.get() == number)
                            each.close();
            };
            auto one = spawn([&] {
                EXPECT_EQ(io::splice(a, b, 1'000'000), sent.size());
                end(b, first.write);
            });
            auto two = spawn([&] {
                EXPECT_EQ(io::splice(c, d, 1'000'000), sent.size());
                end(d, second.write);
            });
            auto three = spawn([&] {
                EXPECT_EQ(io::splice(e, f, 200'000), 200'000U);
                this_fiber::sleep_for(1ms);
                EXPECT_EQ(io::splice(e, f, 1'000'000), sent.size() - 200'000);
                end(f, sink.write);
            });
            std::vector<std::byte> got(sent.size() + 1);
            EXPECT_EQ(io::read_all(sink.read.get(), got, 10s), sent.size());
            got.pop_back();
            EXPECT_TRUE(got == sent);
            writer.join();
            one.join();
            two.join();
            three.join();
        });
}

TEST_F(splice, says_how_far_it_got) {
    coir::run([] {
        io::pipe_ends from = io::pipe();
        io::pipe_ends to = io::pipe();
        from.write.write_all(bytes_of("abc"));
        std::error_code error;
        EXPECT_EQ(from.read.splice(to.write, 100, error, 5ms), 3U);
        EXPECT_EQ(error, std::errc::timed_out);
        auto mover = spawn([&] {
            try {
                from.read.splice(to.write, 100);
                ADD_FAILURE();
            } catch (const io::transfer_cancelled& failure) {
                EXPECT_EQ(failure.bytes_transferred(), 2U);
            }
            from.read.splice(to.write, 1);
            ADD_FAILURE();
        });
        this_fiber::sleep_for(1ms);
        from.write.write_all(bytes_of("de"));
        this_fiber::sleep_for(1ms);
        mover.cancel();
        EXPECT_THROW(mover.join(), cancelled);
        std::array<std::byte, 10> buffer{};
        EXPECT_EQ(to.read.read_some(buffer), 5U);
        EXPECT_EQ(text_of(std::span{buffer}.first(5)), "abcde");
        from.write.close();
        EXPECT_EQ(from.read.splice(to.write, 100), 0U);
    });
}

// The deadline and cancellation while `out` is full, and not `in` empty.
TEST_F(splice, waits_for_room) {
    coir::run([] {
        io::pipe_ends from = io::pipe();
        io::pipe_ends to = io::pipe();
        const std::vector<std::byte> much(65'536);
        to.write.write_all(much);
        from.write.write_all(bytes_of("abc"));
        EXPECT_EQ(error_of([&](auto& error) { from.read.splice(to.write, 3, error, 5ms); }), std::errc::timed_out);
        auto mover = spawn([&] { return from.read.splice(to.write, 3); });
        this_fiber::sleep_for(1ms);
        std::vector<std::byte> got(much.size());
        EXPECT_EQ(to.read.read_all(got), got.size());
        EXPECT_EQ(mover.join(), 3U);
        to.write.write_all(std::span{much}.subspan(4'096));
        from.write.write_all(bytes_of("d"));
        auto stopped = spawn([&] { from.read.splice(to.write, 1); });
        this_fiber::sleep_for(1ms);
        stopped.cancel();
        EXPECT_THROW(stopped.join(), cancelled);
        std::array<std::byte, 1> kept{};
        EXPECT_EQ(from.read.read_some(kept), 1U);
    });
}

TEST_F(splice, what_the_kernel_cannot_do) {
    coir::run([] {
        ends sockets = make_sockets(); // in blocking mode
        ends pipe = make_pipe();
        ends other = make_sockets();
        const auto no = std::errc::invalid_argument;
        EXPECT_EQ(thrown_by([&] { io::splice(sockets.read.get(), other.write.get(), 1); }), no);
        EXPECT_EQ(thrown_by([&] { io::splice(sockets.read.get(), pipe.write.get(), 1); }), no);
        EXPECT_EQ(error_of([&](auto& error) { io::splice(pipe.read.get(), sockets.write.get(), 1, error); }), no);
        EXPECT_EQ(thrown_by([&] { io::splice(-1, pipe.write.get(), 1); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { io::splice(pipe.read.get(), 1'000'000, 1); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(io::splice(pipe.read.get(), pipe.write.get(), 0), 0U);
    });
    EXPECT_THROW(io::splice(0, 1, 1), std::logic_error);
    EXPECT_EQ(error_of([&](auto& error) { io::splice(0, 1, 1, error); }), std::errc::operation_not_permitted);
}

TEST_F(splice, nobody_reads_any_more) {
    coir::run([] {
        io::pipe_ends pipe = io::pipe();
        ends made = make_sockets();
        io::descriptor out{made.write.take()};
        made.read.reset();
        pipe.write.write_all(bytes_of("abc"));
        // No SIGPIPE, which would end this program.
        EXPECT_EQ(thrown_by([&] { pipe.read.splice(out, 3); }), std::errc::broken_pipe);
    });
}

// Either end is closed, or closed and opened again, while the call waits for the other.
TEST_F(splice, closed_meanwhile) {
    coir::run([] {
        for (const bool close_in : {true, false}) {
            io::pipe_ends from = io::pipe();
            io::pipe_ends to = io::pipe();
            const bool full = close_in;
            if (full) {
                to.write.write_all(std::vector<std::byte>(65'536));
                from.write.write_all(bytes_of("abc"));
            }
            auto mover = spawn([in = from.read.get(), out = to.write.get()] {
                return error_of([&](auto& error) { io::splice(in, out, 3, error); });
            });
            this_fiber::sleep_for(1ms);
            io::descriptor& closed = close_in ? from.read : to.write;
            const int number = closed.get();
            io::pipe_ends other = io::pipe();
            closed.close();
            const raw reused{::dup2((close_in ? other.read : other.write).get(), number)};
            if (close_in)
                other.write.write_all(bytes_of("abc"));
            std::vector<std::byte> got(65'536);
            if (full)
                to.read.read_all(got);
            else
                from.write.write_all(bytes_of("abc"));
            EXPECT_EQ(mover.join(), std::errc::bad_file_descriptor);
            std::array<std::byte, 3> moved{};
            EXPECT_EQ(error_of([&](auto& error) { other.read.read_some(moved, error, deadline::passed()); }),
                      close_in ? std::error_code{} : std::make_error_code(std::errc::timed_out));
        }
    });
}

// The call's slice ends when it has found out that there is no room; where slices end is not known here: they end everywhere. What is
// then at the number of `out` is not waited for.
TEST_F(splice, opened_again_when_the_slice_ends) {
    coir::run([] {
        constexpr int calls_in_two_slices = 128;
        const std::vector<std::byte> full(65'536);
        std::array<std::byte, 1> byte{};
        for (int calls = 0; calls <= calls_in_two_slices; ++calls) {
            io::pipe_ends from = io::pipe();
            io::pipe_ends to = io::pipe();
            io::pipe_ends other = io::pipe();
            io::pipe_ends unrelated = io::pipe();
            from.write.write_all(byte);
            for (const io::pipe_ends* each : {&to, &other})
                while (::write(each->write.get(), full.data(), full.size()) > 0) {} // it is in non-blocking mode
            bool begins = false;
            auto mover = spawn([&, in = from.read.get(), out = to.write.get()] {
                for (int i = 0; i < calls; ++i)
                    unrelated.write.write_all(byte);
                begins = true;
                return error_of([&](auto& error) { io::splice(in, out, 1, error, 1s); });
            });
            while (!begins)
                this_fiber::yield();
            const int number = to.write.get();
            to.write.close();
            io::descriptor reused{::dup2(other.write.get(), number)};
            ASSERT_EQ(mover.join(), std::errc::bad_file_descriptor) << calls;
        }
    });
}

} // namespace
} // namespace coir::test
