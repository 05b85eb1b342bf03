// The driver by itself: which backend, which descriptors, how exact its clock, how quiet it is.
#include "io/ev_driver.hpp"

#include "child_process.hpp"
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

thread_local int shortest_timeout; // what libev passes to the function below, in ms; negative ones do not count
bool epoll_is_full = false;

} // namespace

// A function in the program comes before the C library's.
extern "C" int epoll_ctl(int epoll, int operation, int number, epoll_event* event) noexcept {
    if (epoll_is_full && operation == EPOLL_CTL_ADD) {
        errno = ENOSPC; // what the user may watch in all: /proc/sys/fs/epoll/max_user_watches
        return -1;
    }
    return static_cast<int>(::syscall(SYS_epoll_ctl, epoll, operation, number, event));
}

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
extern "C" int epoll_wait(int epoll, epoll_event* events, int size, int timeout) {
    if (timeout >= 0)
        shortest_timeout = std::min(shortest_timeout, timeout);
    return static_cast<int>(::syscall(SYS_epoll_pwait, epoll, events, size, timeout, nullptr, 8));
}

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using detail::ev_driver;
using detail::for_ever;
using detail::loop_time;
using detail::without_waiting;

using driver = descriptors;

constexpr loop_time millisecond = 1'000'000;

// 1 is select, 64 linuxaio, 128 io_uring (hazard E7).
TEST_F(driver, environment_does_not_choose_the_backend) {
    for (const char* flags : {"1", "64", "128"}) {
        ASSERT_EQ(::setenv("LIBEV_FLAGS", flags, 1), 0);
        coir::run([] {
            auto& used = dynamic_cast<ev_driver&>(detail::loop::current()->driver());
            EXPECT_EQ(ev_backend(used.events()), static_cast<unsigned>(EVBACKEND_EPOLL));
            // Beyond what select could watch.
            ends made = make_pipe();
            raw high{::fcntl(made.read.get(), F_DUPFD_CLOEXEC, 2'000)};
            if (high.get() < 0)
                GTEST_SKIP() << "not so many descriptors allowed";
            auto writer = spawn([&] { EXPECT_EQ(::write(made.write.get(), "x", 1), 1); });
            std::array<std::byte, 8> buffer{};
            EXPECT_EQ(io::read_some(high.get(), buffer, 5s), 1U);
            writer.join();
        });
        ::unsetenv("LIBEV_FLAGS");
    }
}

TEST_F(driver, thousands_of_descriptors) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const rlimit old = limit;
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 5'000);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 4'200)
        GTEST_SKIP() << "not so many descriptors allowed";
    coir::run([] {
        std::vector<ends> made(2'000);
        std::vector<fiber<std::size_t>> readers;
        for (ends& each : made) {
            each = make_pipe();
            readers.push_back(spawn([&each] {
                std::array<std::byte, 8> buffer{};
                return io::read_some(each.read.get(), buffer, 20s);
            }));
        }
        this_fiber::sleep_for(1ms);
        for (const ends& each : made)
            ASSERT_EQ(::write(each.write.get(), "x", 1), 1);
        for (auto& reader : readers)
            EXPECT_EQ(reader.join(), 1U);
    });
    ::setrlimit(RLIMIT_NOFILE, &old);
}

TEST_F(driver, descriptors_of_its_own_are_closed_in_programs_we_start) {
    const std::size_t before = open_descriptors();
    ev_driver made;
    made.run_once(made.now() + millisecond);
    int found = 0;
    for (int number = 0; number < 1'000; ++number) {
        const int flags = ::fcntl(number, F_GETFD);
        if (number > 2 && flags != -1 && (flags & FD_CLOEXEC))
            ++found;
    }
    EXPECT_EQ(open_descriptors() - before, 3U);
    EXPECT_GE(found, 3);
}

TEST_F(driver, no_descriptor_left_for_it) {
    EXPECT_EQ(in_child([] {
                  for (rlim_t allowed = 3; allowed < 20; ++allowed) {
                      const rlimit limit{allowed, 20};
                      ::setrlimit(RLIMIT_NOFILE, &limit);
                      try {
                          coir::run([] {});
                          return allowed > 5 ? 0 : 1; // epoll, eventfd, timerfd beside the standard three
                      } catch (const std::system_error& failure) {
                          if (failure.code() != std::errc::too_many_files_open)
                              return 2;
                      }
                  }
                  return 3;
              }),
              0);
}

TEST_F(driver, waits_until_the_time_never_less) {
    ev_driver made;
    for (const loop_time wait : {loop_time{1}, loop_time{50'000}, 100 * loop_time{1'000}, 500 * loop_time{1'000},
                                 millisecond, loop_time{1'500'000}, 5 * millisecond}) {
        loop_time late = for_ever;
        for (int i = 0; i < 10; ++i) {
            const loop_time until = made.now() + wait;
            while (made.now() < until)
                made.run_once(until); // may return early, the loop looks at the clock
            late = std::min(late, made.now() - until);
        }
        EXPECT_LT(late, millisecond) << "the best of ten, for " << wait << " ns";
    }
}

// Through the public interface: whatever the machine does, nothing wakes early; and at best it is well below libev's 1 ms.
TEST_F(driver, sleeps_are_exact_below_a_millisecond) {
    coir::run([] {
        for (const auto duration : {100us, 500us, 1'000us, 1'500us}) {
            auto best = clock::duration::max();
            for (int i = 0; i < 10; ++i) {
                const auto start = clock::now();
                this_fiber::sleep_for(duration);
                const auto slept = clock::now() - start;
                EXPECT_GE(slept, duration);
                best = std::min(best, slept);
            }
            EXPECT_LT(best - duration, 500us);
        }
    });
}

// libev's own clock stands still while fibers compute (hazard E5).
TEST_F(driver, computing_does_not_make_a_later_sleep_shorter) {
    coir::run([] {
        this_fiber::sleep_for(1ms);
        for (const auto start = clock::now(); clock::now() - start < 50ms;) {}
        const auto start = clock::now();
        this_fiber::sleep_for(20ms);
        EXPECT_GE(clock::now() - start, 20ms);
    });
}

// Neither wakes for nothing, nor makes the kernel set a timer for each sleep; where conversions saturate it does, for INT_MAX ms.
TEST_F(driver, sleeps_have_no_end_of_libev) {
    ev_driver made;
    constexpr int none = std::numeric_limits<int>::max();
    shortest_timeout = none;
    made.notify();
    made.run_once(for_ever);
    made.run_once(made.now() + 2 * millisecond);
    EXPECT_EQ(shortest_timeout, none);
    made.run_once(without_waiting);
    EXPECT_EQ(shortest_timeout, 0);
}

TEST_F(driver, a_time_in_the_past_does_not_wait) {
    ev_driver made;
    for (const loop_time past :
         {without_waiting, loop_time{-5}, loop_time{0}, loop_time{1}, made.now() - millisecond}) {
        const auto start = clock::now();
        made.run_once(past);
        EXPECT_LT(clock::now() - start, 1s);
    }
}

TEST_F(driver, notify_from_other_threads_wakes_it_and_is_not_forgotten) {
    ev_driver made;
    made.notify(); // before it waits
    made.run_once(for_ever);
    for (int i = 0; i < 200; ++i) {
        std::atomic<bool> told{false};
        std::thread other{[&] {
            told = true;
            made.notify();
            made.notify();
        }};
        while (!told)
            made.run_once(for_ever);
        other.join();
        made.run_once(without_waiting);
    }
    // All that was said has been heard: nothing is left that would wake it.
    const loop_time until = made.now() + 2 * millisecond;
    made.run_once(until);
    EXPECT_GE(made.now(), until);
}

// However often it is told, it wakes once (hazard E8): who has told it has left the work somewhere else before.
TEST_F(driver, a_thousand_notifications_of_four_threads_wake_it_once) {
    ev_driver made;
    std::vector<std::thread> tellers;
    for (int i = 0; i < 4; ++i)
        tellers.emplace_back([&] {
            for (int j = 0; j < 250; ++j)
                made.notify();
        });
    for (auto& each : tellers)
        each.join();
    made.run_once(for_ever);
    const loop_time until = made.now() + 2 * millisecond;
    made.run_once(until);
    EXPECT_GE(made.now(), until);
}

// A deadline that moves on, as that of a connection that is busy, costs no system call; see the header.
TEST_F(driver, early_timers_are_left_alone) {
    ev_driver made;
    const loop_time first = made.now() + 2 * millisecond;
    made.notify();
    made.run_once(first);
    made.run_once(first + 2 * millisecond); // returns at `first`
    EXPECT_GE(made.now(), first);
    made.run_once(first + 2 * millisecond);
    EXPECT_GE(made.now(), first + 2 * millisecond);
}

TEST_F(driver, is_not_made_where_epoll_takes_no_more_descriptors) {
    epoll_is_full = true;
    const std::string message = message_of([] { coir::run([] { this_fiber::sleep_for(1us); }); });
    epoll_is_full = false;
    EXPECT_EQ(message, "coir: epoll does not watch the loop's own descriptors; the limit is memory, or "
                       "/proc/sys/fs/epoll/max_user_watches: No space left on device");
}

// Nothing else happens that would wake the loop.
TEST_F(driver, tells_at_once_who_waits_for_what_epoll_does_not_take) {
    coir::run([] {
        const ends made = make_pipe();
        std::array<std::byte, 1> byte{};
        for (int i = 0; i < 2; ++i) {
            epoll_is_full = true;
            EXPECT_EQ(error_of([&](auto& error) { io::read_some(made.read.get(), byte, error); }),
                      std::errc::not_enough_memory);
            epoll_is_full = false;
        }
        auto late = spawn([&] { EXPECT_EQ(::write(made.write.get(), "x", 1), 1); });
        EXPECT_EQ(io::read_some(made.read.get(), byte), 1U);
        late.join();
    });
}

TEST_F(driver, of_a_child_of_fork_says_that_it_cannot_go_on) {
    const child_end end = ::in_child([] {
        coir::run([] {
            const pid_t child = fork_dependent();
            if (child == 0) {
                epoll_is_full = true;
                this_fiber::sleep_for(1us);
            }
            EXPECT_TRUE(WIFSIGNALED(await_end(child)));
        });
        return true;
    });
    EXPECT_TRUE(end.says("coir: epoll does not watch the own descriptors of an event loop in the child of fork(): "
                         "the limit is memory, or /proc/sys/fs/epoll/max_user_watches"))
        << end.errors;
}

long switches_of(int thread) {
    std::ifstream status{"/proc/self/task/" + std::to_string(thread) + "/status"};
    long total = 0;
    for (std::string word; status >> word;)
        if (word == "voluntary_ctxt_switches:" || word == "nonvoluntary_ctxt_switches:") {
            long count = 0;
            status >> count;
            total += count;
        }
    return total;
}

TEST_F(driver, sleeps_while_all_fibers_wait) {
    ends made = make_pipe();
    ends unread = make_pipe();
    std::atomic<int> thread{0};
    std::thread other{[&] {
        coir::run([&] {
            const io::descriptor idle{unread.read.take()};
            std::array<std::byte, 1> byte{};
            io::read_some(idle.get(), byte); // registered from now on, and more is there that nobody reads
            auto late = spawn([] { this_fiber::sleep_for(1h); });
            thread = ::gettid();
            io::read_some(made.read.get(), byte);
        });
    }};
    ASSERT_EQ(::write(unread.write.get(), "xyz", 3), 3);
    while (thread == 0)
        std::this_thread::yield();
    long before = -1; // a loop that never settles is found below
    for (int i = 0; i < 100 && before != switches_of(thread); ++i) {
        before = switches_of(thread);
        std::this_thread::sleep_for(20ms);
    }
    std::this_thread::sleep_for(300ms);
    EXPECT_EQ(switches_of(thread) - before, 0);
    ASSERT_EQ(::write(made.write.get(), "x", 1), 1);
    other.join();
}

} // namespace
} // namespace coir::test
