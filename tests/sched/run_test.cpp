#include "child_process.hpp"
#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace {

using coir::cancelled;
using coir::fiber;
using coir::fiber_options;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using run = coir::detail::with_fake_driver;

TEST_F(run, returns_what_the_function_returns) {
    EXPECT_EQ(run_on(driver, [] { return 3; }), 3);
    EXPECT_EQ(*run_on(driver, [] { return std::make_unique<int>(4); }), 4);
    int number = 0;
    EXPECT_EQ(&run_on(driver, [&]() -> int& { return number; }), &number);
    run_on(driver, [] {});
}

TEST_F(run, throws_what_the_function_throws) {
    EXPECT_THROW(run_on(driver, [] { throw std::runtime_error("x"); }), std::runtime_error);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    EXPECT_EQ(std::current_exception(), nullptr);
}

TEST_F(run, may_be_called_again_and_again) {
    for (int i = 0; i < 100; ++i)
        EXPECT_EQ(run_on(driver, [=] { return spawn([=] { return i; }).join(); }), i);
}

TEST_F(run, inside_run_is_refused_and_harmless) {
    run_on(driver, [] {
        fake_driver another;
        EXPECT_THROW(run_on(another, [] {}), std::logic_error);
        EXPECT_EQ(spawn([] { return 1; }).join(), 1);
    });
    EXPECT_EQ(run_on(driver, [] { return 2; }), 2);
}

TEST_F(run, refuses_a_default_stack_that_is_too_small) {
    EXPECT_THROW(run_on(driver, [] {}, {.stack_size = 100}), std::invalid_argument);
    EXPECT_EQ(run_on(driver, [] { return 2; }), 2);
}

TEST_F(run, gives_fibers_the_stack_size_that_it_is_told) {
    run_on(driver,
           [] {
               static_cast<volatile char*>(__builtin_alloca(3 << 20))[0] = 1;
               spawn([] { static_cast<volatile char*>(__builtin_alloca(3 << 20))[0] = 1; }).join();
           },
           {.stack_size = 4 << 20});
}

TEST_F(run, outside_of_it_fibers_do_not_exist) {
    EXPECT_THROW((void)spawn([] {}), std::logic_error);
    EXPECT_THROW(this_fiber::yield(), std::logic_error);
    EXPECT_THROW(this_fiber::sleep_for(1ms), std::logic_error);
    EXPECT_THROW((void)this_fiber::id(), std::logic_error);
    EXPECT_THROW((void)this_fiber::name(), std::logic_error);
    EXPECT_THROW((void)this_fiber::cancel_requested(), std::logic_error);
    // Nor in a loop without a fiber: where the driver's events are.
    driver.at(1s, [] { EXPECT_THROW((void)spawn([] {}), std::logic_error); });
    run_on(driver, [] { this_fiber::sleep_for(2s); });
}

TEST_F(run, outside_of_it_sleep_with_an_error_code_does_not_end_the_program) {
    EXPECT_TRUE(in_child([] {
                    try {
                        std::error_code error;
                        this_fiber::sleep_for(1ms, error);
                    } catch (const std::logic_error&) {}
                    return true;
                }).exited_well());
}

TEST_F(run, cancels_and_awaits_the_fibers_that_remain) {
    std::string log;
    run_on(driver, [&] {
        spawn([&] {
            try {
                this_fiber::sleep_for(1h);
            } catch (const cancelled&) {
                log += "cancelled ";
                throw;
            }
        }).detach();
        this_fiber::yield();
        log += "main ends ";
    });
    EXPECT_EQ(log, "main ends cancelled ");
    EXPECT_LT(driver.elapsed(), 1h);
}

TEST_F(run, cancels_fibers_that_have_not_started) {
    bool cancelled_at_once = false;
    run_on(driver, [&] {
        spawn([&] {
            try {
                this_fiber::yield();
            } catch (const cancelled&) {
                cancelled_at_once = true;
                throw;
            }
        }).detach();
    });
    EXPECT_TRUE(cancelled_at_once);
}

