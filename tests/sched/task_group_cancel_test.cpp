// What cancels a task group, and what of it is told to whom.

#include "sched/fake_driver.hpp"
#include "sched/group_members.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>
#include <coir/with_timeout.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace {

using coir::cancel_scope;
using coir::cancelled;
using coir::fiber;
using coir::spawn;
using coir::task_group;
using coir::detail::run_on;
using coir::test::fail_after;
using coir::test::failure;
using coir::test::sleep_and_tell;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using a_task_group = coir::detail::with_fake_driver;

// Cancellation that is on its way to a scope inside the group is overtaken by the failure: it must not leave the group.
TEST_F(a_task_group, that_fails_while_a_scope_inside_it_unwinds_throws_the_failure) {
    struct sleeps_at_end {
        ~sleeps_at_end() { this_fiber::sleep_for(2s); }
    };
    const auto work = [] {
        const sleeps_at_end at_end;
        this_fiber::sleep_for(1h);
    };
    run_on(driver, [&] {
        const bool in_time = coir::try_with_timeout(1h, [&] {
            try {
                task_group group;
                group.spawn(fail_after, 2s, "member");
                coir::with_timeout(1s, work);
                FAIL();
            } catch (const failure& error) {
                EXPECT_STREQ(error.what(), "member");
            }
        });
        EXPECT_TRUE(in_time);
        EXPECT_THROW(
            {
                task_group group;
                group.spawn(fail_after, 2s, "member");
                cancel_scope scope{1s};
                scope.run(work);
            },
            failure);
        EXPECT_EQ(driver.elapsed(), 6s);
        this_fiber::yield();
    });
}

// It is the group's, and not that of a scope in a destructor that it runs, or behind a shield.
TEST_F(a_task_group, whose_failure_is_thrown_elsewhere_leaves_timeouts_what_they_are) {
    struct times_out_at_end {
        ~times_out_at_end() {
            EXPECT_FALSE(coir::try_with_timeout(1s, [] { this_fiber::sleep_for(1h); }));
        }
    };
    run_on(driver, [this] {
        EXPECT_THROW(
            {
                task_group group;
                group.spawn(fail_after, 1s, "member");
                const times_out_at_end at_end;
                this_fiber::sleep_for(1h);
            },
            failure);
        EXPECT_EQ(driver.elapsed(), 2s);
        bool timed_out = false;
        EXPECT_THROW(
            {
                task_group group;
                group.spawn(fail_after, 1s, "member");
                {
                    const coir::shield in_peace;
                    timed_out = !coir::try_with_timeout(2s, [] { this_fiber::sleep_for(1h); });
                }
                this_fiber::sleep_for(1h);
            },
            failure);
        EXPECT_TRUE(timed_out);
        EXPECT_EQ(driver.elapsed(), 4s);
    });
}

TEST_F(a_task_group, that_fails_in_a_cancelled_fiber_does_not_hide_the_cancellation) {
    run_on(driver, [] {
        fiber<void> worker = spawn([] {
            task_group group;
            group.spawn([] {
                const coir::shield in_peace;
                fail_after(1s, "member");
            });
            {
                const coir::shield in_peace;
                this_fiber::sleep_for(3s);
            }
            this_fiber::sleep_for(1h);
        });
        this_fiber::sleep_for(2s);
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
    });
}

TEST_F(a_task_group, is_cancelled_as_a_whole_from_anywhere) {
    run_on(driver, [] {
        std::string log;
        bool opener_told = false;
        task_group group;
        group.spawn([&] { sleep_and_tell(1h, log); });
        group.spawn([&] {
            this_fiber::sleep_for(1s);
            group.cancel();
            group.cancel();
        });
        try {
            this_fiber::sleep_for(1h);
        } catch (const cancelled&) {
            opener_told = true;
        }
        EXPECT_TRUE(opener_told);
        EXPECT_THROW(group.spawn([] {}), cancelled);
    });
    EXPECT_EQ(driver.elapsed(), 1s);
}

