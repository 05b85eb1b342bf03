// The variable errno belongs to the thread, its value to the fiber: nobody finds another's (hazard D2).

#include "sched/fake_driver.hpp"

#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <system_error>
#include <vector>

namespace {

using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::fake_source;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

[[gnu::noinline]] void set_errno(int value) {
    errno = value;
}

[[gnu::noinline]] int get_errno() {
    return errno;
}

/// While `call` waits, others set errno; is it as before?
bool is_kept_across(fake_driver& driver, const std::function<void()>& call) {
    driver.advance_at_each_look(50ms); // so that time passes although there is always somebody ready
    return run_on(driver, [&] {
        bool done = false;
        fiber<void> spoiler = spawn([&] {
            while (!done) {
                set_errno(EDOM);
                this_fiber::yield();
            }
        });
        this_fiber::yield();
        bool kept = true;
        for (int i = 1; i < 20; ++i) {
            set_errno(i);
            call();
            kept = kept && get_errno() == i;
        }
        done = true;
        spoiler.join();
        return kept;
    });
}

using keeps_errno = coir::detail::with_fake_driver;

TEST_F(keeps_errno, sleep_for) {
    EXPECT_TRUE(is_kept_across(driver, [] { this_fiber::sleep_for(1s); }));
}

TEST_F(keeps_errno, sleep_for_with_an_error_code) {
    EXPECT_TRUE(is_kept_across(driver, [] {
        std::error_code error;
        this_fiber::sleep_for(1s, error);
    }));
}

TEST_F(keeps_errno, sleep_until_a_deadline_that_has_passed) {
    EXPECT_TRUE(is_kept_across(driver, [] { this_fiber::sleep_until(coir::deadline::passed()); }));
}

TEST_F(keeps_errno, yield) {
    EXPECT_TRUE(is_kept_across(driver, [] { this_fiber::yield(); }));
}

TEST_F(keeps_errno, join) {
    EXPECT_TRUE(is_kept_across(driver, [] { spawn([] { set_errno(EPERM); }).join(); }));
    EXPECT_TRUE(is_kept_across(driver, [] {
        spawn([] {
            this_fiber::sleep_for(1s);
            set_errno(EPERM);
        }).join();
    }));
}

// Who ends leaves the stack, and who joins lends the turn; but not errno.
TEST_F(keeps_errno, a_new_fiber_begins_without_one) {
    run_on(driver, [] {
        const auto look_and_leave_one = [] {
            const int found = get_errno();
            set_errno(EDOM);
            return found;
        };
        std::vector<fiber<int>> in_turn;
        for (int i = 0; i < 3; ++i)
            in_turn.push_back(spawn(look_and_leave_one));
        set_errno(EPERM);
        this_fiber::yield();
        for (fiber<int>& each : in_turn)
            EXPECT_EQ(each.join(), 0);
        for (int i = 0; i < 10; ++i) { // the first ones get a fresh stack, the others one that is known
            set_errno(EPERM);
            EXPECT_EQ(spawn(look_and_leave_one).join(), 0);
            EXPECT_EQ(get_errno(), EPERM);
        }
    });
}

TEST_F(keeps_errno, join_that_gives_up) {
    EXPECT_TRUE(is_kept_across(driver, [] {
        fiber<void> worker = spawn([] { this_fiber::sleep_for(2s); });
        EXPECT_FALSE(worker.wait(1s));
        worker.join();
    }));
}

TEST_F(keeps_errno, the_destructor_of_a_handle) {
    EXPECT_TRUE(is_kept_across(driver, [] {
        const fiber<void> worker = spawn([] { this_fiber::sleep_for(1h); });
        this_fiber::sleep_for(1ms);
    }));
}

TEST_F(keeps_errno, a_wait_for_a_source) {
    fake_source source;
    EXPECT_TRUE(is_kept_across(driver, [&] { source.wait(1s); }));
}

} // namespace
