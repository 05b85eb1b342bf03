// Numbers that are not open, not any more, or another file by now. libev would abort on some of them (hazards E1, E2, E3).
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <optional>
#include <random>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <thread>
#include <utility>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;

using bad_descriptor = descriptors;

std::array<std::byte, 16> buffer;

// All that can be done with a number.
void expect_bad(int number) {
    const auto bad = std::errc::bad_file_descriptor;
    const std::array<io::mutable_buffer, 1> into{{{buffer.data(), buffer.size()}}};
    const std::array<io::const_buffer, 1> from{{{buffer.data(), buffer.size()}}};
    EXPECT_EQ(thrown_by([&] { io::wait_readable(number); }), bad) << number;
    EXPECT_EQ(thrown_by([&] { io::wait_writable(number); }), bad) << number;
    EXPECT_EQ(thrown_by([&] { io::read_some(number, buffer); }), bad) << number;
    EXPECT_EQ(thrown_by([&] { io::read_all(number, buffer); }), bad) << number;
    EXPECT_EQ(thrown_by([&] { io::write_some(number, buffer); }), bad) << number;
    EXPECT_EQ(thrown_by([&] { io::write_all(number, buffer); }), bad) << number;
    EXPECT_EQ(thrown_by([&] { io::readv(number, into); }), bad) << number;
    EXPECT_EQ(thrown_by([&] { io::writev(number, from); }), bad) << number;
    EXPECT_EQ(thrown_by([&] { io::close(number); }), bad) << number;
    EXPECT_EQ(thrown_by([&] { io::descriptor{number}; }), bad) << number;
    EXPECT_EQ(error_of([&](auto& error) { io::wait_readable(number, error, 5s); }), bad) << number;
    EXPECT_EQ(error_of([&](auto& error) { io::wait_writable(number, error, 5s); }), bad) << number;
    EXPECT_EQ(error_of([&](auto& error) { io::read_some(number, buffer, error, 5s); }), bad) << number;
    EXPECT_EQ(error_of([&](auto& error) { io::read_all(number, buffer, error, 5s); }), bad) << number;
    EXPECT_EQ(error_of([&](auto& error) { io::write_some(number, buffer, error, 5s); }), bad) << number;
    EXPECT_EQ(error_of([&](auto& error) { io::write_all(number, buffer, error, 5s); }), bad) << number;
    EXPECT_EQ(error_of([&](auto& error) { io::readv(number, into, error, 5s); }), bad) << number;
    EXPECT_EQ(error_of([&](auto& error) { io::writev(number, from, error, 5s); }), bad) << number;
    EXPECT_EQ(error_of([&](auto& error) { io::close(number, error); }), bad) << number;
}

TEST_F(bad_descriptor, closed_negative_and_absurd_numbers) {
    coir::run([] {
        const int closed = make_pipe().read.get(); // closed by now
        for (const int number : {-1, -2, INT_MIN, INT_MAX, 1'000'000, closed})
            expect_bad(number);
    });
}

// Nothing else is known of them.
TEST_F(bad_descriptor, errors_name_the_number) {
    coir::run([] {
        const auto text = [](const char* operation, int number) {
            return operation + (" descriptor " + std::to_string(number)) + ": Bad file descriptor";
        };
        const int closed = make_pipe().read.get();
        EXPECT_EQ(message_of([&] { io::read_some(closed, buffer); }), text("io::read_some on", closed));
        EXPECT_EQ(message_of([&] { io::close(closed); }), text("io::close of", closed));
        EXPECT_EQ(message_of([&] { io::descriptor{closed}; }), text("io::descriptor on", closed));
        EXPECT_EQ(message_of([&] { coir::select(io::readable(closed)); }), text("select: io::readable on", closed));
        EXPECT_EQ(message_of([&] { coir::select(io::writable(closed)); }), text("select: io::writable on", closed));
        ends made = make_pipe();
        io::descriptor owner{made.read.take()};
        const int number = owner.get();
        ::syscall(SYS_close, number);
        EXPECT_EQ(message_of([&] { owner.close(); }), text("io::descriptor::close of", number));
    });
}

