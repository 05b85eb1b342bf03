// Several fibers on one descriptor, and those who end their waits: other processes, close(), all at once.
#include "emulation.hpp"
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <optional>
#include <random>
#include <thread>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;

class waiters : public descriptors, public testing::WithParamInterface<bool> {
protected:
    static std::optional<io::descriptor> own(raw& made) {
        return GetParam() ? std::optional{io::descriptor{made.take()}} : std::nullopt;
    }
};

TEST_P(waiters, readers_are_served_in_the_order_they_came) {
    coir::run([] {
        for (const bool one_by_one : {true, false}) {
            ends made = make_pipe();
            const int number = made.read.get();
            const auto owner = own(made.read);
            std::vector<fiber<void>> readers;
            std::string order;
            std::string got;
            for (char name = 'a'; name <= 'j'; ++name)
                readers.push_back(spawn([&, name] {
                    for (int i = 0; i < 3; ++i) {
                        std::array<std::byte, 1> byte{};
                        EXPECT_EQ(io::read_some(number, byte, 5s), 1U);
                        order += name;
                        got += static_cast<char>(byte[0]);
                    }
                }));
            this_fiber::yield();
            std::string sent;
            for (char byte = 'A'; byte < 'A' + 30; ++byte)
                sent += byte;
            if (one_by_one)
                for (const char& byte : sent) {
                    ASSERT_EQ(::write(made.write.get(), &byte, 1), 1);
                    this_fiber::sleep_for(50us);
                }
            else
                ASSERT_EQ(::write(made.write.get(), sent.data(), sent.size()), std::ssize(sent));
            for (auto& reader : readers)
                reader.join();
            EXPECT_EQ(got, sent);
            EXPECT_EQ(order, "abcdefghijabcdefghijabcdefghij");
        }
    });
}

// Who gives up in the middle of the queue leaves nothing behind and takes nothing along.
TEST_P(waiters, some_give_up_and_the_others_get_everything) {
    coir::run([] {
        ends made = make_pipe();
        const int number = made.read.get();
        const auto owner = own(made.read);
        std::string got;
        std::vector<fiber<void>> readers;
        for (int i = 0; i < 30; ++i)
            readers.push_back(spawn([&, i] {
                std::array<std::byte, 1> byte{};
                std::error_code error;
                if (io::read_some(number, byte, error, i % 3 == 1 ? deadline{1ms} : deadline::never()) == 1)
                    got += static_cast<char>(byte[0]);
                else
                    EXPECT_EQ(error, i % 3 == 1 ? std::errc::timed_out : std::errc::operation_canceled);
            }));
        for (std::size_t i = 1; i < 30; i += 3)
            readers[i].wait(); // however slow the machine is
        for (std::size_t i = 0; i < 30; i += 3)
            readers[i].cancel();
        ASSERT_EQ(::write(made.write.get(), "0123456789", 10), 10); // before the cancelled ones run
        for (auto& reader : readers)
            reader.join();
        EXPECT_EQ(got, "0123456789");
    });
}

TEST_P(waiters, end_of_file_is_for_all) {
    coir::run([] {
        ends made = make_pipe();
        const int number = made.read.get();
        const auto owner = own(made.read);
        std::vector<fiber<std::size_t>> readers;
        for (int i = 0; i < 10; ++i)
            readers.push_back(spawn([number] {
                std::array<std::byte, 8> buffer{};
                return io::read_some(number, buffer, 5s);
            }));
        this_fiber::sleep_for(100us);
        made.write.reset();
        for (auto& reader : readers)
            EXPECT_EQ(reader.join(), 0U);
    });
}

