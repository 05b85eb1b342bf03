// A fiber that does not pass coir::cancelled on only delays its end, and is named (hazard A4).

#include "child_process.hpp"
#include "sched/fake_driver.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>
#include <coir/with_timeout.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>

namespace {

using coir::cancelled;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

/// What is written to stderr by a loop in which a fiber named "swallower" calls `work`, and is cancelled.
std::string report_of(const std::function<void()>& work) {
    const auto end = in_child([&] {
        fake_driver driver;
        run_on(driver, [&] {
            fiber<void> swallower = spawn({.name = "swallower"}, work);
            this_fiber::yield();
            swallower.cancel();
            swallower.wait();
        });
        return driver.elapsed() < 1h && !testing::Test::HasFailure();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    return end.errors;
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++found;
    return found;
}

void swallow() {
    try {
        this_fiber::sleep_for(2h);
    } catch (...) {}
}

TEST(swallowed, cancellation_is_reported_once_by_name_and_the_fiber_still_ends) {
    const std::string report = report_of([] {
        for (int i = 0; i < 100; ++i)
            swallow();
    });
    EXPECT_EQ(count(report, "\n"), 1U) << report;
    EXPECT_EQ(count(report, "\"swallower\" has not passed on coir::cancelled"), 1U) << report;
    EXPECT_EQ(count(report, "and now calls this_fiber::sleep_until"), 1U) << report;
}

TEST(swallowed, is_not_what_a_fiber_does_that_ends_at_once) {
    EXPECT_EQ(report_of(swallow), "");
}

TEST(swallowed, is_not_a_call_in_a_handler_that_passes_it_on) {
    EXPECT_EQ(report_of([] {
                  try {
                      this_fiber::sleep_for(2h);
                  } catch (...) {
                      swallow();
                      swallow();
                      throw;
                  }
              }),
              "");
}

TEST(swallowed, is_not_what_library_code_does) {
    EXPECT_EQ(report_of([] {
                  struct has_a_fiber { // whose destructor waits
                      fiber<void> sleeper = spawn([] { this_fiber::sleep_for(2h); });
                  };
                  const has_a_fiber first;
                  coir::task_group group;
                  group.spawn([] { this_fiber::sleep_for(2h); });
                  const has_a_fiber second;
                  const coir::cancel_scope scope;
                  EXPECT_TRUE(coir::try_with_timeout(3h, [] { this_fiber::sleep_for(2h); }));
              }),
              "");
}

// An ended scope's cancellation has nothing to do with a later one.
TEST(swallowed, is_not_the_cancellation_of_a_scope_that_has_been_left) {
    const auto end = in_child([] {
        fake_driver driver;
        run_on(driver, [] {
            for (int i = 0; i < 5; ++i) {
                EXPECT_FALSE(coir::try_with_timeout(1s, [] { this_fiber::sleep_for(1h); }));
                coir::cancel_scope scope{1s};
                EXPECT_FALSE(scope.run([] { this_fiber::sleep_for(1h); }));
                this_fiber::sleep_for(1s);
                coir::cancel_scope by_hand{1s};
                try {
                    this_fiber::sleep_for(1h);
                } catch (const cancelled&) {
                    if (!by_hand.is_cause())
                        throw;
                }
            }
        });
        return !testing::Test::HasFailure();
    });
    EXPECT_TRUE(end.exited_well());
    EXPECT_EQ(end.errors, "");
}

// The fiber is cancelled meanwhile, and told so only after that.
TEST(swallowed, is_not_the_cancellation_of_a_scope_in_a_destructor_that_unwinds) {
    struct gives_up_at_end {
        ~gives_up_at_end() {
            EXPECT_FALSE(coir::try_with_timeout(1s, [] { this_fiber::sleep_for(2h); }));
        }
    };
    EXPECT_EQ(report_of([] {
                  try {
                      const gives_up_at_end at_end;
                      throw std::runtime_error("of the fiber's own");
                  } catch (const std::runtime_error&) {}
                  this_fiber::sleep_for(2h);
                  ADD_FAILURE();
              }),
              "");
}

TEST(swallowed, through_a_frame_that_waits_while_it_is_unwound_is_reported_as_well) {
    const std::string report = report_of([] {
        try {
            const fiber<void> sleeper = spawn([] { this_fiber::sleep_for(2h); });
            this_fiber::sleep_for(2h);
        } catch (...) {}
        swallow();
    });
    EXPECT_EQ(count(report, "swallower"), 1U) << report;
}

TEST(swallowed, failure_of_a_task_group_is_reported_too) {
    const auto end = in_child([] {
        fake_driver driver;
        run_on(driver, [] {
            try {
                coir::task_group group;
                group.spawn([] { throw std::runtime_error("failed"); });
                swallow();
                swallow();
                swallow();
            } catch (const std::runtime_error&) { // it comes at the end of the scope nevertheless
                return;
            }
            ADD_FAILURE();
        });
        return !testing::Test::HasFailure();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_EQ(count(end.errors, "\"main\" has not passed on the failure of its task group"), 1U) << end.errors;
}

// Code that never gives up does not keep the thread to itself: the others go on, and the loop gives up.
TEST(swallowed, for_ever_neither_starves_others_nor_outlives_the_shutdown_deadline) {
    const std::function<void()> never_give_up[] = {
        [] {
            for (;;)
                swallow();
        },
        [] {
            for (;;) {
                try {
                    this_fiber::yield();
                } catch (...) {}
            }
        },
        [] {
            std::error_code error;
            for (;;)
                this_fiber::sleep_for(1h, error);
        },
        [] {
            for (;;) {
                try {
                    coir::task_group group;
                    group.spawn([] {});
                } catch (...) {}
            }
        },
    };
    for (const auto& work : never_give_up) {
        const auto end = in_child([&work] {
            fake_driver driver;
            driver.advance_at_each_look(1ms);
            bool other_ended = false;
            run_on(driver,
                   [&] {
                       fiber<void> stubborn = spawn({.name = "stubborn"}, work);
                       this_fiber::yield();
                       stubborn.cancel();
                       spawn([] { this_fiber::sleep_for(1s); }).join();
                       other_ended = true;
                       stubborn.detach();
                   },
                   {.shutdown_deadline = 1s});
            return other_ended;
        });
        EXPECT_TRUE(end.exited_well()) << end.errors;
        EXPECT_TRUE(
            end.says("\"stubborn\" has not ended by the shutdown deadline, and is given up; it is ready to run"))
            << end.errors;
    }
}

TEST(swallowed, and_then_told_by_error_codes_is_reported_as_well) {
    const std::string report = report_of([] {
        swallow();
        std::error_code error;
        for (int i = 0; i < 100; ++i) {
            this_fiber::sleep_until(2h, error);
            EXPECT_EQ(error, std::errc::operation_canceled);
        }
    });
    EXPECT_EQ(count(report, "\n"), 1U) << report;
    EXPECT_EQ(count(report, "\"swallower\" has not passed on coir::cancelled"), 1U) << report;
}

TEST(swallowed, is_not_who_is_told_by_error_codes_and_puts_things_in_order) {
    EXPECT_EQ(report_of([] {
                  std::error_code error;
                  for (int i = 0; i < 100; ++i)
                      this_fiber::sleep_until(2h, error);
              }),
              "");
}

TEST(swallowed, is_who_is_told_by_error_codes_only_and_never_listens) {
    const std::string report = report_of([] {
        std::error_code error;
        for (int i = 0; i < 1000; ++i)
            this_fiber::sleep_until(2h, error);
    });
    EXPECT_EQ(count(report, "\n"), 1U) << report;
    EXPECT_EQ(count(report, "\"swallower\" has been cancelled, which blocking calls have told it by error codes"), 1U)
        << report;
}

TEST(swallowed, is_not_who_is_told_by_error_codes_in_many_scopes) {
    const auto end = in_child([] {
        fake_driver driver;
        run_on(driver, [] {
            std::error_code error;
            for (int i = 0; i < 100; ++i) {
                const coir::cancel_scope scope{1s};
                for (int call = 0; call < 3; ++call)
                    this_fiber::sleep_for(1h, error);
            }
        });
        return true;
    });
    EXPECT_TRUE(end.exited_well());
    EXPECT_EQ(end.errors, "");
}

} // namespace
