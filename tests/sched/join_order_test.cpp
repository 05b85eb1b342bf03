#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

/// Who runs when somebody joins a fiber that has not started: see loop::park_until_end().
namespace {

using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using join_order = coir::detail::with_fake_driver;

TEST_F(join_order, who_has_not_started_runs_in_the_turn_of_its_joiner) {
    run_on(driver, [] {
        std::string order;
        auto a = spawn([&] { order += 'a'; });
        auto b = spawn([&] { order += 'b'; });
        auto c = spawn([&] { order += 'c'; });
        b.join();
        order += '.';
        this_fiber::yield();
        EXPECT_EQ(order, "b.ac");
    });
}

TEST_F(join_order, who_waits_takes_turns_as_everybody) {
    run_on(driver, [] {
        std::string order;
        auto a = spawn([&] {
            order += 'a';
            this_fiber::yield();
            order += 'A';
        });
        auto b = spawn([&] {
            order += 'b';
            this_fiber::yield();
            order += 'B';
        });
        b.join();
        order += '.';
        EXPECT_EQ(order, "baBA."); // who had waited has no claim to the turn any more
    });
}

TEST_F(join_order, what_it_spawns_and_joins_is_part_of_the_turn) {
    run_on(driver, [] {
        std::string order;
        auto other = spawn([&] { order += 'x'; });
        spawn([&] {
            spawn([&] { order += '1'; }).join();
            spawn([&] { order += '2'; }).join();
            order += '3';
        }).join();
        order += '.';
        EXPECT_EQ(order, "123.");
        other.join();
    });
}

// A tree in the breadth would need a stack for each of its 1,111 inner fibers.
TEST_F(join_order, a_tree_of_fibers_needs_few_stacks) {
    run_on(driver, [] {
        std::set<std::uintptr_t> pages;
        const auto leaves = [&pages](auto& self, int generations) -> int {
            int here = 0;
            pages.insert(reinterpret_cast<std::uintptr_t>(&here) / 65'536);
            if (generations == 0)
                return 1;
            std::vector<fiber<int>> children;
            for (int i = 0; i < 10; ++i)
                children.push_back(spawn([&self, generations] { return self(self, generations - 1); }));
            int sum = 0;
            for (auto& each : children)
                sum += each.join();
            return sum;
        };
        EXPECT_EQ(leaves(leaves, 4), 10'000);
        EXPECT_LT(pages.size(), 300U);
    });
}

TEST_F(join_order, who_spawns_and_joins_for_ever_does_not_keep_the_thread_to_itself) {
    run_on(driver, [this] {
        driver.advance_at_each_look(1ms);
        int ticks = 0;
        bool stop = false;
        auto ticker = spawn([&] {
            while (!stop) {
                this_fiber::yield();
                ++ticks;
            }
        });
        auto sleeper = spawn([&] {
            this_fiber::sleep_for(5ms);
            stop = true;
        });
        int joined = 0;
        for (; !stop && joined < 1'000'000; ++joined)
            spawn([] {}).join();
        EXPECT_TRUE(stop);
        EXPECT_GE(ticks, joined / 256);
    });
}

TEST_F(join_order, a_deadline_in_the_past_lets_nobody_run) {
    run_on(driver, [] {
        bool ran = false;
        auto other = spawn([&] { ran = true; });
        EXPECT_FALSE(other.wait(coir::deadline::passed()));
        EXPECT_FALSE(ran);
        EXPECT_TRUE(other.wait(1h));
        EXPECT_TRUE(ran);
    });
}

// From then on there are stacks that have been used often, with which a join is quickest.
void join_a_few() {
    for (int i = 0; i < 10; ++i)
        spawn([] {}).join();
}

TEST_F(join_order, a_deadline_holds_for_who_begins_in_the_turn_of_its_joiner) {
    run_on(driver, [this] {
        join_a_few();
        auto slow = spawn([] { this_fiber::sleep_for(1h); });
        EXPECT_FALSE(slow.wait(1s));
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(join_order, a_cancelled_joiner_is_told_so) {
    run_on(driver, [] {
        fiber<void> joiner = spawn([] {
            join_a_few();
            EXPECT_THROW(this_fiber::sleep_for(1h), coir::cancelled);
            auto other = spawn([] { this_fiber::sleep_for(1h); });
            EXPECT_THROW((void)other.wait(), coir::cancelled);
            throw coir::cancelled{};
        });
        this_fiber::yield();
        joiner.cancel();
        EXPECT_THROW(joiner.join(), coir::cancelled);
    });
}

TEST_F(join_order, a_joiner_that_is_cancelled_by_whom_it_joins_goes_on_once) {
    run_on(driver, [] {
        int ended = 0;
        fiber<void> joiner;
        joiner = spawn([&] {
            spawn([&] { joiner.cancel(); }).join(); // completion wins
            ++ended;
            EXPECT_THROW(this_fiber::yield(), coir::cancelled);
            throw coir::cancelled{};
        });
        this_fiber::yield();
        this_fiber::yield();
        EXPECT_EQ(ended, 1);
        EXPECT_THROW(joiner.join(), coir::cancelled);
    });
}

TEST_F(join_order, who_is_given_up_unstarted_is_cancelled_and_runs_no_blocking_call) {
    run_on(driver, [] {
        bool slept = false;
        {
            auto unwanted = spawn([&] {
                this_fiber::sleep_for(1h);
                slept = true;
            });
        }
        EXPECT_FALSE(slept);
    });
}

// As many fibers as the queue has places, and all of them are in it, beside the vacancy that one of them has left.
TEST_F(join_order, nobody_loses_its_place_to_a_vacancy) {
    run_on(driver, [] {
        constexpr std::size_t places = 64; // it begins with so many
        std::vector<int> runs(places - 3);
        std::vector<fiber<void>> others;
        fiber<void> joiner;
        fiber<void> joined;
        joiner = spawn([&] { EXPECT_THROW((void)joined.wait(), coir::cancelled); });
        for (std::size_t i = 0; i < runs.size(); ++i) {
            if (i == runs.size() / 2)
                joined = spawn([&] {
                    joiner.cancel();
                    this_fiber::yield();
                });
            others.push_back(spawn([&runs, i] {
                this_fiber::yield();
                ++runs[i];
            }));
        }
        this_fiber::yield();
        joiner.join();
        joined.join();
        for (auto& each : others)
            each.join();
        for (const int count : runs)
            EXPECT_EQ(count, 1);
    });
}

// Places in the queue that are left empty: at its beginning, in the middle, at its end; and more of them than places.
TEST_F(join_order, everybody_runs_once_in_whatever_order_they_are_joined) {
    for (unsigned seed = 1; seed <= 10; ++seed) {
        run_on(driver, [seed] {
            SCOPED_TRACE(seed);
            std::minstd_rand random{seed};
            constexpr std::size_t most = 500;
            std::vector<int> runs;
            std::vector<fiber<void>> waiting;
            runs.reserve(4'000);
            for (int step = 0; step < 4'000; ++step) {
                if (waiting.size() < most && (waiting.empty() || random() % 2 == 0)) {
                    const std::size_t number = runs.size();
                    runs.push_back(0);
                    waiting.push_back(spawn([&runs, number, yields = random() % 8 == 0 ? 2 : 0] {
                        for (int i = 0; i < yields; ++i)
                            this_fiber::yield();
                        ++runs[number];
                    }));
                } else {
                    const std::size_t which = random() % 3 == 0   ? 0
                                              : random() % 3 == 0 ? waiting.size() - 1
                                                                  : random() % waiting.size();
                    waiting[which].join();
                    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(which));
                }
            }
            for (auto& each : waiting)
                each.join();
            for (const int count : runs)
                ASSERT_EQ(count, 1);
        });
    }
}

} // namespace
