// Detached fibers: nobody will ask for their result, so what goes wrong in them ends the program, and says where (hazard A6).

#include "child_process.hpp"
#include "emulation.hpp"
#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <unwind.h>
#include <utility>
#include <vector>

namespace {

using coir::fiber;
using coir::fiber_options;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using detach = coir::detail::with_fake_driver;

TEST_F(detach, lets_the_fiber_run_on) {
    int steps = 0;
    run_on(driver, [&] {
        fiber<void> worker = spawn([&] {
            ++steps;
            this_fiber::sleep_for(1s);
            ++steps;
        });
        worker.detach();
        EXPECT_FALSE(worker.joinable());
        EXPECT_EQ(worker.id(), 0U);
        this_fiber::sleep_for(2s);
    });
    EXPECT_EQ(steps, 2);
}

// A session that takes itself out of the table of sessions.
TEST_F(detach, lets_a_fiber_part_with_its_own_handle) {
    std::vector<std::unique_ptr<fiber<void>>> table;
    bool went_on = false;
    run_on(driver, [&] {
        table.push_back(std::make_unique<fiber<void>>());
        *table.back() = spawn([&] {
            this_fiber::yield();
            table.back()->detach();
            table.clear();
            this_fiber::sleep_for(1s);
            went_on = true;
        });
        this_fiber::sleep_for(2s);
    });
    EXPECT_TRUE(went_on);
}

TEST(detaching, is_what_a_fiber_that_destroys_its_own_handle_has_forgotten) {
    const std::function<void(fiber<void>&)> destructions[] = {
        [](fiber<void>& mine) { const fiber<void> ends_here = std::move(mine); },
        [](fiber<void>& mine) { mine = {}; },
    };
    for (const auto& destroy : destructions) {
        const auto end = in_child([&] {
            fake_driver driver;
            run_on(driver, [&] {
                fiber<void> mine;
                mine = spawn({.name = "session"}, [&] { destroy(mine); });
                this_fiber::sleep_for(1s);
            });
            return true;
        });
        EXPECT_TRUE(end.was_killed_by(SIGABRT)) << end.status;
        EXPECT_TRUE(end.says("\"session\" destroys its own handle, which would wait for ever; detach() it first"))
            << end.errors;
    }
}

TEST_F(detach, discards_the_result) {
    const auto alive = std::make_shared<int>(0);
    run_on(driver, [&] {
        spawn([alive] { return alive; }).detach();
        fiber<std::shared_ptr<int>> ended = spawn([alive] { return alive; });
        this_fiber::yield();
        EXPECT_EQ(alive.use_count(), 2); // in `ended`
        ended.detach();
        EXPECT_EQ(alive.use_count(), 1);
    });
}

TEST_F(detach, leaves_those_who_wait_for_the_fiber_waiting_for_its_end) {
    run_on(driver, [this] {
        fiber<void> worker = spawn([] { this_fiber::sleep_for(1s); });
        fiber<void> waiter = spawn([&] { EXPECT_TRUE(worker.wait()); });
        this_fiber::yield();
        worker.detach();
        waiter.join();
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(detach, is_no_obstacle_to_cancellation_at_the_end_of_the_loop) {
    bool unwound = false;
    run_on(driver, [&] {
        spawn([&] {
            struct sets {
                bool& value;
                ~sets() { value = true; }
            } const at_end{unwound};
            this_fiber::sleep_for(1h);
        }).detach();
        this_fiber::yield();
    });
    EXPECT_TRUE(unwound);
}

TEST_F(detach, of_ten_thousand_frees_them_all) {
    const auto alive = std::make_shared<int>(0);
    run_on(driver, [&] {
        for (int i = 0; i < 10'000; ++i)
            spawn([alive] { this_fiber::yield(); }).detach();
        EXPECT_EQ(alive.use_count(), 10'001);
        this_fiber::sleep_for(1s);
        EXPECT_EQ(alive.use_count(), 1);
    });
}

[[gnu::noinline]] void throws_in_depth() {
    throw std::runtime_error("what went wrong");
}

/// Says on stderr whether throws_in_depth() is still on the stack.
void report_stack() {
    _Unwind_Backtrace(
        [](_Unwind_Context* frame, void* /*argument*/) {
            std::uintptr_t thrower = 0;
            void (*const function)() = throws_in_depth;
            std::memcpy(&thrower, &function, sizeof thrower);
            if (_Unwind_GetRegionStart(frame) == thrower)
                std::fputs("the throw site is on the stack\n", stderr);
            return _URC_NO_REASON;
        },
        nullptr);
    std::abort();
}

/// Runs `main` in a child process with a terminate handler that looks at the stack.
child_end run_with_handler(void (*main)()) {
    return in_child([=] {
        std::set_terminate(report_stack);
        fake_driver its_driver;
        run_on(its_driver, main);
        return true;
    });
}

void expect_termination(const child_end& end) {
    EXPECT_TRUE(end.was_killed_by(SIGABRT)) << end.status;
    EXPECT_TRUE(end.says("coir: fiber ")) << end.errors;
    EXPECT_TRUE(end.says("\"unlucky\"")) << end.errors;
    EXPECT_TRUE(end.says("the throw site is on the stack")) << end.errors;
}

TEST_F(detach, makes_an_exception_end_the_program_at_the_throw_site) {
    expect_termination(run_with_handler([] {
        spawn(fiber_options{.name = "unlucky"}, throws_in_depth).detach();
        this_fiber::sleep_for(1s);
    }));
}

TEST_F(detach, after_the_start_makes_an_exception_end_the_program_at_the_throw_site) {
    expect_termination(run_with_handler([] {
        fiber<void> worker = spawn(fiber_options{.name = "unlucky"}, [] {
            this_fiber::sleep_for(1s);
            throws_in_depth();
        });
        this_fiber::yield();
        worker.detach();
        this_fiber::sleep_for(2s);
    }));
}

TEST_F(detach, makes_the_usual_handler_say_what) {
    const auto end = in_child([] {
        fake_driver its_driver;
        run_on(its_driver, [] {
            spawn(fiber_options{.name = "unlucky"}, throws_in_depth).detach();
            this_fiber::sleep_for(1s);
        });
        return true;
    });
    EXPECT_TRUE(end.was_killed_by(SIGABRT));
    EXPECT_TRUE(end.says("\"unlucky\"")) << end.errors;
    EXPECT_TRUE(end.says("what went wrong")) << end.errors;
}

TEST_F(detach, does_not_make_exceptions_fatal_that_are_caught_inside) {
    run_on(driver, [] {
        bool caught = false;
        spawn([&] {
            try {
                throws_in_depth();
            } catch (const std::runtime_error&) {
                caught = true;
            }
        }).detach();
        this_fiber::yield();
        EXPECT_TRUE(caught);
    });
}

// Between the throw and the end of the fiber a destructor waits, and meanwhile the handle goes: the exception, which was
// meant for join(), has nobody to go to any more. It must not vanish.
TEST_F(detach, while_an_exception_unwinds_the_fiber_does_not_hide_it) {
    const auto end = in_child([] {
        fake_driver its_driver;
        run_on(its_driver, [] {
            fiber<void> worker = spawn(fiber_options{.name = "unlucky"}, [] {
                struct sleeps {
                    ~sleeps() { this_fiber::sleep_for(1s); }
                } const at_end;
                throws_in_depth();
            });
            this_fiber::yield();
            worker.detach();
            this_fiber::sleep_for(2s);
        });
        return true;
    });
    EXPECT_TRUE(end.says("\"unlucky\"")) << end.errors;
}

TEST_F(detach, of_a_fiber_that_has_failed_does_not_hide_it) {
    const auto end = in_child([] {
        fake_driver its_driver;
        run_on(its_driver, [] {
            fiber<void> worker = spawn(fiber_options{.name = "unlucky"}, throws_in_depth);
            worker.wait();
            worker.detach();
        });
        return true;
    });
    EXPECT_TRUE(end.says("\"unlucky\"")) << end.errors;
}

TEST_F(detach, destroying_the_handle_instead_reports_the_failure_in_one_line) {
    const auto end = in_child([] {
        fake_driver its_driver;
        run_on(its_driver, [] {
            const fiber<void> worker = spawn(fiber_options{.name = "unlucky"}, throws_in_depth);
            this_fiber::yield();
        });
        return true;
    });
    EXPECT_TRUE(end.exited_well());
    EXPECT_TRUE(end.says("\"unlucky\"")) << end.errors;
    EXPECT_TRUE(end.says("what went wrong")) << end.errors;
}

TEST_F(detach, of_a_cancelled_fiber_ends_in_silence) {
    const auto end = in_child([] {
        fake_driver its_driver;
        run_on(its_driver, [] {
            fiber<void> worker = spawn([] { this_fiber::sleep_for(1h); });
            this_fiber::yield();
            worker.cancel();
            worker.detach();
            this_fiber::sleep_for(1s);
        });
        return true;
    });
    EXPECT_TRUE(end.exited_well());
    EXPECT_EQ(end.errors, "");
}

TEST_F(detach, by_the_fiber_itself_works) {
    run_on(driver, [] {
        fiber<int> itself;
        itself = spawn([&] {
            itself.detach();
            this_fiber::yield();
            return 1;
        });
        this_fiber::sleep_for(1s);
        EXPECT_FALSE(itself.joinable());
    });
}

// Loops may be run late, by the destructor of a static object, and must still know which exceptions are whose.
TEST_F(detach, and_join_still_work_while_the_process_exits) {
    use_fresh_processes();
    const auto test = [] {
        struct late {
            ~late() {
                fake_driver its_driver;
                bool caught = false;
                run_on(its_driver, [&] {
                    try {
                        spawn(throws_in_depth).join();
                    } catch (const std::runtime_error&) {
                        caught = true;
                    }
                });
                std::_Exit(caught ? 0 : 2);
            }
        };
        static late remaining;
        fake_driver its_driver;
        run_on(its_driver, [] { spawn([] {}).join(); });
        std::exit(1);
    };
    EXPECT_EXIT(test(), testing::ExitedWithCode(0), "");
}

} // namespace
