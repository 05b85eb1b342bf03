// Who is ready runs in turn, and those who never wait do not keep timers and IO from theirs (hazard E11).

#include "sched/fake_driver.hpp"

#include <coir/channel.hpp>
#include <coir/event.hpp>
#include <coir/fiber.hpp>
#include <coir/select.hpp>
#include <coir/semaphore.hpp>
#include <coir/this_fiber.hpp>
#include <coir/with_timeout.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::fake_source;
using coir::detail::loop;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using fairness = coir::detail::with_fake_driver;

/// Yields with that much on its stack.
[[gnu::noinline]] int yield_at_depth(int depth) { // NOLINT(misc-no-recursion)
    volatile char frame[200];
    frame[0] = static_cast<char>(depth);
    if (depth == 0)
        this_fiber::yield();
    else
        (void)yield_at_depth(depth - 1);
    return frame[0];
}

TEST_F(fairness, yield_without_company_returns_from_any_depth) {
    run_on(driver, [] {
        this_fiber::yield();
        for (int depth = 0; depth < 20; ++depth)
            EXPECT_EQ(yield_at_depth(depth), depth);
        for (int depth = 20; depth > 0; --depth)
            EXPECT_EQ(yield_at_depth(depth), depth);
    });
}

TEST_F(fairness, yield_without_company_keeps_the_exceptions) {
    run_on(driver, [] {
        try {
            throw 42;
        } catch (int number) {
            this_fiber::yield();
            EXPECT_NE(std::current_exception(), nullptr);
            EXPECT_EQ(number, 42);
        }
        EXPECT_EQ(std::current_exception(), nullptr);
    });
}

TEST_F(fairness, fibers_start_and_run_in_the_order_of_spawn) {
    run_on(driver, [] {
        std::string order;
        std::vector<fiber<void>> workers;
        for (char name = 'a'; name < 'e'; ++name)
            workers.push_back(spawn([&order, name] {
                for (int i = 0; i < 3; ++i) {
                    order += name;
                    this_fiber::yield();
                }
            }));
        for (auto& each : workers)
            each.join();
        EXPECT_EQ(order, "abcdabcdabcd");
    });
}

TEST_F(fairness, woken_fibers_run_in_the_order_of_waking) {
    run_on(driver, [] {
        fake_source source;
        std::string order;
        std::vector<fiber<void>> workers;
        for (char name = 'a'; name < 'e'; ++name)
            workers.push_back(spawn([&, name] {
                source.wait();
                order += name;
            }));
        this_fiber::yield();
        while (source.notify_one()) {}
        for (auto& each : workers)
            each.join();
        EXPECT_EQ(order, "abcd");
    });
}

TEST_F(fairness, wake_does_not_run_the_woken) {
    run_on(driver, [] {
        fake_source source;
        bool ran = false;
        fiber<void> worker = spawn([&] {
            source.wait();
            ran = true;
        });
        this_fiber::yield();
        source.notify_one();
        EXPECT_FALSE(ran);
        this_fiber::yield();
        EXPECT_TRUE(ran);
        worker.join();
    });
}

// More than a slice of switches, so that the turns also go through the loop's own stack.
TEST_F(fairness, thousands_of_yields_keep_the_order) {
    for (const int count : {1, 2, 3, 255, 256, 257, 600}) {
        run_on(driver, [=] {
            std::vector<fiber<void>> workers;
            int turn = 0;
            for (int i = 0; i < count; ++i)
                workers.push_back(spawn([&turn, i, count] {
                    for (int round = 0; round < 20; ++round) {
                        ASSERT_EQ(turn++, round * count + i);
                        this_fiber::yield();
                    }
                }));
            for (auto& each : workers)
                each.join();
        });
    }
}

TEST_F(fairness, yielding_fibers_do_not_keep_the_loop_from_looking_for_io) {
    driver.advance_at_each_look(10us);
    run_on(driver, [this] {
        bool done = false;
        std::vector<fiber<void>> busy;
        std::size_t turns = 0;
        for (int i = 0; i < 3; ++i)
            busy.push_back(spawn([&] {
                while (!done) {
                    ++turns;
                    this_fiber::yield();
                }
            }));
        fake_source source;
        driver.at(5ms, [&] { source.notify_one(); });
        const std::size_t before = driver.looks();
        source.wait();
        done = true;
        // 5 ms are 100 times 50 us.
        EXPECT_GE(driver.looks() - before, 80U);
        EXPECT_LT(driver.elapsed(), 6ms);
        EXPECT_GT(turns, 1000U);
        for (auto& each : busy)
            each.join();
    });
}

