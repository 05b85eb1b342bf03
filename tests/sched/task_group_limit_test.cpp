// task_group::max_concurrent: spawn() waits for a place.

#include "sched/fake_driver.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>
#include <coir/with_timeout.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace {

using coir::cancelled;
using coir::fiber;
using coir::spawn;
using coir::task_group;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using max_concurrent = coir::detail::with_fake_driver;

void sleep_a_second() {
    this_fiber::sleep_for(1s);
}

TEST_F(max_concurrent, is_never_exceeded_and_always_used) {
    run_on(driver, [this] {
        int running = 0;
        int most = 0;
        {
            task_group group{.max_concurrent = 3};
            for (int i = 0; i < 10; ++i)
                group.spawn([&] {
                    most = std::max(most, ++running);
                    sleep_a_second();
                    --running;
                });
            EXPECT_EQ(driver.elapsed(), 3s);
        }
        EXPECT_EQ(most, 3);
        EXPECT_EQ(driver.elapsed(), 4s);
    });
}

TEST_F(max_concurrent, gives_places_first_come_first_served) {
    run_on(driver, [this] {
        std::string order;
        task_group group{.max_concurrent = 1};
        group.spawn(sleep_a_second);
        std::vector<fiber<void>> spawners;
        for (char name = 'a'; name < 'f'; ++name)
            spawners.push_back(spawn([&, name] {
                group.spawn([&, name] {
                    order += name;
                    sleep_a_second();
                });
            }));
        for (auto& each : spawners)
            each.join();
        group.join();
        EXPECT_EQ(order, "abcde");
        EXPECT_EQ(driver.elapsed(), 6s);
    });
}

// G1: neither who comes while the place is on its way to somebody, nor who comes often, is faster.
TEST_F(max_concurrent, gives_a_place_to_who_has_waited_for_it) {
    run_on(driver, [] {
        std::string order;
        task_group group{.max_concurrent = 1};
        fiber<void> greedy = spawn([&] {
            for (int i = 0; i < 5; ++i)
                group.spawn([&] { order += 'g'; }); // ends without ever waiting
        });
        fiber<void> modest = spawn([&] { group.spawn([&] { order += 'm'; }); });
        greedy.join();
        modest.join();
        group.join();
        EXPECT_LE(order.find('m'), 2U) << order;
    });
}

