#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/latch.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using latch = coir::detail::with_fake_driver;

TEST_F(latch, lets_all_go_on_when_it_has_reached_zero) {
    run_on(driver, [] {
        coir::latch both{2};
        std::string log;
        auto wait = [&] {
            EXPECT_TRUE(both.wait());
            log += 'w';
        };
        fiber<void> first = spawn(wait);
        fiber<void> second = spawn(wait);
        this_fiber::yield();
        both.count_down();
        EXPECT_FALSE(both.try_wait());
        this_fiber::yield();
        EXPECT_EQ(log, "");
        EXPECT_TRUE(both.arrive_and_wait());
        EXPECT_TRUE(both.try_wait());
        first.join();
        second.join();
        EXPECT_EQ(log, "ww");
        EXPECT_TRUE(both.wait()); // for ever
    });
}

TEST_F(latch, of_zero_lets_pass_at_once) {
    coir::latch none{0};
    none.count_down(0);
    EXPECT_TRUE(none.try_wait());
    EXPECT_TRUE(none.wait());
}

TEST_F(latch, waits_until_a_deadline_or_cancellation_and_counts_all_the_same) {
    run_on(driver, [] {
        coir::latch two{2};
        EXPECT_FALSE(two.wait(1s));
        EXPECT_FALSE(two.arrive_and_wait(1, 1s));
        fiber<void> cancelled = spawn([&] { two.wait(); });
        this_fiber::yield();
        cancelled.cancel();
        EXPECT_THROW(cancelled.join(), coir::cancelled);
        two.count_down();
        EXPECT_TRUE(two.wait(coir::deadline::passed()));
    });
    EXPECT_EQ(driver.elapsed(), 2s);
}

TEST_F(latch, refuses_to_be_counted_below_zero) {
    run_on(driver, [] {
        coir::latch two{2};
        EXPECT_THROW(two.count_down(3), std::logic_error);
        EXPECT_THROW(two.count_down(-1), std::logic_error);
        two.count_down(2);
        EXPECT_THROW(two.count_down(), std::logic_error);
    });
    EXPECT_THROW(coir::latch{-1}, std::invalid_argument);
}

// Also for who has waited to destroy it, while count_down() has not returned.
TEST(latch_across_threads, lets_loops_and_threads_wait_for_each_other) {
    for (int round = 0; round < 200; ++round) {
        auto done = std::make_unique<coir::latch>(3);
        coir::latch& seen = *done;
        int left = 0;
        int right = 0;
        std::thread with_a_loop{[&] {
            coir::run([&] {
                left = 1;
                seen.count_down();
            });
        }};
        std::thread without{[&] {
            right = 2;
            seen.count_down();
        }};
        if (round % 2 == 0)
            seen.arrive_and_wait();
        else
            coir::run([&] { seen.arrive_and_wait(); });
        done.reset();
        EXPECT_EQ(left + right, 3);
        with_a_loop.join();
        without.join();
    }
}

} // namespace
