#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/semaphore.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using coir::binary_semaphore;
using coir::cancelled;
using coir::counting_semaphore;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

class semaphore : public testing::Test {
protected:
    fake_driver driver;
    std::string log;
};

TEST_F(semaphore, has_so_many_permits) {
    counting_semaphore permits{2};
    EXPECT_TRUE(permits.try_acquire());
    permits.acquire();
    EXPECT_FALSE(permits.try_acquire());
    permits.release(3);
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(permits.try_acquire());
    EXPECT_FALSE(permits.try_acquire());
}

TEST_F(semaphore, first_come_first_served_and_no_newcomer_in_between) {
    run_on(driver, [this] {
        counting_semaphore permits{0};
        std::vector<fiber<void>> waiters;
        for (const char name : {'a', 'b', 'c'})
            waiters.push_back(spawn([this, &permits, name] {
                permits.acquire();
                log += name;
            }));
        this_fiber::yield();
        permits.release(2);
        EXPECT_FALSE(permits.try_acquire()); // they are a's and b's, though these have not run
        this_fiber::yield();
        EXPECT_EQ(log, "ab");
        permits.release();
        for (auto& each : waiters)
            each.join();
    });
    EXPECT_EQ(log, "abc");
}

TEST_F(semaphore, who_gives_up_takes_no_permit) {
    run_on(driver, [this] {
        counting_semaphore permits{0};
        fiber<bool> impatient = spawn([&] { return permits.try_acquire_for(1s); });
        fiber<void> unlucky = spawn([&] { permits.acquire(); });
        fiber<void> patient = spawn([&] { permits.acquire(); });
        EXPECT_FALSE(impatient.join());
        EXPECT_EQ(driver.elapsed(), 1s);
        unlucky.cancel();
        permits.release(); // before the cancelled one has run
        patient.join();
        EXPECT_THROW(unlucky.join(), cancelled);
        EXPECT_FALSE(permits.try_acquire());
    });
}

TEST_F(semaphore, a_permit_that_has_come_is_kept) {
    run_on(driver, [this] {
        counting_semaphore permits{0};
        fiber<bool> waiter = spawn([&] { return permits.try_acquire_for(1s); });
        this_fiber::yield();
        permits.release();
        waiter.cancel();
        driver.advance(2s);
        EXPECT_TRUE(waiter.join());
    });
}

TEST_F(semaphore, more_than_the_maximum_is_misuse_and_changes_nothing) {
    run_on(driver, [] {
        binary_semaphore permit{1};
        EXPECT_THROW(permit.release(), std::logic_error);
        EXPECT_THROW(permit.release(-1), std::logic_error);
        permit.acquire();
        EXPECT_THROW(permit.release(2), std::logic_error);
        permit.release();
        EXPECT_TRUE(permit.try_acquire());
        EXPECT_FALSE(permit.try_acquire());
    });
}

TEST_F(semaphore, begins_with_a_possible_number) {
    EXPECT_THROW(binary_semaphore{2}, std::invalid_argument);
    try {
        const coir::counting_semaphore<> owed{-1};
        ADD_FAILURE();
    } catch (const std::invalid_argument& error) {
        EXPECT_STREQ(error.what(), "coir: a counting_semaphore cannot begin with -1");
    }
}

} // namespace
