#include "sched/fake_driver.hpp"

#include <coir/barrier.hpp>
#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using barrier = coir::detail::with_fake_driver;

TEST_F(barrier, holds_all_until_the_last_has_arrived_and_completed) {
    run_on(driver, [] {
        std::string log;
        coir::barrier step{3, [&]() noexcept {
                               this_fiber::yield(); // may suspend
                               log += '|';
                           }};
        std::vector<fiber<void>> workers;
        for (const char name : {'a', 'b', 'c'})
            workers.push_back(spawn([&, name] {
                for (int phase = 0; phase < 2; ++phase) {
                    log += name;
                    EXPECT_TRUE(step.arrive_and_wait());
                }
            }));
        for (fiber<void>& worker : workers)
            worker.join();
        EXPECT_EQ(log.substr(0, 4), "abc|");
        EXPECT_EQ(log.size(), 8u);
        EXPECT_EQ(log.back(), '|');
    });
}

TEST_F(barrier, takes_arrivals_without_waiting_and_departures) {
    run_on(driver, [] {
        coir::barrier<> step{3};
        auto token = step.arrive(2);
        EXPECT_FALSE(step.wait(std::move(token), 1s));
        step.arrive_and_drop();
        EXPECT_TRUE(step.wait(std::move(token))); // also after the phase

        auto second = step.arrive();
        EXPECT_TRUE(step.arrive_and_wait()); // two are expected now
        EXPECT_TRUE(step.wait(std::move(second), coir::deadline::passed()));
    });
    EXPECT_EQ(driver.elapsed(), 1s);
}

TEST_F(barrier, counts_the_arrival_of_who_gives_up) {
    run_on(driver, [] {
        coir::barrier<> step{3};
        EXPECT_FALSE(step.arrive_and_wait(1s));
        fiber<void> cancelled = spawn([&] { step.arrive_and_wait(); });
        this_fiber::yield();
        cancelled.cancel();
        EXPECT_THROW(cancelled.join(), coir::cancelled);
        EXPECT_TRUE(step.arrive_and_wait());
    });
}

TEST_F(barrier, completes_though_the_last_to_arrive_has_been_cancelled) {
    run_on(driver, [] {
        bool completed = false;
        coir::barrier step{1, [&]() noexcept {
                               this_fiber::yield();
                               completed = true;
                           }};
        fiber<void> cancelled = spawn([&] {
            EXPECT_TRUE(step.arrive_and_wait());
            EXPECT_TRUE(completed);
            this_fiber::yield();
        });
        cancelled.cancel();
        EXPECT_THROW(cancelled.join(), coir::cancelled);
        EXPECT_TRUE(completed);
    });
}

TEST_F(barrier, refuses_more_arrivals_than_expected) {
    run_on(driver, [] {
        coir::barrier<> step{2};
        EXPECT_THROW(static_cast<void>(step.arrive(3)), std::logic_error);
        EXPECT_THROW(static_cast<void>(step.arrive(0)), std::logic_error);
        coir::barrier<> nobody{1};
        nobody.arrive_and_drop();
        EXPECT_THROW(nobody.arrive_and_drop(), std::logic_error);
    });
    EXPECT_THROW(coir::barrier<>{-1}, std::invalid_argument);
}

TEST(barrier_across_threads, keeps_loops_and_threads_in_step) {
    constexpr int phases = 500;
    std::array<int, 3> at{};
    int checked = 0;
    coir::barrier step{3, [&]() noexcept { checked += at[0] == at[1] && at[1] == at[2] ? 1 : 0; }};
    auto work = [&](std::size_t index) {
        for (int phase = 0; phase < phases; ++phase) {
            ++at[index];
            step.arrive_and_wait();
        }
    };
    std::thread with_a_loop{[&] { coir::run([&] { work(0); }); }};
    std::thread without{[&] { work(1); }};
    coir::run([&] { work(2); });
    with_a_loop.join();
    without.join();
    EXPECT_EQ(checked, phases);
}

} // namespace
