// Each thread may have a loop of its own; they share nothing but the process.

#include "sched/fake_driver.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/context.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <set>
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

#if defined(COIR_TSAN)
constexpr int fewer = 20; // each is a thread to ThreadSanitizer: slow, and 8,000 at most
#else
constexpr int fewer = 1;
#endif

TEST(threads, run_a_loop_each) {
    constexpr int turns = 500 / fewer;
    std::vector<int> sums(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < sums.size(); ++t)
        threads.emplace_back([&sums, t] {
            fake_driver driver;
            sums[t] = run_on(driver, [] {
                int sum = 0;
                for (int i = 0; i < turns; ++i) {
                    fiber<int> first = spawn([i] {
                        this_fiber::sleep_for(1ms);
                        return i;
                    });
                    fiber<int> second = spawn([] {
                        this_fiber::yield();
                        return 1;
                    });
                    sum += first.join() + second.join();
                }
                return sum;
            });
        });
    for (auto& each : threads)
        each.join();
    EXPECT_EQ(sums, (std::vector<int>(4, turns * (turns + 1) / 2)));
}

TEST(threads, never_give_two_fibers_the_same_id) {
    std::mutex mutex;
    std::set<coir::fiber_id> ids;
    std::size_t count = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            fake_driver driver;
            std::vector<coir::fiber_id> mine;
            run_on(driver, [&] {
                for (int i = 0; i < 3000 / fewer; ++i)
                    mine.push_back(spawn([] { return this_fiber::id(); }).join());
            });
            const std::lock_guard lock{mutex};
            ids.insert(mine.begin(), mine.end());
            count += mine.size();
        });
    for (auto& each : threads)
        each.join();
    EXPECT_EQ(ids.size(), count);
}

TEST(threads, may_have_one_loop_after_the_other) {
    std::thread([] {
        for (int i = 0; i < 10; ++i) {
            fake_driver driver;
            EXPECT_EQ(run_on(driver, [=] { return spawn([=] { return i; }).join(); }), i);
        }
    }).join();
}

TEST(threads, may_be_started_and_ended_while_others_run) {
    fake_driver driver;
    run_on(driver, [] {
        for (int i = 0; i < 50; ++i) {
            std::thread([] {
                fake_driver its_driver;
                run_on(its_driver, [] {
                    const fiber<void> sleeper = spawn([] { this_fiber::sleep_for(1h); });
                    this_fiber::yield();
                });
            }).join();
            spawn([] { this_fiber::sleep_for(1ms); }).join();
        }
    });
}

TEST(threads, refuse_to_join_each_others_fibers) {
    fake_driver driver;
    run_on(driver, [] {
        fiber<int> worker = spawn([] {
            this_fiber::sleep_for(1s);
            return 1;
        });
        this_fiber::yield();
        std::thread([&] {
            EXPECT_THROW(worker.join(), std::logic_error); // no loop at all
            fake_driver its_driver;
            run_on(its_driver, [&] { EXPECT_THROW(worker.join(), std::logic_error); });
        }).join();
        EXPECT_EQ(worker.join(), 1);
    });
}

TEST(threads, may_take_the_results_of_fibers_that_have_ended) {
    fiber<std::string> worker;
    std::thread([&] {
        fake_driver driver;
        run_on(driver, [&] { worker = spawn([] { return std::string("from the thread"); }); });
    }).join();
    EXPECT_EQ(worker.join(), "from the thread");

    // And within another loop, which then has the control block's memory.
    std::thread([&] {
        fake_driver driver;
        run_on(driver, [&] { worker = spawn([] { return std::string("again"); }); });
    }).join();
    fake_driver driver;
    run_on(driver, [&] {
        EXPECT_EQ(worker.join(), "again");
        for (int i = 0; i < 100; ++i)
            EXPECT_EQ(spawn([i] { return std::to_string(i); }).join(), std::to_string(i));
    });
}

TEST(threads, may_make_and_destroy_contexts_at_the_same_time) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([] {
            for (int i = 0; i < 2000 / fewer; ++i) {
                int value = 0;
                coir::context inside{[&](coir::context::self& self) {
                    value = 1;
                    self.suspend();
                    value = 2;
                }};
                inside.resume();
                EXPECT_EQ(value, 1);
                if (i % 2 == 0) {
                    inside.resume();
                    EXPECT_EQ(value, 2);
                }
            }
        });
    for (auto& each : threads)
        each.join();
}

// Cancelling changes the ready queue of the fiber's loop, which is not made for two threads.
TEST(threads_death, cancelling_a_fiber_from_another_thread_names_it) {
    EXPECT_DEATH(coir::run([] {
                     fiber<void> victim = spawn({.name = "victim"}, [] { this_fiber::sleep_for(1h); });
                     this_fiber::yield();
                     std::thread{[&victim] { victim.cancel(); }}.join();
                 }),
                 "\"victim\" is cancelled by a thread that does not run it");
    EXPECT_DEATH(coir::run([] {
                     coir::cancel_scope scope;
                     std::thread{[&scope] { scope.cancel(); }}.join();
                 }),
                 "\"main\" is cancelled by a thread that does not run it");
}

} // namespace