TEST_F(max_concurrent, cancelled_waiting_for_a_place_spawns_nothing_and_leaves_the_place) {
    run_on(driver, [this] {
        std::string log;
        task_group group{.max_concurrent = 1};
        group.spawn(sleep_a_second);
        fiber<void> impatient = spawn([&] { group.spawn([&] { log += "impatient "; }); });
        fiber<void> patient = spawn([&] { group.spawn([&] { log += "patient "; }); });
        this_fiber::yield();
        impatient.cancel();
        EXPECT_THROW(impatient.join(), cancelled);
        EXPECT_EQ(driver.elapsed(), 0s);
        patient.join();
        group.join();
        EXPECT_EQ(log, "patient ");
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

// Completion wins: who has been given the place takes it, and the next gets it afterwards.
TEST_F(max_concurrent, given_and_cancelled_in_the_same_turn_spawns) {
    run_on(driver, [] {
        std::string log;
        task_group group{.max_concurrent = 1};
        fiber<void> first;
        group.spawn([&] {
            this_fiber::yield();
            this_fiber::yield();
        });
        first = spawn([&] { group.spawn([&] { log += "first "; }); });
        fiber<void> second = spawn([&] { group.spawn([&] { log += "second "; }); });
        while (group.size() == 1 && log.empty()) { // until the member has ended, and `first` has not run yet
            this_fiber::yield();
            if (group.size() == 0)
                first.cancel();
        }
        first.wait();
        second.join();
        group.join();
        EXPECT_EQ(log, "first second ");
    });
}

// It is still in the queue, but will not take the place.
TEST_F(max_concurrent, gives_no_place_to_who_has_just_been_cancelled) {
    run_on(driver, [] {
        std::string log;
        fiber<void> impatient;
        task_group group{.max_concurrent = 1};
        group.spawn([&] {
            sleep_a_second();
            impatient.cancel(); // and leaves its place in the same turn
        });
        impatient = spawn([&] { group.spawn([&] { log += "impatient "; }); });
        fiber<void> patient = spawn([&] { group.spawn([&] { log += "patient "; }); });
        EXPECT_THROW(impatient.join(), cancelled);
        patient.join();
        group.join();
        EXPECT_EQ(log, "patient ");
    });
}

TEST_F(max_concurrent, gives_the_place_to_the_next_when_a_spawn_fails) {
    run_on(driver, [this] {
        bool spawned = false;
        task_group group{.max_concurrent = 1};
        group.spawn(sleep_a_second);
        fiber<void> fails = spawn([&] {
            EXPECT_THROW(group.spawn({.stack_size = 1}, [] {}), std::invalid_argument); // too small
        });
        fiber<void> next = spawn([&] { group.spawn([&] { spawned = true; }); });
        fails.join();
        next.join();
        group.join();
        EXPECT_TRUE(spawned);
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(max_concurrent, waiting_for_a_place_ends_with_the_failure_of_the_group) {
    run_on(driver, [this] {
        bool spawned = false;
        std::string what;
        try {
            task_group group{.max_concurrent = 2};
            group.spawn([] { this_fiber::sleep_for(1h); });
            group.spawn([] {
                sleep_a_second();
                throw std::runtime_error("failed");
            });
            group.spawn([&] { spawned = true; });
            FAIL();
        } catch (const std::runtime_error& error) {
            what = error.what();
        }
        EXPECT_EQ(what, "failed");
        EXPECT_FALSE(spawned);
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

// Each member keeps its place while it waits for another.
TEST_F(max_concurrent, members_that_all_wait_in_spawn_are_told_of_the_deadlock) {
    run_on(driver, [this] {
        for (const std::size_t most : {1U, 3U}) {
            std::string what;
            std::size_t spawning = 0;
            try {
                task_group group{.max_concurrent = most};
                for (std::size_t i = 0; i < 2 * most; ++i) // the opener waits as well, for the first to end
                    group.spawn([&] {
                        this_fiber::yield();
                        ++spawning;
                        group.spawn(sleep_a_second);
                    });
            } catch (const std::system_error& error) {
                EXPECT_EQ(error.code(), std::errc::resource_deadlock_would_occur);
                what = error.what();
            }
            EXPECT_NE(what.find("task_group::spawn by fiber"), std::string::npos) << what;
            EXPECT_NE(what.find("all places (" + std::to_string(most) + ")"), std::string::npos) << what;
            EXPECT_EQ(spawning, most);
            EXPECT_EQ(driver.elapsed(), 0s);
        }
    });
}

TEST_F(max_concurrent, members_may_wait_in_spawn_while_one_of_them_does_not) {
    run_on(driver, [this] {
        int ended = 0;
        {
            task_group group{.max_concurrent = 3};
            group.spawn([&] {
                sleep_a_second();
                ++ended;
            });
            for (int i = 0; i < 2; ++i)
                group.spawn([&] {
                    group.spawn([&] { ++ended; });
                    ++ended;
                });
        }
        EXPECT_EQ(ended, 5);
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(max_concurrent, members_that_wait_in_spawn_with_a_deadline_are_no_deadlock) {
    run_on(driver, [this] {
        bool spawned = true;
        task_group group{.max_concurrent = 1};
        group.spawn([&] { spawned = coir::try_with_timeout(1s, [&] { group.spawn([] {}); }); });
        group.join();
        EXPECT_FALSE(spawned);
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

// One of them is enough.
TEST_F(max_concurrent, members_that_wait_in_spawn_beside_one_with_a_deadline_are_no_deadlock) {
    run_on(driver, [this] {
        bool in_time = true;
        bool spawned = false;
        task_group group{.max_concurrent = 2};
        group.spawn([&] { in_time = coir::try_with_timeout(1s, [&] { group.spawn([] {}); }); });
        group.spawn([&] {
            this_fiber::yield(); // the other one waits already
            group.spawn([&] { spawned = true; });
        });
        group.join();
        EXPECT_FALSE(in_time);
        EXPECT_TRUE(spawned);
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

// It will start a member, which will end.
TEST_F(max_concurrent, a_member_that_waits_in_spawn_while_a_stranger_has_been_given_a_place_is_no_deadlock) {
    run_on(driver, [] {
        std::string log;
        task_group group{.max_concurrent = 2};
        group.spawn(sleep_a_second);
        group.spawn([&] {
            sleep_a_second(); // ends right after the other one, before the stranger has run
            group.spawn([&] { log += "member's "; });
        });
        fiber<void> stranger = spawn([&] { group.spawn([&] { log += "stranger's "; }); });
        this_fiber::yield();
        group.join();
        stranger.join();
        group.join();
        EXPECT_EQ(log, "stranger's member's ");
    });
}

TEST_F(max_concurrent, members_that_wait_in_spawn_while_the_opener_may_allow_more_are_no_deadlock) {
    run_on(driver, [] {
        bool spawned = false;
        task_group group{.max_concurrent = 1};
        group.spawn([&] { group.spawn([&] { spawned = true; }); });
        sleep_a_second();
        group.max_concurrent = 3;
        group.spawn([] {});
        group.join();
        EXPECT_TRUE(spawned);
    });
}

// When it has passed, the opener may allow more.
TEST_F(max_concurrent, members_that_wait_in_spawn_while_the_opener_waits_with_a_deadline_are_no_deadlock) {
    run_on(driver, [this] {
        bool spawned = false;
        task_group group{.max_concurrent = 1};
        group.spawn([&] { group.spawn([&] { spawned = true; }); });
        EXPECT_FALSE(coir::try_with_timeout(1s, [&] { group.join(); }));
        EXPECT_EQ(driver.elapsed(), 1s);
        group.max_concurrent = 3;
        group.spawn([] {});
        group.join();
        EXPECT_TRUE(spawned);
    });
}

// One that has been cancelled, but has not run since, is about to leave its place.
TEST_F(max_concurrent, a_member_that_stops_waiting_in_spawn_is_no_deadlock) {
    run_on(driver, [] {
        bool spawned = false;
        task_group group{.max_concurrent = 2};
        coir::cancel_scope* impatient = nullptr;
        group.spawn([&] {
            coir::cancel_scope scope;
            impatient = &scope;
            scope.run([&] { group.spawn([] {}); });
        });
        group.spawn([&] {
            while (!impatient)
                this_fiber::yield();
            impatient->cancel();
            group.spawn([&] { spawned = true; });
        });
        group.join();
        EXPECT_TRUE(spawned);
    });
}

TEST_F(max_concurrent, may_be_raised_and_lowered) {
    run_on(driver, [this] {
        task_group group{.max_concurrent = 1};
        group.spawn(sleep_a_second);
        fiber<void> waits = spawn([&] { group.spawn(sleep_a_second); });
        this_fiber::yield();
        group.max_concurrent = 3;
        group.spawn(sleep_a_second); // for the one who waits, too
        waits.join();
        EXPECT_EQ(group.size(), 3U);
        EXPECT_EQ(driver.elapsed(), 0s);
        group.max_concurrent = 1;
        group.spawn(sleep_a_second);
        EXPECT_EQ(driver.elapsed(), 1s);
        EXPECT_EQ(group.size(), 1U);
    });
}

TEST_F(max_concurrent, of_nobody_is_an_error) {
    run_on(driver, [] {
        task_group group{.max_concurrent = 0};
        EXPECT_THROW(group.spawn([] {}), std::invalid_argument);
    });
}

} // namespace
