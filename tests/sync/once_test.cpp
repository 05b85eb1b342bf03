#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/once.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using coir::call_once;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using once = coir::detail::with_fake_driver;

TEST_F(once, calls_one_function_and_lets_the_others_wait_for_it) {
    run_on(driver, [] {
        coir::once_flag flag;
        std::string log;
        auto initialise = [&] {
            call_once(
                flag,
                [&](const char* what) {
                    this_fiber::sleep_for(1s);
                    log += what;
                },
                "once");
            log += '.';
        };
        fiber<void> first = spawn(initialise);
        fiber<void> second = spawn(initialise);
        first.join();
        second.join();
        initialise();
        EXPECT_EQ(log, "once...");
    });
    EXPECT_EQ(driver.elapsed(), 1s);
}

TEST_F(once, gives_the_next_in_line_a_try_when_the_function_fails) {
    run_on(driver, [] {
        coir::once_flag flag;
        std::string log;
        auto attempt = [&](char name, bool fails) {
            call_once(flag, [&] {
                this_fiber::sleep_for(1s);
                log += name;
                if (fails)
                    throw std::runtime_error("failed");
            });
        };
        fiber<void> first = spawn([&] { attempt('1', true); });
        fiber<void> second = spawn([&] { attempt('2', true); });
        fiber<void> third = spawn([&] { attempt('3', false); });
        EXPECT_THROW(first.join(), std::runtime_error);
        EXPECT_THROW(second.join(), std::runtime_error);
        attempt('4', false);
        third.join();
        EXPECT_EQ(log, "123");
    });
}

TEST_F(once, waits_for_another_until_a_deadline_or_cancellation) {
    run_on(driver, [] {
        coir::once_flag flag;
        fiber<void> slow = spawn([&] { call_once(flag, [] { this_fiber::sleep_for(10s); }); });
        this_fiber::yield();
        const coir::deadline soon = 1s;
        EXPECT_FALSE(coir::call_once_until(flag, soon, [] { FAIL(); }));
        fiber<void> cancelled = spawn([&] { call_once(flag, [] { FAIL(); }); });
        this_fiber::yield();
        cancelled.cancel();
        EXPECT_THROW(cancelled.join(), coir::cancelled);
        slow.join();
        EXPECT_TRUE(coir::call_once_until(flag, soon, [] { FAIL(); }));

        coir::once_flag fresh; // nobody to wait for: the deadline does not matter
        bool called = false;
        EXPECT_TRUE(coir::call_once_until(fresh, soon, [&] { called = true; }));
        EXPECT_TRUE(called);
    });
}

TEST_F(once, refuses_a_call_from_inside_itself) {
    run_on(driver, [] {
        coir::once_flag flag;
        EXPECT_THROW(call_once(flag, [&] { call_once(flag, [] {}); }), std::system_error);
        call_once(flag, [] {});
    });
}

TEST(once_across_threads, calls_one_function) {
    for (int round = 0; round < 100; ++round) {
        coir::once_flag flag;
        int calls = 0;
        std::atomic<int> seen = 0;
        auto work = [&](bool fails) {
            try {
                call_once(flag, [&] {
                    if (fails)
                        throw std::runtime_error("failed");
                    ++calls;
                });
                seen += calls;
            } catch (const std::runtime_error&) {
                ++seen;
            }
        };
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&, i] {
                if (i % 2 == 0)
                    work(i == 2);
                else
                    coir::run([&] { work(i == 3); });
            });
        for (std::thread& thread : threads)
            thread.join();
        EXPECT_EQ(calls, 1);
        EXPECT_EQ(seen, 4);
    }
}

} // namespace