TEST_F(run, cancels_fibers_that_are_spawned_while_it_ends) {
    int generations = 0;
    struct descendant {
        int& generations;
        void operator()() const {
            if (++generations < 10)
                spawn(descendant{generations}).detach();
            EXPECT_TRUE(this_fiber::cancel_requested());
            EXPECT_THROW(this_fiber::sleep_for(1h), cancelled);
        }
    };
    run_on(driver, [&] {
        spawn([&] {
            try {
                this_fiber::sleep_for(1h);
            } catch (const cancelled&) {
                spawn(descendant{generations}).detach();
                throw;
            }
        }).detach();
        this_fiber::yield();
    });
    EXPECT_EQ(generations, 10);
    EXPECT_EQ(driver.elapsed(), 0s);
}

TEST_F(run, throws_the_functions_exception_after_the_others_have_ended) {
    bool ended = false;
    try {
        run_on(driver, [&] {
            spawn([&] {
                struct at_end {
                    bool& value;
                    ~at_end() { value = true; }
                } const sets{ended};
                this_fiber::sleep_for(1h);
            }).detach();
            this_fiber::yield();
            throw std::runtime_error("main");
        });
        FAIL();
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "main");
    }
    EXPECT_TRUE(ended);
}

TEST_F(run, waits_for_fibers_that_take_their_time_to_end) {
    run_on(driver, [] {
        spawn([] {
            for (int i = 0; i < 3; ++i) {
                try {
                    this_fiber::sleep_for(1h);
                } catch (const cancelled&) { // stubborn, but it ends
                }
            }
        }).detach();
        this_fiber::yield();
    });
    EXPECT_EQ(driver.elapsed(), 0s);
}

TEST_F(run, lets_a_handle_outlive_the_loop) {
    fiber<std::string> value;
    fiber<int> failure;
    fiber<void> sleeper;
    run_on(driver, [&] {
        value = spawn(fiber_options{.name = "kept"}, [] { return std::string("kept"); });
        failure = spawn([]() -> int { throw std::runtime_error("kept"); });
        sleeper = spawn([] { this_fiber::sleep_for(1h); });
        this_fiber::yield();
    });
    EXPECT_EQ(value.name(), "kept");
    sleeper.cancel();
    EXPECT_EQ(value.join(), "kept");
    EXPECT_THROW(failure.join(), std::runtime_error);
    EXPECT_THROW(sleeper.join(), cancelled);
}

TEST_F(run, may_return_a_handle) {
    fiber<int> worker = run_on(driver, [] {
        fiber<int> made = spawn([] { return 9; });
        this_fiber::yield();
        return made;
    });
    EXPECT_EQ(worker.join(), 9);
}

TEST_F(run, in_a_catch_block_and_during_unwinding_leaves_the_callers_exceptions_alone) {
    int results = 0;
    struct runs_at_end {
        fake_driver& driver;
        int& results;
        ~runs_at_end() {
            EXPECT_EQ(std::uncaught_exceptions(), 1);
            results += run_on(driver, [] {
                EXPECT_EQ(std::uncaught_exceptions(), 0);
                EXPECT_EQ(std::current_exception(), nullptr);
                fiber<int> worker = spawn([] {
                    this_fiber::sleep_for(1h);
                    return 0;
                });
                this_fiber::yield();
                worker.cancel();
                EXPECT_THROW(worker.join(), cancelled);
                return 1;
            });
            EXPECT_EQ(std::uncaught_exceptions(), 1);
        }
    };
    try {
        const runs_at_end at_end{driver, results};
        throw std::runtime_error("outer");
    } catch (const std::runtime_error& error) {
        results += run_on(driver, [] {
            EXPECT_EQ(std::current_exception(), nullptr);
            return 10;
        });
        EXPECT_STREQ(error.what(), "outer");
        EXPECT_NE(std::current_exception(), nullptr);
    }
    EXPECT_EQ(results, 11);
}

TEST_F(run, does_not_touch_the_errno_of_its_caller_more_than_the_function_does) {
    run_on(driver, [] {
        errno = 5;
        this_fiber::sleep_for(1s);
        EXPECT_EQ(errno, 5);
    });
}

TEST_F(run, sleeps_once_for_each_deadline_when_there_is_nothing_else) {
    const std::size_t before = driver.looks();
    run_on(driver, [] {
        for (int i = 0; i < 10; ++i)
            this_fiber::sleep_for(1h);
    });
    EXPECT_LE(driver.looks() - before, 12U);
    EXPECT_EQ(driver.elapsed(), 10h);
}

} // namespace