TEST_P(waiters, writers_take_turns_and_whole_blocks_arrive) {
    coir::run([] {
        ends made = make_pipe();
        const int number = made.write.get();
        const auto owner = own(made.write);
        std::vector<fiber<void>> writers;
        for (char name = 'a'; name < 'k'; ++name)
            writers.push_back(spawn([number, name] {
                const std::vector<char> block(4096, name); // PIPE_BUF: atomic
                for (int i = 0; i < 40; ++i)
                    EXPECT_EQ(io::write_all(number, std::as_bytes(std::span{block}), 5s), block.size());
            }));
        std::array<int, 256> count{};
        std::vector<std::byte> got(4096);
        for (int i = 0; i < 400; ++i) {
            ASSERT_EQ(io::read_all(made.read.get(), got, 5s), got.size());
            EXPECT_TRUE(std::all_of(got.begin(), got.end(), [&](std::byte byte) { return byte == got[0]; }));
            ++count[static_cast<std::size_t>(got[0])];
        }
        for (char name = 'a'; name < 'k'; ++name)
            EXPECT_EQ(count[static_cast<std::size_t>(name)], 40);
        for (auto& writer : writers)
            writer.join();
    });
}

TEST_P(waiters, reading_and_writing_one_socket_are_independent) {
    coir::run([] {
        ends made = make_sockets();
        const int number = made.read.get();
        const auto owner = own(made.read);
        constexpr std::size_t size = 3'000'000;
        const std::vector<std::byte> sent(size, std::byte{1});
        auto writer = spawn([&] { EXPECT_EQ(io::write_all(number, sent, 20s), size); });
        auto reader = spawn([&] {
            std::vector<std::byte> got(size);
            EXPECT_EQ(io::read_all(number, got, 20s), size);
        });
        auto peer_writer = spawn([&] { EXPECT_EQ(io::write_all(made.write.get(), sent, 20s), size); });
        std::vector<std::byte> got(size);
        EXPECT_EQ(io::read_all(made.write.get(), got, 20s), size);
        for (auto* each : {&writer, &reader, &peer_writer})
            each->join();
    });
}

TEST_P(waiters, closing_wakes_all_at_once) {
    coir::run([] {
        for (const bool reopened : {false, true}) {
            ends made = make_sockets();
            const std::array<std::byte, 4096> filler{};
            while (::send(made.read.get(), filler.data(), filler.size(), MSG_DONTWAIT) > 0) {}
            const int number = made.read.get();
            auto owner = own(made.read);
            std::vector<fiber<std::error_code>> waiting;
            std::array<std::byte, 8> buffer{};
            for (int i = 0; i < 5; ++i) {
                waiting.push_back(spawn([&] { return error_of([&](auto& e) { io::read_some(number, buffer, e); }); }));
                waiting.push_back(spawn([&] { return error_of([&](auto& e) { io::write_some(number, buffer, e); }); }));
                waiting.push_back(spawn([&] { return error_of([&](auto& e) { io::wait_readable(number, e); }); }));
            }
            this_fiber::sleep_for(100us);
            // Data as well: who has been called already must not take it from the next file of that number.
            ASSERT_EQ(::write(made.write.get(), "stale", 5), 5);
            if (owner)
                owner->close();
            else
                io::close(made.read.take());
            std::optional<ends> next;
            if (reopened) {
                next = make_sockets();
                ASSERT_EQ(next->read.get(), number);
                ASSERT_EQ(::write(next->write.get(), "fresh", 5), 5);
            }
            for (auto& each : waiting)
                EXPECT_EQ(each.join(), std::errc::bad_file_descriptor);
            if (next) {
                EXPECT_EQ(io::read_some(number, buffer), 5U);
            }
        }
    });
}

TEST_F(descriptors, closing_twice) {
    coir::run([] {
        ends made = make_pipe();
        const int number = made.read.take();
        io::close(number);
        EXPECT_EQ(thrown_by([&] { io::close(number); }), std::errc::bad_file_descriptor);
        io::descriptor owner{made.write.take()};
        owner.close();
        EXPECT_EQ(owner.get(), -1);
        owner.close(); // nothing to do
        EXPECT_EQ(thrown_by([&] { owner.write_some(bytes_of("x")); }), std::errc::bad_file_descriptor);
    });
}