TEST_F(a_task_group, ends_its_own_cancellation_in_join) {
    run_on(driver, [this] {
        std::string log;
        task_group group;
        for (int round = 0; round < 2; ++round) { // it can be used again
            for (int i = 1; i <= 3; ++i)
                group.spawn([&, i] {
                    sleep_and_tell(std::chrono::seconds{i}, log);
                    group.cancel();
                });
            group.join();
        }
        EXPECT_EQ(log, "slept cancelled cancelled slept cancelled cancelled ");
        EXPECT_EQ(driver.elapsed(), 2s);
        this_fiber::sleep_for(1s); // and so can blocking calls
        EXPECT_FALSE(this_fiber::cancel_requested());
        group.cancel(); // by nobody else
        group.join();
    });
}

TEST_F(a_task_group, that_is_cancelled_and_joined_passes_on_what_comes_from_further_out) {
    run_on(driver, [] {
        bool went_on = false;
        fiber<void> worker = spawn([&] {
            task_group group;
            group.spawn([&] { this_fiber::sleep_for(1h); });
            this_fiber::yield();
            group.cancel();
            group.join();
            went_on = true;
        });
        this_fiber::yield();
        worker.cancel(); // in between
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_FALSE(went_on);
        EXPECT_FALSE(coir::try_with_timeout(1s, [&] {
            task_group group;
            group.spawn([&] {
                const coir::shield in_peace;
                this_fiber::sleep_for(2s);
                group.cancel();
            });
            group.join();
            went_on = true;
        }));
        EXPECT_FALSE(went_on);
        // A failure is one, whoever has cancelled.
        task_group group;
        group.spawn([&] {
            group.cancel();
            throw failure("failed");
        });
        EXPECT_THROW(group.join(), failure);
    });
}

TEST_F(a_task_group, goes_on_when_a_scope_inside_it_ends_the_waiting_in_join) {
    run_on(driver, [this] {
        std::string log;
        task_group group;
        group.spawn([&] { sleep_and_tell(2s, log); });
        group.spawn([&] { sleep_and_tell(1h, log); });
        group.spawn([&] {
            const coir::shield in_peace;
            sleep_and_tell(5s, log);
        });
        EXPECT_FALSE(coir::try_with_timeout(1s, [&] { group.join(); }));
        EXPECT_EQ(driver.elapsed(), 1s);
        EXPECT_FALSE(this_fiber::cancel_requested());
        const bool in_time = coir::try_with_timeout(1h, [&] {
            EXPECT_FALSE(coir::try_with_timeout(2s, [&] { group.join(); }));
            coir::cancel_scope cancelled_before;
            EXPECT_FALSE(cancelled_before.run([&] {
                cancelled_before.cancel();
                group.join();
            }));
            EXPECT_EQ(driver.elapsed(), 3s);
            EXPECT_EQ(log, "slept ");
            EXPECT_EQ(group.size(), 2U);
            group.cancel(); // reaches the members, one of which is slow to end
            EXPECT_TRUE(coir::try_with_timeout(1s, [&] { group.join(); }));
        });
        EXPECT_TRUE(in_time);
        EXPECT_EQ(log, "slept cancelled slept ");
    });
    EXPECT_EQ(driver.elapsed(), 5s);
}

// While it joins the outer one, of which a member is slow to end.
TEST_F(a_task_group, opened_inside_another_that_is_joined_is_reached_by_what_cancels_that_one) {
    run_on(driver, [this] {
        std::string log;
        fiber<void> worker = spawn([&] {
            task_group outer;
            outer.spawn([] {
                const coir::shield in_peace;
                this_fiber::sleep_for(5s);
            });
            task_group inner;
            inner.spawn([&] {
                try {
                    this_fiber::sleep_for(1h);
                } catch (const cancelled&) {
                    EXPECT_EQ(driver.elapsed(), 1s);
                    log += "cancelled ";
                    throw;
                }
            });
            outer.join();
        });
        this_fiber::sleep_for(1s);
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(log, "cancelled ");
        EXPECT_EQ(driver.elapsed(), 5s);
        log.clear();
        task_group outer;
        task_group inner;
        inner.spawn([&] { sleep_and_tell(1h, log); });
        outer.spawn([&] { outer.cancel(); });
        outer.join();
        inner.join();
        EXPECT_EQ(log, "cancelled ");
        EXPECT_EQ(driver.elapsed(), 5s);
    });
}