TEST_F(fairness, yielding_fibers_do_not_keep_timers_waiting) {
    driver.advance_at_each_look(10us);
    run_on(driver, [this] {
        bool done = false;
        std::vector<fiber<void>> busy;
        for (int i = 0; i < 2; ++i)
            busy.push_back(spawn([&] {
                while (!done)
                    this_fiber::yield();
            }));
        for (int i = 0; i < 10; ++i) {
            const auto due = driver.elapsed() + 10ms;
            this_fiber::sleep_for(10ms);
            EXPECT_GE(driver.elapsed(), due);
            EXPECT_LT(driver.elapsed(), due + 200us);
        }
        done = true;
        for (auto& each : busy)
            each.join();
    });
}

// 256 switches of theirs would take a quarter of a second.
TEST_F(fairness, fibers_that_compute_between_yields_do_not_keep_timers_waiting) {
    run_on(driver, [this] {
        bool done = false;
        std::vector<fiber<void>> busy;
        for (int i = 0; i < 2; ++i)
            busy.push_back(spawn([&] {
                while (!done) {
                    driver.advance(1ms);
                    this_fiber::yield();
                }
            }));
        this_fiber::sleep_for(1ms); // the first slice is not measured yet
        for (int i = 0; i < 10; ++i) {
            const auto due = driver.elapsed() + 5ms;
            this_fiber::sleep_for(5ms);
            EXPECT_GE(driver.elapsed(), due);
            EXPECT_LE(driver.elapsed(), due + 3ms); // a turn of each, and one that had begun
        }
        done = true;
    });
}

TEST_F(fairness, fibers_that_compute_between_yields_do_not_keep_io_waiting) {
    run_on(driver, [this] {
        bool done = false;
        const fiber<void> busy = spawn([&] {
            while (!done) {
                driver.advance(1ms);
                this_fiber::yield();
            }
        });
        fake_source source;
        for (int i = 1; i <= 10; ++i) {
            driver.at(i * 500ms, [&] { source.notify_one(); });
            source.wait();
            EXPECT_LE(driver.elapsed(), i * 500ms + 2ms);
        }
        done = true;
    });
}

TEST_F(fairness, deadlines_hold_for_fibers_that_compute_between_yields) {
    run_on(driver, [this] {
        EXPECT_FALSE(coir::try_with_timeout(20ms, [this] {
            for (;;) {
                driver.advance(1ms);
                this_fiber::yield();
            }
        }));
        EXPECT_LE(driver.elapsed(), 40ms); // the first slice is of 16
    });
}

// What has been quick for long, with a timer that is set all the time, says nothing of those who wake after a sleep.
TEST_F(fairness, fibers_that_compute_after_a_sleep_do_not_keep_timers_waiting) {
    run_on(driver, [this] {
        const fiber<void> sleeper = spawn([] { this_fiber::sleep_for(1h); });
        for (int i = 0; i < 2000; ++i)
            this_fiber::yield();
        bool done = false;
        const fiber<void> busy = spawn([&] {
            this_fiber::sleep_for(100ms);
            while (!done) {
                driver.advance(1ms);
                this_fiber::yield();
            }
        });
        const auto due = driver.elapsed() + 102ms;
        this_fiber::sleep_for(102ms);
        EXPECT_LE(driver.elapsed(), due + 20ms);
        done = true;
    });
}

// Two fibers in turn: who yields without company goes on at once.
template <class Function> void as_two_fibers(Function function) {
    fiber<void> other = spawn(function);
    function();
    other.join();
}

// Some who compute for long make the slices of all short, but not for ever.
TEST_F(fairness, slices_become_long_again) {
    run_on(driver, [this] {
        const auto compute = [this] {
            for (int i = 0; i < 300; ++i) {
                driver.advance(1ms);
                this_fiber::yield();
            }
        };
        const auto yield_often = [] {
            for (int i = 0; i < 1280; ++i)
                this_fiber::yield();
        };
        as_two_fibers(compute);
        const auto at_first = driver.looks();
        as_two_fibers(yield_often);
        EXPECT_LE(driver.looks() - at_first, 20U);
        driver.advance_at_each_look(100us);
        const auto then = driver.looks();
        as_two_fibers(yield_often);
        EXPECT_LE(driver.looks() - then, 11U);
    });
}

// Also where the loop always sleeps before it could measure one: a fiber that is called, and makes two system calls.
TEST_F(fairness, slices_become_long_again_by_a_sleep) {
    run_on(driver, [this] {
        as_two_fibers([this] {
            for (int i = 0; i < 300; ++i) {
                driver.advance(1ms);
                this_fiber::yield();
            }
        });
        constexpr unsigned sleeps = 100;
        const auto before = driver.looks();
        fake_source source;
        for (unsigned i = 0; i < sleeps; ++i) {
            driver.at(driver.elapsed() + 1ms, [&] { source.notify_one(); });
            source.wait();
            loop::current()->spend(8);
        }
        EXPECT_EQ(driver.looks() - before, sleeps);
    });
}