TEST_F(bad_descriptor, wrong_direction) {
    coir::run([] {
        const ends made = make_pipe();
        EXPECT_EQ(thrown_by([&] { io::write_some(made.read.get(), buffer); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { io::read_some(made.write.get(), buffer); }), std::errc::bad_file_descriptor);
    });
}

// Closed by code that does not know us, after the wait has begun and before libev sees the number.
TEST_F(bad_descriptor, closed_by_others_before_the_loop_looks) {
    for (const bool owned : {false, true})
        coir::run([owned] {
            ends made = make_pipe();
            const int number = made.read.take();
            std::optional<io::descriptor> owner;
            if (owned)
                owner.emplace(number);
            auto reader =
                spawn([number] { return error_of([&](auto& error) { io::read_some(number, buffer, error); }); });
            auto waiter = spawn([number] { return error_of([&](auto& error) { io::wait_readable(number, error); }); });
            auto closer = spawn([number] { ::syscall(SYS_close, number); });
            this_fiber::yield(); // in this order: join() would begin with the closer
            closer.join();
            EXPECT_EQ(reader.join(), std::errc::bad_file_descriptor);
            EXPECT_EQ(waiter.join(), std::errc::bad_file_descriptor);
            std::error_code ignored;
            if (owner)
                owner->close(ignored);
        });
}

// The loop has registered it before, for the same event, and does not know yet that the first wait has ended.
TEST_F(bad_descriptor, closed_by_others_between_two_waits) {
    coir::run([] {
        ends made = make_pipe();
        const int number = made.read.take();
        auto writer = spawn([&] { EXPECT_EQ(::write(made.write.get(), "x", 1), 1); });
        io::wait_readable(number, 5s);
        ASSERT_EQ(::read(number, buffer.data(), 1), 1);
        auto closer = spawn([number] { ::syscall(SYS_close, number); });
        EXPECT_EQ(error_of([&](auto& error) { io::wait_readable(number, error, 5s); }), std::errc::bad_file_descriptor);
    });
}

// And after that. Nobody can know; but nothing breaks, and the deadline still comes.
TEST_F(bad_descriptor, closed_by_others_while_registered) {
    for (const bool owned : {false, true})
        coir::run([owned] {
            ends made = make_sockets();
            const int number = made.read.take();
            std::optional<io::descriptor> owner;
            if (owned)
                owner.emplace(number);
            auto reader =
                spawn([number] { return error_of([&](auto& error) { io::read_some(number, buffer, error, 20ms); }); });
            this_fiber::sleep_for(1ms);
            ::syscall(SYS_close, number);
            // The other direction makes libev register the number again.
            EXPECT_EQ(error_of([&](auto& error) { io::wait_writable(number, error, 5s); }),
                      std::errc::bad_file_descriptor);
            EXPECT_NE(reader.join(), std::error_code{});
            std::error_code ignored;
            if (owner)
                owner->close(ignored);
        });
}

// A duplicate keeps the closed file in epoll: its events make libev build a new epoll and register everything again,
// also what has been closed since (hazard E3).
TEST_F(bad_descriptor, rebuilt_epoll_with_closed_numbers) {
    coir::run([] {
        ends ghost = make_pipe();
        ends gone = make_pipe();
        ends alive = make_pipe();
        const raw duplicate{::dup(ghost.read.get())};
        const auto wait_for = [](int number) {
            return spawn([number] { return error_of([&](auto& error) { io::read_some(number, buffer, error, 5s); }); });
        };
        auto ghost_reader = wait_for(ghost.read.get());
        auto gone_reader = wait_for(gone.read.get());
        auto alive_reader = wait_for(alive.read.get());
        this_fiber::sleep_for(1ms);
        const int number = ghost.read.get();
        ::syscall(SYS_close, ghost.read.take());
        ::syscall(SYS_close, gone.read.take());
        // The number again, for another file, so that libev notices: the events are of an older registration.
        raw other{::eventfd(0, EFD_CLOEXEC)};
        if (other.get() != number) {
            ASSERT_EQ(::dup3(other.get(), number, O_CLOEXEC), number);
            other.reset(number);
        }
        EXPECT_EQ(error_of([&](auto& error) { io::wait_readable(number, error, 1ms); }), std::errc::timed_out);
        ASSERT_EQ(::write(ghost.write.get(), "x", 1), 1);
        EXPECT_EQ(gone_reader.join(), std::errc::bad_file_descriptor);
        ASSERT_EQ(::write(alive.write.get(), "x", 1), 1);
        EXPECT_EQ(alive_reader.join(), std::error_code{});
        ghost_reader.cancel();
        EXPECT_EQ(ghost_reader.join(), std::errc::operation_canceled);
    });
}

// A number that is closed and opened again between two waits, with ::close and without the loop in between: epoll knows
// nothing of the new file (hazard E2).
TEST_F(bad_descriptor, reopened_number_is_registered_anew) {
    coir::run([] {
        for (int i = 0; i < 100; ++i) {
            ends first = make_pipe();
            const int number = first.read.get();
            EXPECT_EQ(error_of([&](auto& error) { io::read_some(number, buffer, error, 100us); }),
                      std::errc::timed_out);
            const bool by_dup = i % 2 == 0;
            ends second = make_pipe();
            if (!by_dup)
                first.read.reset();
            ASSERT_EQ(::dup3(second.read.get(), number, O_CLOEXEC), number);
            if (!by_dup)
                first.read.reset(number);
            auto writer = spawn([&] { EXPECT_EQ(::write(second.write.get(), "x", 1), 1); });
            EXPECT_EQ(io::read_some(number, buffer, 5s), 1U);
            writer.join();
        }
    });
}

// An owned number is closed and opened again behind the owner's back, and then adopted by another.
TEST_F(bad_descriptor, owned_number_is_adopted_again) {
    coir::run([] {
        ends first = make_sockets();
        const int number = first.read.take();
        io::descriptor owner{number};
        auto stale = spawn([&] { return error_of([&](auto& error) { owner.read_some(buffer, error, 5s); }); });
        this_fiber::sleep_for(1ms);
        ends second = make_sockets();
        ASSERT_EQ(::dup3(second.read.get(), number, O_CLOEXEC), number);
        io::descriptor again{number};
        EXPECT_EQ(stale.join(), std::errc::bad_file_descriptor);
        auto writer = spawn([&] { EXPECT_EQ(::write(second.write.get(), "abc", 3), 3); });
        EXPECT_EQ(again.read_all(std::span{buffer}.first(3), 5s), 3U);
        writer.join();
        EXPECT_EQ(owner.release(), number);
    });
}

// Who waits for a number waits on when it gets an owner.
TEST_F(bad_descriptor, a_number_that_is_waited_for_is_adopted) {
    coir::run([] {
        ends made = make_sockets();
        const int number = made.read.take();
        auto reader = spawn([&] { return io::read_some(number, buffer); }); // a deadline would make it look again
        this_fiber::sleep_for(1ms);
        const io::descriptor owner{number};
        ASSERT_EQ(::write(made.write.get(), "abc", 3), 3);
        EXPECT_EQ(reader.join(), 3U);
    });
}

// It stands for a place in the file system, and can be neither read nor made non-blocking: but owned.
TEST_F(bad_descriptor, a_mere_path_can_be_owned) {
    coir::run([] {
        const io::descriptor root{::open("/", O_PATH | O_CLOEXEC)};
        EXPECT_EQ(error_of([&](auto& error) { io::read_some(root.get(), buffer, error, 5s); }),
                  std::errc::bad_file_descriptor);
    });
}

// What is there when the call has failed is another connection.
TEST_F(bad_descriptor, of_a_number_that_is_used_again_only_the_number_is_told) {
    coir::run([] {
        auto made = net::unix_stream::pair();
        const int number = made.first.native_handle();
        const net::udp_socket other = net::udp_socket::connected_to(net::endpoint{"127.0.0.1", 9});
        auto reader = spawn([number] { return message_of([&] { io::read_some(number, buffer, 5s); }); });
        this_fiber::sleep_for(1ms);
        made.first.close();
        const raw reused{::dup2(other.native_handle(), number)};
        EXPECT_EQ(reader.join(), "io::read_some on descriptor " + std::to_string(number) + ": Bad file descriptor");
    });
}

// epoll refuses itself, circles, and deep nesting; libev aborts when it does.
TEST_F(bad_descriptor, epoll_that_cannot_be_watched) {
    coir::run([] {
        // The loop's own: the first epoll this process has.
        for (int number = 3; number < 10; ++number) {
            std::array<char, 64> target{};
            const std::string link = "/proc/self/fd/" + std::to_string(number);
            if (::readlink(link.c_str(), target.data(), target.size() - 1) > 0 &&
                std::string_view{target.data()} == "anon_inode:[eventpoll]") {
                EXPECT_EQ(error_of([&](auto& error) { io::wait_readable(number, error, 5s); }),
                          std::errc::invalid_argument);
            }
        }
        // A chain of as many as may be, each but the last in the next.
        std::vector<raw> chain;
        epoll_event event{EPOLLIN, {}};
        do
            chain.emplace_back(::epoll_create1(EPOLL_CLOEXEC));
        while (chain.size() == 1 ||
               ::epoll_ctl(chain.back().get(), EPOLL_CTL_ADD, chain.rbegin()[1].get(), &event) == 0);
        EXPECT_EQ(error_of([&](auto& error) { io::wait_readable(chain.rbegin()[1].get(), error, 5s); }),
                  std::errc::invalid_argument);
    });
}

TEST_F(bad_descriptor, epoll_that_can) {
    coir::run([] {
        const raw inner{::epoll_create1(EPOLL_CLOEXEC)};
        const raw event{::eventfd(0, EFD_CLOEXEC)};
        epoll_event wanted{EPOLLIN, {}};
        ASSERT_EQ(::epoll_ctl(inner.get(), EPOLL_CTL_ADD, event.get(), &wanted), 0);
        auto waiter = spawn([&] { io::wait_readable(inner.get(), 5s); });
        this_fiber::sleep_for(1ms);
        EXPECT_EQ(::eventfd_write(event.get(), 1), 0);
        waiter.join();
    });
}

// Numbers come and go under fibers that wait for them; only io::close is used. Each fiber sees its own file or EBADF.
TEST_F(bad_descriptor, random_opening_closing_and_waiting) {
    coir::run([] {
        std::mt19937 random{1};
        int got = 0;
        int refused = 0;
        for (int round = 0; round < 2'000; ++round) {
            ends made = random() % 2 ? make_pipe() : make_sockets();
            const char mark = static_cast<char>('a' + round % 26);
            const int number = made.read.take();
            auto reader = spawn([number, mark, &got, &refused] {
                std::array<std::byte, 1> byte{};
                std::error_code error;
                if (io::read_some(number, byte, error, 5s) == 1) {
                    EXPECT_EQ(static_cast<char>(byte[0]), mark);
                    ++got;
                } else {
                    EXPECT_EQ(error, std::errc::bad_file_descriptor);
                    ++refused;
                }
            });
            const bool owned = random() % 2;
            std::optional<io::descriptor> owner;
            if (owned)
                owner.emplace(number);
            for (unsigned pause = random() % 3; pause > 0; --pause)
                pause == 1 ? this_fiber::sleep_for(20us) : this_fiber::yield();
            if (random() % 2) {
                EXPECT_EQ(::write(made.write.get(), &mark, 1), 1);
            }
            for (unsigned pause = random() % 3; pause > 0; --pause)
                pause == 1 ? this_fiber::sleep_for(20us) : this_fiber::yield();
            if (owned)
                owner->close();
            else
                io::close(number);
            reader.join();
        }
        EXPECT_GT(got, 100);
        EXPECT_GT(refused, 100);
    });
}

/// A pipe, and a fiber that waits for the mark that is written to it. Ended again and again, and begun with other numbers.
class marked_pipe {
public:
    void begin(std::uint64_t mark, bool owned) {
        mark_ = mark;
        ends made = make_pipe();
        write_ = std::move(made.write);
        number_ = made.read.take();
        if (owned)
            owner_.emplace(number_);
        reader_ = spawn([this] { read(); });
        this_fiber::yield(); // it waits now: what begins with a number that is closed already may get anything
    }
    void send() {
        EXPECT_EQ(::write(write_.get(), &mark_, sizeof mark_), std::ssize(std::array<char, sizeof mark_>{}));
    }
    /// True: the mark has come; false: the wait was ended by closing.
    bool end() {
        if (owner_)
            owner_->close();
        else
            io::close(number_);
        owner_.reset();
        // As a rule this is the number's next file, before the fiber runs that may have been called already.
        const ends next = make_pipe();
        EXPECT_EQ(::write(next.write.get(), "not this", sizeof mark_), std::ssize(std::array<char, sizeof mark_>{}));
        reader_.join();
        return has_come_;
    }

private:
    void read() {
        std::uint64_t found = 0;
        std::error_code error;
        has_come_ = io::read_all(number_, std::as_writable_bytes(std::span{&found, 1}), error) == sizeof found;
        if (has_come_)
            EXPECT_EQ(found, mark_);
        else
            EXPECT_EQ(error, std::errc::bad_file_descriptor);
    }

    std::uint64_t mark_ = 0;
    raw write_;
    int number_ = -1;
    std::optional<io::descriptor> owner_;
    fiber<void> reader_;
    bool has_come_ = false;
};

// The numbers that one loop gives back the other gets, while fibers of both wait (hazard E2).
TEST_F(bad_descriptor, numbers_wander_between_two_loops) {
    constexpr unsigned rounds = 15'000;
    std::atomic<unsigned> come{0};
    const auto open_and_close = [&](unsigned seed) {
        coir::run([&, seed] {
            std::minstd_rand random{seed};
            std::array<marked_pipe, 8> pipes;
            for (std::size_t i = 0; i < pipes.size(); ++i)
                pipes[i].begin(i, i % 2 == 0);
            for (unsigned round = 0; round < rounds; ++round) {
                marked_pipe& one = pipes[random() % pipes.size()];
                if (random() % 2 == 0) {
                    one.send();
                    // The loop looks for events now and then: its fiber has read, or has been called and not run, or neither.
                    for (unsigned turns = random() % 512; turns > 0; --turns)
                        this_fiber::yield();
                }
                come += one.end() ? 1U : 0U;
                one.begin(std::uint64_t{seed} << 32 | round, random() % 2 == 0);
            }
            for (marked_pipe& each : pipes)
                each.end();
        });
    };
    std::thread other{open_and_close, 1U};
    open_and_close(2U);
    other.join();
    EXPECT_GT(come, rounds / 10);
    EXPECT_LT(come, rounds);
}

} // namespace
} // namespace coir::test
