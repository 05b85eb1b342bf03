#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/rate_limiter.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using rate_limiter = coir::detail::with_fake_driver;

TEST_F(rate_limiter, lets_a_burst_pass_and_then_so_many_per_time) {
    run_on(driver, [&] {
        coir::rate_limiter limiter{10, 1s, 5};
        for (int i = 0; i < 5; ++i)
            limiter.acquire();
        EXPECT_EQ(driver.elapsed(), 0s);
        EXPECT_FALSE(limiter.try_acquire());
        limiter.acquire();
        EXPECT_EQ(driver.elapsed(), 100ms);
        limiter.acquire(3);
        EXPECT_EQ(driver.elapsed(), 400ms);
        this_fiber::sleep_for(1h); // no more than the burst is kept
        EXPECT_TRUE(limiter.try_acquire(5));
        EXPECT_FALSE(limiter.try_acquire());
    });
}

TEST_F(rate_limiter, does_not_drift) {
    run_on(driver, [&] {
        coir::rate_limiter limiter{3, 1s, 1}; // a third of a second is no number of nanoseconds
        for (int i = 0; i <= 3000; ++i)
            limiter.acquire();
    });
    EXPECT_EQ(driver.elapsed(), 1000s);
}

TEST_F(rate_limiter, makes_up_for_waking_late) {
    run_on(driver, [&] {
        coir::rate_limiter limiter{1, 1s, 1};
        limiter.acquire();
        fiber<void> waits = spawn([&] { limiter.acquire(); });
        this_fiber::yield();
        driver.advance(1500ms); // somebody computes
        waits.join();
        EXPECT_EQ(driver.elapsed(), 1500ms);
        limiter.acquire();
        EXPECT_EQ(driver.elapsed(), 2s);
    });
}

TEST_F(rate_limiter, serves_first_who_came_first) {
    run_on(driver, [&] {
        coir::rate_limiter limiter{1, 1s, 5};
        limiter.acquire(5);
        std::string log;
        fiber<void> large = spawn([&] {
            limiter.acquire(5);
            log += 'L';
        });
        fiber<void> small = spawn([&] {
            limiter.acquire();
            log += 's';
        });
        this_fiber::sleep_for(3s);
        EXPECT_FALSE(limiter.try_acquire()); // three are there, for the large one
        large.join();
        EXPECT_EQ(driver.elapsed(), 5s);
        small.join();
        EXPECT_EQ(driver.elapsed(), 6s);
        EXPECT_EQ(log, "Ls");
    });
}

TEST_F(rate_limiter, loses_no_token_to_who_gives_up) {
    run_on(driver, [&] {
        coir::rate_limiter limiter{1, 1s, 3};
        limiter.acquire(3);
        fiber<void> first = spawn([&] { limiter.acquire(3); });
        fiber<bool> second = spawn([&] { return limiter.try_acquire_for(1500ms, 2); });
        fiber<void> third = spawn([&] { limiter.acquire(2); });
        this_fiber::sleep_for(1750ms);
        EXPECT_FALSE(second.join()); // while it was not first
        first.cancel();
        EXPECT_THROW(first.join(), coir::cancelled);
        third.join();
        EXPECT_EQ(driver.elapsed(), 2s);

        EXPECT_FALSE(limiter.try_acquire_for(1s, 2)); // two seconds are needed: no use to wait
        EXPECT_EQ(driver.elapsed(), 2s);
        EXPECT_TRUE(limiter.try_acquire_for(1s));
        EXPECT_EQ(driver.elapsed(), 3s);
    });
}

TEST_F(rate_limiter, is_not_asked_for_what_it_never_has) {
    EXPECT_THROW((coir::rate_limiter{0, 1s, 1}), std::invalid_argument);
    EXPECT_THROW((coir::rate_limiter{1, 0s, 1}), std::invalid_argument);
    EXPECT_THROW((coir::rate_limiter{1, 1s, 0}), std::invalid_argument);
    run_on(driver, [] {
        coir::rate_limiter limiter{1, 1s, 2};
        EXPECT_THROW(limiter.acquire(3), std::logic_error);
        EXPECT_THROW(static_cast<void>(limiter.try_acquire(3)), std::logic_error);
        EXPECT_TRUE(limiter.try_acquire(2));

        coir::rate_limiter slow{1, std::chrono::hours::max(), static_cast<std::size_t>(-1)}; // nothing overflows
        slow.acquire(static_cast<std::size_t>(-1));
        EXPECT_FALSE(slow.try_acquire_for(std::chrono::hours{1'000'000}, static_cast<std::size_t>(-1)));
    });
}

TEST(rate_limiter_across_threads, counts_for_loops_and_threads_together) {
    coir::rate_limiter limiter{100'000, 1s, 10};
    std::atomic<int> taken = 0;
    const auto begin = std::chrono::steady_clock::now();
    auto work = [&] {
        for (int i = 0; i < 100; ++i) {
            limiter.acquire();
            ++taken;
        }
    };
    std::thread with_a_loop{[&] { coir::run([&] { work(); }); }};
    std::thread without{[&] { work(); }};
    coir::run([&] { work(); });
    with_a_loop.join();
    without.join();
    EXPECT_EQ(taken, 300);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 2900us);
}

} // namespace
