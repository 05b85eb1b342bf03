#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/event.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace {

using coir::cancelled;
using coir::deadline;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using event = coir::detail::with_fake_driver;

TEST_F(event, wakes_all_who_wait_and_stops_nobody_later) {
    run_on(driver, [] {
        coir::event happened;
        EXPECT_FALSE(happened.is_set());
        std::string log;
        std::vector<fiber<void>> waiters;
        for (const char name : {'a', 'b', 'c'})
            waiters.push_back(spawn([&, name] {
                EXPECT_TRUE(happened.wait());
                log += name;
            }));
        this_fiber::yield();
        EXPECT_EQ(log, "");
        happened.set();
        EXPECT_TRUE(happened.is_set());
        EXPECT_TRUE(happened.wait(deadline::passed()));
        EXPECT_EQ(log, ""); // waking does not switch
        for (auto& each : waiters)
            each.join();
        EXPECT_EQ(log, "abc");
        happened.reset();
        EXPECT_FALSE(happened.wait(1s));
    });
    EXPECT_EQ(driver.elapsed(), 1s);
}

TEST_F(event, who_was_woken_goes_on_though_it_was_reset_since) {
    run_on(driver, [] {
        coir::event happened;
        fiber<bool> waiter = spawn([&] { return happened.wait(1s); });
        this_fiber::yield();
        happened.set();
        happened.reset();
        waiter.cancel();
        EXPECT_TRUE(waiter.join());
    });
    EXPECT_EQ(driver.elapsed(), 0s);
}

TEST_F(event, a_waiter_who_gives_up_leaves_no_trace) {
    run_on(driver, [] {
        coir::event happened;
        fiber<bool> unlucky = spawn([&] { return happened.wait(); });
        fiber<bool> impatient = spawn([&] { return happened.wait(1s); });
        this_fiber::yield();
        unlucky.cancel();
        happened.set(); // finds it cancelled, before it has run
        EXPECT_THROW(unlucky.join(), cancelled);
        EXPECT_TRUE(impatient.join());
    });
}

TEST_F(event, who_has_waited_may_destroy_it) {
    run_on(driver, [] {
        auto happened = std::make_unique<coir::event>();
        fiber<void> waiter = spawn([&] {
            happened->wait();
            happened.reset();
        });
        this_fiber::yield();
        happened->set();
        waiter.join();
        EXPECT_FALSE(happened);
    });
}

} // namespace
