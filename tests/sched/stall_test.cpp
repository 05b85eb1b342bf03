// Fibers that keep the thread to themselves are named (hazards G6, D3).

#include "child_process.hpp"
#include "emulation.hpp"
#include "watched_errors.hpp"

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using coir::fiber;
using coir::spawn;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// Computes: nothing in here is a call.
[[gnu::noinline]] void spin_until(const std::atomic<int>& lines, int wanted) {
    const int* const count = reinterpret_cast<const int*>(&lines);
    while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < wanted) {}
}

void compute_for(std::chrono::nanoseconds time) {
    for (const auto start = steady_clock::now(); steady_clock::now() - start < time;) {}
}

bool has_no_handler() {
    struct sigaction action {};
    return ::sigaction(SIGURG, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
           action.sa_handler == SIG_DFL;
}

// The first of this program: the handler stays.
TEST(stall, is_not_watched_for_without_a_limit) {
    watched_errors errors;
    coir::run([] {
        EXPECT_TRUE(has_no_handler());
        compute_for(30ms);
    });
    EXPECT_TRUE(has_no_handler());
    EXPECT_EQ(errors.text(), "");
}

TEST(stall, of_a_fiber_that_computes_is_reported_once) {
    watched_errors errors;
    constexpr auto limit = 20ms;
    std::string expected;
    int line = 0;
    coir::run(
        [&] {
            line = __LINE__ + 1;
            spawn({.name = "hog"}, [&] {
                expected =
                    "coir: fiber " + std::to_string(this_fiber::id()) + " \"hog\" has kept its thread for more than ";
                const auto start = steady_clock::now();
                errno = E2BIG;
                spin_until(errors.lines(), 1);
                EXPECT_EQ(errno, E2BIG);
                const auto elapsed = steady_clock::now() - start;
                EXPECT_GE(elapsed, limit);
                EXPECT_LT(elapsed, limit + 5s); // the machine may be busy
                compute_for(10 * limit);
            }).join();
        },
        {.stall_limit = limit});
    const std::string report = errors.text();
    EXPECT_EQ(report.rfind(expected, 0), 0U) << report;
    EXPECT_NE(report.find("stall_test.cpp:" + std::to_string(line) + '\n'), std::string::npos) << report;
    EXPECT_EQ(std::count(report.begin(), report.end(), '\n'), 1) << report;
}

// Where it is: an address, and what `addr2line -e` of the program wants for it.
TEST(stall, is_reported_with_the_place_where_the_fiber_is) {
    watched_errors errors;
    void (*volatile spin)(const std::atomic<int>&, int) = spin_until; // itself, not a copy for these arguments
    coir::run([&] { spin(errors.lines(), 1); }, {.stall_limit = 10ms});
    const std::string report = errors.text();
    const std::size_t place = report.find("is at 0x");
    ASSERT_NE(place, std::string::npos) << report;
    const auto address = std::stoull(report.substr(place + 6), nullptr, 16);
    EXPECT_LT(address - reinterpret_cast<std::uintptr_t>(&spin_until), 400U) << report;
    EXPECT_NE(report.find(" = sched-stall+0x", place), std::string::npos) << report;
}

TEST(stall, comes_again_with_the_next_time) {
    watched_errors errors;
    coir::run(
        [&] {
            spin_until(errors.lines(), 1);
            this_fiber::yield();
            spin_until(errors.lines(), 2);
        },
        {.stall_limit = 5ms});
    EXPECT_EQ(errors.lines().load(), 2) << errors.text();
}

// Which takes a handler on another stack, between a throw and its catch, for the end of all frames below that stack.
#if !defined(COIR_ASAN)

/// Each of them has something to clean up.
[[gnu::noinline]] void throw_through_frames(int depth, int value) { // NOLINT(misc-no-recursion)
    const std::vector<int> cleaned_up(1);
    if (depth == 0)
        throw value;
    throw_through_frames(depth - 1, value);
}

// Hazard A8: most reports interrupt the unwinder, and are to leave it alone.
TEST(stall, of_a_fiber_that_throws_disturbs_no_exception) {
    watched_errors errors;
    int wrong = 0;
    coir::run(
        [&] {
            const auto throw_all_the_time = [&](int own) {
                while (errors.lines() < 200) {
                    for (const auto start = steady_clock::now(); steady_clock::now() - start < 2ms;) {
                        try {
                            throw_through_frames(20, own);
                        } catch (int caught) {
                            wrong += caught == own ? 0 : 1;
                        }
                    }
                    this_fiber::yield();
                }
            };
            fiber<void> one = spawn(throw_all_the_time, 1);
            fiber<void> other = spawn(throw_all_the_time, 2);
            one.join();
            other.join();
        },
        {.stall_limit = 1ms});
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    EXPECT_NE(errors.text().find(" = libgcc_s.so"), std::string::npos) << errors.text();
}

#endif

/// Of two fibers that call `enter`, which in the first one waits for ever, the second keeps the thread and is named.
template <class Function> void expect_second_to_be_named(const Function& enter) {
    const auto end = in_child([&] {
        watched_errors errors;
        std::thread{[&] {
            spin_until(errors.lines(), 1);
            const std::string report = errors.text();
            const bool is_good = report.find("\"second\" has kept its thread") != std::string::npos &&
                                 report.find("does it wait for a lock") != std::string::npos;
            ::_exit(is_good ? 0 : 1);
        }}.detach();
        coir::run(
            [&] {
                const auto first = spawn({.name = "first"}, enter);
                const auto second = spawn({.name = "second"}, enter);
                this_fiber::sleep_for(1h);
            },
            {.stall_limit = 20ms});
        return false;
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
}

// Hazard D3: what the C++ library locks for the thread, no other fiber of the thread ever gets.
TEST(stall, of_a_fiber_that_waits_for_a_mutex_that_another_fiber_holds) {
    std::mutex mutex;
    expect_second_to_be_named([&] {
        const std::lock_guard hold{mutex};
        this_fiber::sleep_for(1h);
    });
}

int slowly_made() {
    this_fiber::sleep_for(1h);
    return 1;
}

TEST(stall, of_a_fiber_that_waits_for_a_static_variable_that_another_fiber_makes) {
    expect_second_to_be_named([] {
        static const int made = slowly_made();
        (void)made;
    });
}

TEST(stall, of_a_fiber_that_waits_for_call_once_in_another_fiber) {
    std::once_flag flag;
    expect_second_to_be_named([&] { std::call_once(flag, slowly_made); });
}

TEST(stall, in_a_system_call_does_not_end_it) {
    watched_errors errors;
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    std::thread writer{[&] {
        spin_until(errors.lines(), 1);
        EXPECT_EQ(::write(ends[1], "x", 1), 1);
    }};
    coir::run(
        [&] {
            char letter = 0;
            EXPECT_EQ(::read(ends[0], &letter, 1), 1);
        },
        {.stall_limit = 10ms});
    writer.join();
    EXPECT_NE(errors.text().find("\"main\" has kept its thread"), std::string::npos) << errors.text();
    ::close(ends[0]);
    ::close(ends[1]);
}

// Nor is the loop woken while it sleeps; and afterwards it is watched again.
TEST(stall, is_not_what_a_loop_does_that_sleeps) {
    watched_errors errors;
    coir::run(
        [&] {
            rusage before{};
            rusage after{};
            ::getrusage(RUSAGE_THREAD, &before);
            this_fiber::sleep_for(500ms); // 20 ticks, if they came
            ::getrusage(RUSAGE_THREAD, &after);
            EXPECT_LT(after.ru_nvcsw - before.ru_nvcsw, 10);
            EXPECT_EQ(errors.text(), "");
            spin_until(errors.lines(), 1);
        },
        {.stall_limit = 100ms});
    EXPECT_EQ(errors.lines().load(), 1) << errors.text();
}

TEST(stall, is_not_what_fibers_do_that_yield) {
    watched_errors errors;
    constexpr auto limit = 100ms;
    steady_clock::duration longest{};
    coir::run(
        [&] {
            const auto start = steady_clock::now();
            auto switched = start;
            std::vector<coir::fiber<void>> fibers;
            for (int i = 0; i < 50; ++i)
                fibers.push_back(spawn([&] {
                    for (auto now = start; now - start < 4 * limit; this_fiber::yield()) {
                        now = steady_clock::now();
                        longest = std::max(longest, now - std::exchange(switched, now));
                    }
                }));
            for (auto& each : fibers)
                each.join();
        },
        {.stall_limit = limit});
    EXPECT_TRUE(errors.text().empty() || longest >= limit)
        << errors.text(); // where the machine is too busy, it does say so
}

TEST(stall, is_not_what_a_fiber_does_that_ends_after_many_short_ones) {
    watched_errors errors;
    constexpr auto limit = 100ms;
    steady_clock::duration longest{};
    coir::run(
        [&] {
            auto switched = steady_clock::now();
            for (const auto start = switched; switched - start < 3 * limit;) {
                for (int i = 0; i < 100; ++i)
                    spawn([] {}).detach();
                spawn([] {}).join();
                const auto now = steady_clock::now();
                longest = std::max(longest, now - std::exchange(switched, now));
            }
        },
        {.stall_limit = limit});
    EXPECT_TRUE(errors.text().empty() || longest >= limit) << errors.text();
}

TEST(stall, is_watched_for_in_each_loop) {
    watched_errors errors;
    const auto stall = [&](const char* name) {
        coir::run([&] { spawn({.name = name}, [&] { spin_until(errors.lines(), 2); }).join(); }, {.stall_limit = 10ms});
    };
    std::thread other{stall, "left"};
    std::thread unwatched{[&] { coir::run([&] { spin_until(errors.lines(), 2); }); }};
    stall("right");
    other.join();
    unwatched.join();
    EXPECT_EQ(errors.lines().load(), 2) << errors.text();
    EXPECT_NE(errors.text().find("\"left\" has kept"), std::string::npos) << errors.text();
    EXPECT_NE(errors.text().find("\"right\" has kept"), std::string::npos) << errors.text();
}

TEST(stall, is_watched_for_in_the_child_of_a_fork) {
    const auto end = in_child([] {
        return coir::run(
            [] {
                const pid_t child = ::fork();
                if (child == 0) {
                    watched_errors errors;
                    this_fiber::yield();
                    spin_until(errors.lines(), 1);
                    ::_exit(errors.text().find("\"main\" has kept") != std::string::npos ? 0 : 1);
                }
                int status = 1;
                while (::waitpid(child, &status, WNOHANG) == 0)
                    this_fiber::sleep_for(1ms);
                return status == 0;
            },
            {.stall_limit = 10ms});
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
}

std::atomic<int> urgent = 0;

// One that was there before the first loop with a limit. A child for itself, as the handler stays.
TEST(stall, leaves_other_signals_to_the_handler_of_the_program) {
    use_fresh_processes();
    EXPECT_EXIT(
        {
            std::signal(SIGURG, [](int) { ++urgent; });
            watched_errors errors;
            coir::run(
                [&] {
                    spin_until(errors.lines(), 1);
                    ::raise(SIGURG);
                },
                {.stall_limit = 10ms});
            std::_Exit(urgent == 1 ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
}

TEST(stall, is_watched_for_where_all_signals_are_blocked) {
    watched_errors errors;
    std::thread{[&] {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
        coir::run([&] { spin_until(errors.lines(), 1); }, {.stall_limit = 10ms});
        sigset_t after;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
        EXPECT_EQ(::sigismember(&after, SIGURG), 1);
    }}.join();
    EXPECT_NE(errors.text().find("\"main\" has kept"), std::string::npos) << errors.text();
}

TEST(stall, cannot_be_watched_for_without_a_timer) {
    if (is_emulated())
        GTEST_SKIP() << "the emulator has timers of its own";
    const auto end = in_child([] {
        const rlimit none{0, 0};
        ::setrlimit(RLIMIT_SIGPENDING, &none);
        bool has_run = false;
        try {
            coir::run([&] { has_run = true; }, {.stall_limit = 10ms});
        } catch (const std::system_error& error) {
            if (error.code() == std::errc::resource_unavailable_try_again && !has_run)
                coir::run([&] { has_run = true; });
        }
        return has_run;
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
}

} // namespace
