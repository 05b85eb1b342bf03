// pipe(), and descriptors that two fibers use at once, one in each direction.
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <random>
#include <sys/resource.h>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;

using pipes = descriptors;

TEST_F(pipes, are_made_for_fibers) {
    coir::run([] {
        auto [out, in] = io::pipe();
        for (const io::descriptor* end : {&out, &in}) {
            EXPECT_EQ(::fcntl(end->get(), F_GETFD), FD_CLOEXEC);
            EXPECT_NE(::fcntl(end->get(), F_GETFL) & O_NONBLOCK, 0);
        }
        auto writer = spawn([end = std::move(in)]() mutable {
            this_fiber::yield();
            end.write_all(bytes_of("hello"));
        });
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(out.read_all(buffer, 5s), 5U);
        writer.join();
    });
    EXPECT_THROW(io::pipe(), std::logic_error);
    std::error_code error;
    EXPECT_FALSE(io::pipe(error).read);
    EXPECT_EQ(error, std::errc::operation_not_permitted);
}

TEST_F(pipes, no_descriptors_left) {
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    coir::run([&] {
        // Room for none, and for one.
        for (const rlim_t room : {rlim_t{0}, rlim_t{1}}) {
            const raw next{::dup(0)};
            const rlimit tight{static_cast<rlim_t>(next.get()) + room, before.rlim_max};
            ::setrlimit(RLIMIT_NOFILE, &tight);
            EXPECT_EQ(thrown_by([] { static_cast<void>(io::pipe()); }), std::errc::too_many_files_open);
            std::error_code error;
            EXPECT_FALSE(io::pipe(error).write);
            EXPECT_EQ(error, std::errc::too_many_files_open);
            ::setrlimit(RLIMIT_NOFILE, &before);
        }
    });
}

// Duplex, and half-close: both sides send and receive at once, in different amounts, and each ends its direction when it
// is done, while the other still flows.
TEST_F(pipes, socket_in_both_directions_at_once) {
    for (const bool owned : {false, true})
        coir::run([owned] {
            ends made = make_sockets();
            const int one = 1;
            for (const raw* each : {&made.read, &made.write})
                ::setsockopt(each->get(), SOL_SOCKET, SO_SNDBUF, &one, sizeof one);
            const std::array<int, 2> sides{made.read.get(), made.write.get()};
            std::vector<io::descriptor> owners;
            if (owned) {
                owners.emplace_back(made.read.take());
                owners.emplace_back(made.write.take());
            }
            const std::array<std::size_t, 2> sizes{300'000, 100'000};
            const auto byte_at = [](std::size_t side, std::size_t at) {
                return static_cast<std::byte>(at * 13 + at / 256 + side);
            };
            std::vector<fiber<void>> fibers;
            for (std::size_t side = 0; side < 2; ++side) {
                fibers.push_back(spawn([&, side] {
                    std::mt19937 random{static_cast<unsigned>(side)};
                    std::vector<std::byte> sent(sizes[side]);
                    for (std::size_t at = 0; at < sent.size(); ++at)
                        sent[at] = byte_at(side, at);
                    for (std::size_t done = 0; done < sent.size();) {
                        const std::size_t size = std::min<std::size_t>(1 + random() % 20'000, sent.size() - done);
                        io::write_all(sides[side], std::span{sent}.subspan(done, size), 10s);
                        done += size;
                    }
                    EXPECT_EQ(::shutdown(sides[side], SHUT_WR), 0);
                    EXPECT_EQ(thrown_by([&] { io::write_some(sides[side], bytes_of("x")); }), std::errc::broken_pipe);
                }));
                fibers.push_back(spawn([&, side] {
                    std::vector<std::byte> got(sizes[1 - side] + 1);
                    EXPECT_EQ(io::read_all(sides[side], got, 10s), got.size() - 1);
                    std::size_t wrong = 0;
                    for (std::size_t at = 0; at + 1 < got.size(); ++at)
                        wrong += got[at] == byte_at(1 - side, at) ? 0 : 1;
                    EXPECT_EQ(wrong, 0U);
                    EXPECT_EQ(io::read_some(sides[side], got, 10s), 0U);
                }));
            }
            for (fiber<void>& each : fibers)
                each.join();
        });
}

// A reader and a writer wait on the same descriptor; each is woken by its own direction, and both when it is closed.
TEST_F(pipes, one_descriptor_two_waiters) {
    coir::run([] {
        ends made = make_sockets();
        io::descriptor near{made.read.take()};
        while (::send(near.get(), "x", 1, MSG_DONTWAIT) == 1) {}
        std::vector<std::byte> buffer(1'000'000);
        auto reader = spawn([&] { return near.read_some(std::span{buffer}.first(8)); });
        auto writer = spawn([&] { return near.write_some(bytes_of("y")); });
        this_fiber::sleep_for(1ms);
        EXPECT_FALSE(reader.wait(deadline::passed()));
        ASSERT_EQ(::write(made.write.get(), "z", 1), 1);
        EXPECT_EQ(reader.join(), 1U);
        EXPECT_FALSE(writer.wait(deadline::passed()));
        ASSERT_GT(::recv(made.write.get(), buffer.data(), buffer.size(), MSG_DONTWAIT), 0);
        EXPECT_EQ(writer.join(), 1U);
        while (::send(near.get(), "x", 1, MSG_DONTWAIT) == 1) {}
        auto second_reader =
            spawn([&] { return error_of([&](auto& error) { near.read_some(std::span{buffer}.first(8), error); }); });
        auto second_writer =
            spawn([&] { return error_of([&](auto& error) { near.write_some(bytes_of("y"), error); }); });
        this_fiber::sleep_for(1ms);
        near.close();
        EXPECT_EQ(second_reader.join(), std::errc::bad_file_descriptor);
        EXPECT_EQ(second_writer.join(), std::errc::bad_file_descriptor);
    });
}

} // namespace
} // namespace coir::test
