#include "child_process.hpp"
#include "sched/fake_driver.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/exception_group.hpp>
#include <coir/fiber.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>

namespace {

using coir::exception_group;
using coir::fiber;
using coir::spawn;
using coir::task_group;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using an_exception_group = coir::detail::with_fake_driver;

std::string messages(const exception_group& failures) {
    std::string all;
    for (const std::exception_ptr& each : failures) {
        try {
            std::rethrow_exception(each);
        } catch (const std::exception& error) {
            all += error.what();
        }
    }
    return all;
}

/// Fails, and goes on failing while it is cancelled.
void fail_with(const char* what, std::chrono::milliseconds after) {
    const coir::shield in_peace;
    this_fiber::sleep_for(after);
    throw std::runtime_error(what);
}

void fail_thrice() {
    task_group group;
    group.spawn(fail_with, "a", 1s);
    group.spawn(fail_with, "b", 2s);
    group.spawn(fail_with, "c", 3s);
}

TEST_F(an_exception_group, has_all_failures_in_order_where_the_first_is_handled) {
    run_on(driver, [] {
        try {
            fail_thrice();
            FAIL();
        } catch (const std::runtime_error& first) {
            EXPECT_STREQ(first.what(), "a");
            const exception_group all = exception_group::current();
            EXPECT_EQ(messages(all), "abc");
            EXPECT_EQ(all.size(), 3U);
            EXPECT_FALSE(all.empty());
            EXPECT_EQ(all.front(), std::current_exception());
        }
        EXPECT_TRUE(exception_group::current().empty()); // not in a handler any more
        EXPECT_EQ(exception_group::current().begin(), exception_group::current().end());
    });
}

TEST_F(an_exception_group, is_there_however_the_failure_is_thrown) {
    run_on(driver, [] {
        const auto handled = [](auto leave) {
            try {
                task_group group;
                group.spawn(fail_with, "a", 1s);
                group.spawn(fail_with, "b", 2s);
                leave(group);
            } catch (const std::runtime_error&) {
                return messages(exception_group::current());
            }
            return std::string("nothing");
        };
        EXPECT_EQ(handled([](task_group&) {}), "ab");
        EXPECT_EQ(handled([](task_group& group) { group.join(); }), "ab");
        EXPECT_EQ(handled([](task_group&) { this_fiber::sleep_for(1h); }), "ab");
        EXPECT_EQ(handled([](task_group& group) {
                      try {
                          this_fiber::sleep_for(1h);
                      } catch (const std::runtime_error&) {
                          // Inside the scope, too, as far as they are known.
                          EXPECT_EQ(messages(exception_group::current()).substr(0, 1), "a");
                          EXPECT_EQ(messages(group.failures()).substr(0, 1), "a");
                          throw;
                      }
                  }),
                  "ab");
    });
}

TEST_F(an_exception_group, goes_along_through_join_and_run) {
    run_on(driver, [] {
        fiber<void> worker = spawn(fail_thrice);
        try {
            worker.join();
            FAIL();
        } catch (const std::runtime_error&) {
            EXPECT_EQ(messages(exception_group::current()), "abc");
        }
    });
    try {
        run_on(driver, fail_thrice);
        FAIL();
    } catch (const std::runtime_error&) {
        EXPECT_EQ(messages(exception_group::current()), "abc");
    }
    EXPECT_TRUE(exception_group::current().empty());
}

TEST_F(an_exception_group, of_a_group_inside_becomes_part_of_the_one_outside) {
    run_on(driver, [] {
        try {
            task_group outer;
            outer.spawn(fail_with, "x", 500ms);
            outer.spawn(fail_thrice);
            outer.spawn([] {
                fiber<void> worker = spawn(fail_thrice);
                const coir::shield in_peace;
                worker.join();
            });
        } catch (const std::runtime_error&) {
            EXPECT_EQ(messages(exception_group::current()), "xabcabc");
        }
    });
}

TEST_F(an_exception_group, is_that_of_the_exception_being_handled_and_of_no_other) {
    run_on(driver, [] {
        try {
            fail_thrice();
        } catch (const std::runtime_error&) {
            try {
                throw std::logic_error("another");
            } catch (const std::logic_error&) {
                EXPECT_TRUE(exception_group::current().empty());
            }
            EXPECT_EQ(messages(exception_group::current()), "abc");
            // Another fiber's handler has another.
            EXPECT_TRUE(spawn([] { return exception_group::current().empty(); }).join());
        }
    });
}

TEST_F(an_exception_group, may_be_kept_and_is_cheap_to_copy) {
    exception_group kept;
    EXPECT_TRUE(kept.empty());
    EXPECT_EQ(kept.size(), 0U);
    run_on(driver, [&] {
        try {
            fail_thrice();
        } catch (const std::runtime_error&) {
            kept = exception_group::current();
        }
    });
    EXPECT_EQ(messages(kept), "abc");
}

// Leaving by an exception of its own, the body cannot throw theirs as well.
TEST_F(an_exception_group, that_is_thrown_nowhere_is_reported) {
    const auto end = in_child([] {
        fake_driver driver;
        run_on(driver, [] {
            try {
                task_group group;
                group.spawn(fail_with, "lost one", 1s);
                this_fiber::yield();
                throw std::logic_error("of the body");
            } catch (const std::logic_error&) {
                EXPECT_TRUE(exception_group::current().empty());
            }
            try {
                fail_thrice();
            } catch (const std::runtime_error&) { // handled: nothing to report
            }
            // After join() has thrown, the end of the scope does not throw once more, and the group takes nobody.
            task_group group;
            group.spawn(fail_with, "known", 1s);
            EXPECT_THROW(group.join(), std::runtime_error);
            EXPECT_THROW(group.spawn([] { ADD_FAILURE(); }), std::runtime_error);
        });
        return !testing::Test::HasFailure();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_TRUE(end.says("thrown nowhere: lost one")) << end.errors;
    EXPECT_FALSE(end.says("known")) << end.errors;
    EXPECT_FALSE(end.says("of the body")) << end.errors;
}

TEST_F(an_exception_group, of_which_join_has_thrown_the_first_reports_those_that_come_later) {
    const auto end = in_child([] {
        fake_driver driver;
        run_on(driver, [] {
            task_group group;
            group.spawn(fail_with, "known", 1s);
            EXPECT_THROW(group.join(), std::runtime_error);
            const coir::shield in_peace; // who is told of the failure could not spawn
            group.spawn([] { throw std::runtime_error("late one"); });
        });
        return !testing::Test::HasFailure();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_TRUE(end.says("thrown nowhere: late one")) << end.errors;
    EXPECT_FALSE(end.says("known")) << end.errors;
}

} // namespace
