#include "sched/fake_driver.hpp"

#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <random>
#include <string>
#include <system_error>
#include <vector>

namespace {

using coir::deadline;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using sleep = coir::detail::with_fake_driver;

TEST_F(sleep, lasts_as_long_as_it_is_told) {
    run_on(driver, [this] {
        this_fiber::sleep_for(5s);
        EXPECT_EQ(driver.elapsed(), 5s);
        this_fiber::sleep_until(deadline{90min});
        EXPECT_EQ(driver.elapsed(), 90min + 5s);
        this_fiber::sleep_for(1ns);
        EXPECT_EQ(driver.elapsed(), 90min + 5s + 1ns);
        this_fiber::sleep_for(std::chrono::duration<double>{0.5});
        EXPECT_EQ(driver.elapsed(), 90min + 5s + 500ms + 1ns);
    });
}

TEST_F(sleep, wakes_in_the_order_of_deadlines) {
    run_on(driver, [] {
        std::string order;
        std::vector<fiber<void>> sleepers;
        for (const int seconds : {5, 1, 4, 2, 3})
            sleepers.push_back(spawn([&order, seconds] {
                this_fiber::sleep_for(std::chrono::seconds{seconds});
                order += std::to_string(seconds);
            }));
        for (auto& each : sleepers)
            each.join();
        EXPECT_EQ(order, "12345");
    });
}

TEST_F(sleep, is_never_too_short_and_with_a_virtual_clock_never_too_long) {
    run_on(driver, [this] {
        std::minstd_rand random{1};
        std::vector<fiber<void>> sleepers;
        for (int i = 0; i < 2000; ++i)
            sleepers.push_back(spawn([this, seed = random()] {
                std::minstd_rand own{static_cast<unsigned>(seed)};
                for (int turn = 0; turn < 10; ++turn) {
                    const std::chrono::nanoseconds duration{own() % 1'000'000'000};
                    const auto due = driver.elapsed() + duration;
                    this_fiber::sleep_for(duration);
                    ASSERT_EQ(driver.elapsed(), due);
                }
            }));
        for (auto& each : sleepers)
            each.join();
    });
}

TEST_F(sleep, of_no_length_lets_the_others_run) {
    run_on(driver, [this] {
        for (const int seconds : {0, -1, -1'000'000}) {
            std::string order;
            fiber<void> other = spawn([&] { order += 'a'; });
            this_fiber::sleep_for(std::chrono::seconds{seconds});
            order += 'b';
            EXPECT_EQ(order, "ab");
            other.join();
        }
        std::string order;
        fiber<void> other = spawn([&] { order += 'a'; });
        this_fiber::sleep_until(deadline::passed());
        order += 'b';
        EXPECT_EQ(order, "ab");
        EXPECT_EQ(driver.elapsed(), 0s);
    });
}

TEST_F(sleep, with_an_error_code_reports_success) {
    run_on(driver, [this] {
        std::error_code error = std::make_error_code(std::errc::io_error);
        this_fiber::sleep_for(1s, error);
        EXPECT_EQ(error, std::error_code{});
        error = std::make_error_code(std::errc::io_error);
        this_fiber::sleep_until(deadline::passed(), error);
        EXPECT_EQ(error, std::error_code{});
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(sleep, for_ever_ends_by_cancellation_only) {
    run_on(driver, [] {
        bool cancelled = false;
        fiber<void> sleeper = spawn([&] {
            std::error_code error;
            this_fiber::sleep_for(std::chrono::nanoseconds::max(), error);
            cancelled = error == std::errc::operation_canceled;
        });
        this_fiber::sleep_for(std::chrono::hours{24 * 365 * 100});
        sleeper.cancel();
        sleeper.join();
        EXPECT_TRUE(cancelled);
    });
}

TEST_F(sleep, counts_from_the_clock_and_not_from_the_last_look_at_it) {
    run_on(driver, [this] {
        driver.advance(50ms); // computes
        this_fiber::sleep_for(100ms);
        EXPECT_EQ(driver.elapsed(), 150ms);
    });
}

TEST_F(sleep, is_late_by_what_the_others_compute_and_no_more) {
    run_on(driver, [this] {
        fiber<void> sleeper = spawn([this] {
            this_fiber::sleep_for(10ms);
            EXPECT_EQ(driver.elapsed(), 35ms);
        });
        this_fiber::yield();
        driver.advance(35ms);
        sleeper.join();
    });
}

TEST_F(sleep, of_thousands_at_the_same_time_ends_for_all_at_once) {
    run_on(driver, [this] {
        const deadline when = 7s;
        std::vector<fiber<void>> sleepers;
        for (int i = 0; i < 5000; ++i)
            sleepers.push_back(spawn([when] { this_fiber::sleep_until(when); }));
        for (auto& each : sleepers)
            each.join();
        EXPECT_EQ(driver.elapsed(), 7s);
    });
    EXPECT_LT(driver.looks(), 100U);
}

TEST_F(sleep, that_is_cancelled_leaves_no_deadline_behind) {
    run_on(driver, [this] {
        std::vector<fiber<void>> sleepers;
        for (int i = 1; i <= 100; ++i)
            sleepers.push_back(spawn([i] { this_fiber::sleep_for(std::chrono::seconds{i}); }));
        this_fiber::yield();
        sleepers.clear();
        EXPECT_EQ(driver.elapsed(), 0s);
        const std::size_t before = driver.looks();
        this_fiber::sleep_for(1000s);
        EXPECT_LE(driver.looks() - before, 3U);
    });
}

} // namespace
