// Many events of one poll: fibers are woken and run a few at a time, while the other events are on the way.
#include "io/descriptor_table.hpp"

#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

// Counts the calls that libev and coir make: a function in the program comes before the C library's.
std::atomic<int> polls;
std::atomic<int> transfers;

} // namespace

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
extern "C" int epoll_wait(int epoll, epoll_event* events, int size, int timeout) {
    ++polls;
    return static_cast<int>(::syscall(SYS_epoll_pwait, epoll, events, size, timeout, nullptr, 8));
}

extern "C" ssize_t recv(int number, void* data, size_t size, int flags) {
    ++transfers;
    return ::syscall(SYS_recvfrom, number, data, size, flags, nullptr, nullptr);
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)

namespace coir::test {
namespace {

using namespace std::chrono_literals;

class reported_events : public descriptors {};

std::array<std::byte, 16> buffer;

/// Descriptors to read from, and their other ends.
template <class Owner> struct many {
    template <class Make> many(std::size_t count, Make make) {
        for (std::size_t i = 0; i < count; ++i) {
            ends made = make();
            to_read.emplace_back(made.read.take());
            peers.push_back(std::move(made.write));
        }
    }
    void write_to_each() const {
        for (const raw& peer : peers)
            ASSERT_EQ(::write(peer.get(), "x", 1), 1);
    }

    std::vector<Owner> to_read;
    std::vector<raw> peers;
};

void join_all(std::vector<fiber<void>>& fibers) {
    for (auto& each : fibers)
        each.join();
}

// 300 events in one batch, and fibers that close each other's descriptors meanwhile (hazard E9).
TEST_F(reported_events, descriptors_are_closed_while_their_events_are_on_the_way) {
    coir::run([] {
        constexpr std::size_t count = 300;
        many<io::descriptor> all{count, [] { return make_sockets(); }};
        std::vector<fiber<void>> readers;
        std::size_t got = 0;
        std::size_t closed = 0;
        for (std::size_t i = 0; i < count; ++i)
            readers.push_back(spawn([&, i] {
                std::array<std::byte, 4> byte{};
                std::error_code error;
                if (io::read_some(all.to_read[i].get(), byte, error, 5s) == 1)
                    ++got;
                else if (error == std::errc::bad_file_descriptor)
                    ++closed;
                all.to_read[(i * 7 + 3) % count].close(error);
            }));
        this_fiber::sleep_for(100us);
        all.write_to_each();
        join_all(readers);
        EXPECT_EQ(got + closed, count);
        EXPECT_GT(got, 0U);
        EXPECT_GT(closed, 0U);
    });
}

// libev takes 64 events from a poll at first, and from the next twice as many whenever these were too few.
void let_polls_take(std::size_t count) {
    const many<raw> all{count, make_pipe};
    std::vector<fiber<void>> readers;
    for (const raw& each : all.to_read)
        readers.push_back(spawn([number = each.get()] { io::read_some(number, buffer, 5s); }));
    this_fiber::yield();
    all.write_to_each();
    join_all(readers);
}

// A descriptor that is closed takes its event with it, though libev has reported it already: who reads from the next file of
// that number is not called for it.
TEST_F(reported_events, an_event_is_not_for_the_next_file_of_that_number) {
    coir::run([] {
        constexpr std::size_t count = 200;
        let_polls_take(count);
        many<io::descriptor> all{count, [] { return make_sockets(); }};
        std::vector<fiber<void>> readers;
        fiber<void> reader_of_next;
        ends next;
        std::size_t ran = 0;
        std::size_t closed = count;
        for (std::size_t i = 0; i < count; ++i)
            readers.push_back(spawn([&, i] {
                std::array<std::byte, 4> byte{};
                std::error_code error;
                const std::size_t got = io::read_some(all.to_read[i].get(), byte, error, 5s);
                EXPECT_EQ(got, i == closed ? 0U : 1U);
                if (ran++ != 0)
                    return;
                closed = (i + count / 2) % count; // the events come in the order of the numbers, beginning anywhere
                const int number = all.to_read[closed].get();
                all.to_read[closed].close(error);
                next = make_sockets();
                ASSERT_EQ(next.read.get(), number);
                reader_of_next = spawn([owned = io::descriptor{next.read.take()}] {
                    std::array<std::byte, 4> nothing{};
                    std::error_code late;
                    io::read_some(owned.get(), nothing, late, 20ms);
                    EXPECT_EQ(late, std::errc::timed_out);
                });
                this_fiber::yield(); // it waits now, before the other events are looked at
            }));
        this_fiber::sleep_for(100us);
        all.write_to_each();
        transfers = 0;
        join_all(readers);
        reader_of_next.join();
        // One by each reader but one, and two by that of the next file: before it waits, and when its time is over.
        EXPECT_EQ(transfers, static_cast<int>(count) + 1);
    });
}

// Of a descriptor that is not ours each wait begins a registration of its own. That does not take away from those who wait there
// already what one poll has found for them.
TEST_F(reported_events, are_not_lost_by_newcomers_at_a_borrowed_descriptor) {
    coir::run([] {
        constexpr std::size_t count = 200;
        let_polls_take(count);
        const many<raw> all{count, make_pipe};
        std::vector<fiber<void>> readers;
        std::vector<int> shared; // some of the descriptors, in all parts of what a poll finds
        int polls_before = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const int number = all.to_read[i].get();
            if (i % 20 == 0)
                shared.push_back(number);
            readers.push_back(spawn([&, number, waits_for_shared = i % 20 == 0] {
                std::array<std::byte, 4> byte{};
                EXPECT_EQ(io::read_some(number, byte, 5s), 1U);
                if (waits_for_shared) {
                    EXPECT_LE(polls - polls_before, 1);
                    return;
                }
                for (const int each : shared) {
                    std::error_code error;
                    (void)io::read_some(each, byte, error, 1us);
                }
            }));
        }
        this_fiber::yield();
        all.write_to_each();
        polls_before = polls;
        join_all(readers);
    });
}

// However many events one poll has brought, who has slept long enough need not wait for the fibers of all of them.
TEST_F(reported_events, timers_fire_among_the_events_of_one_poll) {
    coir::run([] {
        constexpr std::size_t count = 250;
        let_polls_take(count);
        const many<raw> all{count, make_pipe};
        std::vector<fiber<void>> readers;
        std::size_t got = 0;
        std::size_t got_before_waking = 0;
        for (const raw& each : all.to_read)
            readers.push_back(spawn([&got, number = each.get()] {
                io::read_some(number, buffer, 5s);
                ++got;
                const auto end = std::chrono::steady_clock::now() + 100us;
                while (std::chrono::steady_clock::now() < end) {}
            }));
        auto sleeper = spawn([&] {
            this_fiber::sleep_for(2ms);
            got_before_waking = got;
        });
        this_fiber::yield();
        all.write_to_each();
        sleeper.join();
        EXPECT_LT(got_before_waking, 150U);
        join_all(readers);
    });
}

} // namespace
} // namespace coir::test