TEST_F(fairness, fibers_that_wake_each_other_do_not_keep_timers_waiting) {
    driver.advance_at_each_look(10us);
    run_on(driver, [this] {
        fake_source ping;
        fake_source pong;
        bool done = false;
        fiber<void> one = spawn([&] {
            while (!done) {
                ping.notify_one();
                pong.wait();
            }
            ping.notify_one();
        });
        fiber<void> other = spawn([&] {
            while (!done) {
                ping.wait();
                pong.notify_one();
            }
        });
        this_fiber::sleep_for(10ms);
        EXPECT_LT(driver.elapsed(), 10ms + 200us);
        done = true;
        this_fiber::yield();
        pong.notify_one();
        ping.notify_one();
        this_fiber::yield();
        pong.notify_one();
        ping.notify_one();
        one.join();
        other.join();
    });
}

/// A fiber that spawns the next one and ends, which does the same, until they are done.
struct link_of_chain {
    bool& done;
    void operator()() const {
        if (!done)
            spawn(link_of_chain{done}).detach();
    }
};

TEST_F(fairness, fibers_that_spawn_and_join_do_not_keep_timers_waiting) {
    driver.advance_at_each_look(10us);
    run_on(driver, [this] {
        bool done = false;
        fiber<void> busy = spawn([&] {
            while (!done)
                spawn([] {}).join();
        });
        spawn(link_of_chain{done}).detach();
        this_fiber::sleep_for(10ms);
        EXPECT_LT(driver.elapsed(), 10ms + 200us);
        done = true;
        busy.join();
    });
}

// Each begins on the stack of the one before, without a switch.
TEST_F(fairness, fibers_that_each_spawn_the_next_do_not_keep_timers_waiting) {
    driver.advance_at_each_look(10us);
    run_on(driver, [this] {
        bool done = false;
        spawn(link_of_chain{done}).detach();
        this_fiber::sleep_for(10ms);
        EXPECT_LT(driver.elapsed(), 10ms + 200us);
        done = true;
        this_fiber::yield(); // the last of them ends
    });
}

// Each lends its turn to the next. On fresh stacks, and then on ones that have been used more and more often.
TEST_F(fairness, fibers_that_each_spawn_and_join_the_next_let_others_run) {
    run_on(driver, [] {
        int turns = 0;
        const auto chain = [&turns](auto& self, int levels) -> void {
            if (levels > 0)
                spawn([&self, levels] { self(self, levels - 1); }).join();
            else
                EXPECT_GE(turns, 5);
        };
        for (int round = 0; round < 5; ++round) {
            turns = 0;
            const fiber<void> other = spawn([&] {
                for (;;) {
                    ++turns;
                    this_fiber::yield();
                }
            });
            this_fiber::yield();
            chain(chain, 2'000);
        }
    });
}

// What calls that succeed without waiting cost: see loop::spend().
TEST_F(fairness, a_fiber_whose_calls_always_succeed_lets_the_others_run_now_and_then) {
    driver.advance_at_each_look(10us);
    run_on(driver, [] {
        std::size_t others = 0;
        bool done = false;
        fiber<void> other = spawn([&] {
            while (!done) {
                ++others;
                this_fiber::yield();
            }
        });
        this_fiber::yield();
        const std::size_t before = others;
        for (int i = 0; i < 10'000; ++i)
            loop::current()->spend(1);
        EXPECT_GE(others - before, 10U);
        EXPECT_LE(others - before, 1000U);
        done = true;
        other.join();
    });
}

// Of objects that other threads have used: they may always be faster.
TEST_F(fairness, a_fiber_that_never_has_to_wait_for_other_threads_lets_the_others_run_now_and_then) {
    driver.advance_at_each_look(10us);
    run_on(driver, [] {
        coir::channel<int> numbers{coir::channel<int>::unbounded};
        coir::counting_semaphore<> permits{0};
        coir::event event;
        std::thread{[&] {
            (void)numbers.try_receive();
            (void)permits.try_acquire();
        }}.join();
        std::size_t turns = 0;
        const fiber<void> other = spawn([&] {
            for (;;) {
                ++turns;
                this_fiber::yield();
            }
        });
        this_fiber::yield();
        const auto expect_turns = [&](const std::function<void()>& call) {
            const std::size_t before = turns;
            for (int i = 0; i < 10'000; ++i)
                call();
            EXPECT_GE(turns - before, 10U);
        };
        expect_turns([&] { numbers.send(1); });
        expect_turns([&] { (void)numbers.receive(); });
        permits.release(10'000);
        expect_turns([&] { permits.acquire(); });
        event.set();
        expect_turns([&] { coir::select(is_set(event)); });
    });
}

TEST_F(fairness, spending_without_company_is_harmless) {
    run_on(driver, [] {
        for (int i = 0; i < 10'000; ++i)
            loop::current()->spend(i % 300);
    });
}

} // namespace