TEST_F(a_task_group, is_reached_by_cancellation_of_the_opener_and_of_scopes_around_it) {
    run_on(driver, [this] {
        std::string log;
        fiber<void> worker = spawn([&] {
            task_group group;
            group.spawn([&] { sleep_and_tell(1h, log); });
            group.join();
            log += "went on ";
        });
        this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(log, "cancelled ");

        log.clear();
        EXPECT_THROW(coir::with_timeout(1s,
                                        [&] {
                                            task_group group;
                                            group.spawn([&] { sleep_and_tell(1h, log); });
                                            const cancel_scope around_nobody_else{1h};
                                            group.join();
                                        }),
                     coir::timed_out);
        EXPECT_EQ(log, "cancelled ");
        EXPECT_EQ(driver.elapsed(), 1s);
        // A scope that the opener enters later is not around the members.
        log.clear();
        task_group group;
        group.spawn([&] { sleep_and_tell(5s, log); });
        cancel_scope inside{1s};
        EXPECT_FALSE(inside.run([] { this_fiber::sleep_for(1h); }));
        group.join();
        EXPECT_EQ(log, "slept ");
    });
}

TEST_F(a_task_group, inside_a_member_is_reached_through_all_that_are_around_it) {
    run_on(driver, [this] {
        std::string log;
        fiber<void> worker = spawn([&] {
            task_group outer;
            outer.spawn([&] {
                task_group middle;
                middle.spawn([&] {
                    const cancel_scope scope;
                    task_group inner;
                    inner.spawn([&] { sleep_and_tell(1h, log); });
                    inner.spawn([&] {
                        const coir::shield in_peace;
                        sleep_and_tell(3s, log);
                    });
                });
                middle.spawn([&] { sleep_and_tell(1h, log); });
            });
        });
        this_fiber::sleep_for(1s);
        worker.cancel();
        worker.join();
        EXPECT_EQ(log, "cancelled cancelled slept ");
        EXPECT_EQ(driver.elapsed(), 3s);
    });
}

// Its opener may spawn nevertheless: behind a shield.
TEST_F(a_task_group, opened_when_the_fiber_has_been_cancelled_cancels_its_members) {
    run_on(driver, [this] {
        std::string log;
        fiber<void> worker = spawn([&] {
            EXPECT_THROW(this_fiber::sleep_for(1h), cancelled);
            task_group group;
            const coir::shield in_peace; // around none of the members
            group.spawn([&] { sleep_and_tell(1h, log); });
            this_fiber::sleep_for(1s);
        });
        this_fiber::yield();
        worker.cancel();
        worker.join();
        EXPECT_EQ(log, "cancelled ");
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

// Where the opener's own calls complete, too.
TEST_F(a_task_group, in_a_destructor_of_a_cancelled_fiber_does_its_work) {
    struct runs_members_at_end {
        std::string& log;
        ~runs_members_at_end() {
            {
                task_group group;
                group.spawn([&] {
                    task_group inside;
                    inside.spawn([&] { sleep_and_tell(1s, log); });
                });
                group.spawn([&] { sleep_and_tell(2s, log); });
                group.join();
            }
            EXPECT_FALSE(coir::try_with_timeout(1s, [&] {
                task_group group;
                group.spawn([&] { sleep_and_tell(1h, log); });
                group.join();
            }));
            task_group group;
            task_group inside;
            inside.spawn([&] { sleep_and_tell(1h, log); });
            group.spawn([&] { sleep_and_tell(1h, log); });
            group.spawn([&] { group.cancel(); });
            group.join();
        }
    };
    run_on(driver, [this] {
        std::string log;
        const auto work = [&] {
            const runs_members_at_end at_end{log};
            this_fiber::sleep_for(1s);
        };
        fiber<void> before = spawn(work);
        this_fiber::yield();
        before.cancel();
        EXPECT_THROW(before.join(), cancelled);
        EXPECT_EQ(log, "slept slept cancelled cancelled cancelled ");
        EXPECT_EQ(driver.elapsed(), 3s);
        log.clear();
        EXPECT_FALSE(coir::try_with_timeout(500ms, work));
        EXPECT_EQ(log, "slept slept cancelled cancelled cancelled ");
        EXPECT_EQ(driver.elapsed(), 6500ms);
    });
}

} // namespace