TEST_F(descriptors, ownership_moves_and_is_given_up) {
    coir::run([] {
        ends made = make_pipe();
        const int number = made.read.take();
        io::descriptor first{number};
        EXPECT_NE(::fcntl(number, F_GETFL) & O_NONBLOCK, 0);
        io::descriptor second{std::move(first)};
        EXPECT_FALSE(first);
        EXPECT_EQ(second.get(), number);
        second = io::descriptor{made.write.take()};
        EXPECT_EQ(::fcntl(number, F_GETFD), -1) << "replaced, so closed";
        const int given = second.get();
        std::array<std::byte, 8> buffer{};
        auto waiter = spawn([&] { return error_of([&](auto& error) { io::read_some(given, buffer, error); }); });
        this_fiber::yield();
        EXPECT_EQ(second.release(), given);
        EXPECT_EQ(waiter.join(), std::errc::bad_file_descriptor);
        made.write.reset(given);
        EXPECT_NE(::fcntl(given, F_GETFD), -1);
    });
}

// Another process takes what we have been told of (hazard F6): no error, no byte twice.
TEST_P(waiters, another_process_steals) {
    if (is_emulated() && !GetParam())
        GTEST_SKIP() << "qemu has no preadv2: a read of what was there a moment ago may then block";
    constexpr std::size_t size = 2'000'000;
    ends data = make_pipe();
    ends report = make_pipe();
    const pid_t thief = fork_dependent();
    if (thief == 0) {
        data.write.reset();
        std::array<char, 64> buffer{};
        std::size_t stolen = 0;
        for (ssize_t n = 0; (n = ::read(data.read.get(), buffer.data(), buffer.size())) != 0;)
            stolen += n > 0 ? static_cast<std::size_t>(n) : 0; // owned: the mode is shared, so it also gets EAGAIN
        ::_exit(::write(report.write.get(), &stolen, sizeof stolen) == sizeof stolen ? 0 : 1);
    }
    std::size_t ours = 0;
    coir::run([&] {
        const int in = data.read.get();
        const auto owner = own(data.read);
        auto writer = spawn([&] {
            const std::vector<std::byte> block(777);
            for (std::size_t done = 0; done < size;)
                done += io::write_all(data.write.get(), std::span{block}.first(std::min(block.size(), size - done)));
            data.write.reset();
        });
        std::array<std::byte, 64> buffer{};
        while (const std::size_t n = io::read_some(in, buffer))
            ours += n;
        writer.join();
    });
    std::size_t stolen = 0;
    ASSERT_EQ(::read(report.read.get(), &stolen, sizeof stolen), std::ssize(std::array<char, sizeof stolen>{}));
    EXPECT_EQ(ours + stolen, size);
    ::waitpid(thief, nullptr, 0);
}

// Deadlines as long as the data takes, in four loops at once: whichever comes first, no byte is lost, none comes twice (hazard
// F7).
TEST_P(waiters, deadlines_race_with_the_data) {
    constexpr unsigned bytes = 10'000;
    std::atomic<unsigned> expired{0};
    const auto race = [&](unsigned seed) {
        coir::run([&, seed] {
            std::minstd_rand random{seed};
            ends made = make_pipe();
            const int in = made.read.get();
            const auto owner = own(made.read);
            auto writer = spawn([&, out = made.write.get()] {
                for (unsigned i = 0; i < bytes; ++i) {
                    if (i % 4 == 0)
                        this_fiber::sleep_for(std::chrono::microseconds{random() % 40});
                    const auto next = static_cast<std::byte>(i);
                    EXPECT_EQ(::write(out, &next, 1), 1);
                }
            });
            for (unsigned i = 0; i < bytes;) {
                std::array<std::byte, 2> got{};
                std::error_code error;
                const std::size_t n = io::read_some(in, got, error, std::chrono::microseconds{random() % 40});
                EXPECT_EQ(error, n == 0 ? make_error_code(std::errc::timed_out) : std::error_code{});
                for (std::size_t j = 0; j < n; ++j)
                    EXPECT_EQ(got[j], static_cast<std::byte>(i++));
                expired += n == 0 ? 1U : 0U;
            }
            writer.join();
        });
    };
    std::vector<std::thread> others;
    for (unsigned seed = 1; seed < 4; ++seed)
        others.emplace_back(race, seed);
    race(4);
    for (auto& each : others)
        each.join();
    EXPECT_GT(expired, 100U);
}

INSTANTIATE_TEST_SUITE_P(of, waiters, testing::Bool(),
                         [](const auto& test) { return test.param ? "owned" : "borrowed"; });

} // namespace
} // namespace coir::test
