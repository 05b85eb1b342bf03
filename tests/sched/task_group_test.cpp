#include "sched/fake_driver.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>
#include <coir/with_timeout.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace {

using coir::cancel_scope;
using coir::cancelled;
using coir::fiber;
using coir::spawn;
using coir::task_group;
using coir::detail::fake_driver;
using coir::detail::fake_source;
using coir::detail::run_on;
using coir::detail::wake_reason;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using a_task_group = coir::detail::with_fake_driver;

struct failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void fail_after(std::chrono::seconds time, const char* what) {
    this_fiber::sleep_for(time);
    throw failure(what);
}

/// Sleeps, and says whether it was let.
void sleep_and_tell(std::chrono::seconds time, std::string& log) {
    try {
        this_fiber::sleep_for(time);
        log += "slept ";
    } catch (const cancelled&) {
        log += "cancelled ";
        throw;
    }
}

TEST_F(a_task_group, waits_at_the_end_of_its_scope_for_all) {
    run_on(driver, [this] {
        std::array<int, 3> squares{}; // the members borrow it
        {
            task_group group;
            for (int i = 0; i < 3; ++i)
                group.spawn([&, i] {
                    this_fiber::sleep_for(std::chrono::seconds{3 - i});
                    squares.at(static_cast<std::size_t>(i)) = i * i;
                });
            EXPECT_EQ(group.size(), 3U);
        }
        EXPECT_EQ(squares, (std::array<int, 3>{0, 1, 4}));
        EXPECT_EQ(driver.elapsed(), 3s);
        const task_group of_nobody;
        EXPECT_EQ(of_nobody.size(), 0U);
    });
}

TEST_F(a_task_group, waits_in_join_and_can_be_used_again) {
    run_on(driver, [] {
        int ended = 0;
        task_group group;
        for (int round = 1; round <= 3; ++round) {
            for (int i = 0; i < 5; ++i)
                group.spawn([&ended] {
                    this_fiber::sleep_for(1s);
                    ++ended;
                });
            group.join();
            EXPECT_EQ(ended, 5 * round);
            EXPECT_EQ(group.size(), 0U);
        }
        group.join();
    });
}

TEST_F(a_task_group, gives_members_names_arguments_and_stacks) {
    run_on(driver, [] {
        std::string name;
        int sum = 0;
        task_group group;
        group.spawn(
            {.name = "adder", .stack_size = 1 << 20},
            [&](int a, std::unique_ptr<int> b) {
                static_cast<volatile char*>(__builtin_alloca(700'000))[0] = 1;
                name = this_fiber::name();
                sum = a + *b;
            },
            1, std::make_unique<int>(2));
        group.join();
        EXPECT_EQ(name, "adder");
        EXPECT_EQ(sum, 3);
    });
}

TEST_F(a_task_group, cancels_the_others_when_one_fails_and_throws_its_exception_at_the_end) {
    run_on(driver, [this] {
        std::string log;
        try {
            task_group group;
            group.spawn([&] { sleep_and_tell(1s, log); });
            group.spawn(fail_after, 2s, "the second");
            group.spawn([&] { sleep_and_tell(1h, log); });
        } catch (const failure& error) {
            log += error.what();
        }
        EXPECT_EQ(log, "slept cancelled the second");
        EXPECT_EQ(driver.elapsed(), 2s);
        EXPECT_FALSE(this_fiber::cancel_requested());
        this_fiber::sleep_for(1s);
    });
}

TEST_F(a_task_group, throws_the_failure_from_join) {
    run_on(driver, [] {
        std::string log;
        try {
            task_group group;
            group.spawn(fail_after, 1s, "failed");
            group.spawn([&] { sleep_and_tell(1h, log); });
            try {
                group.join();
            } catch (const failure& error) {
                log += error.what(); // all have ended
                EXPECT_EQ(group.size(), 0U);
                throw;
            }
        } catch (const failure&) {
            log += " once";
        }
        EXPECT_EQ(log, "cancelled failed once");
        // Handled there, it is not thrown a second time.
        task_group group;
        group.spawn(fail_after, 0s, "failed");
        EXPECT_THROW(group.join(), failure);
    });
    EXPECT_EQ(driver.elapsed(), 1s);
}

TEST_F(a_task_group, throws_the_failure_from_blocking_calls_of_its_opener) {
    run_on(driver, [this] {
        fake_source source;
        fiber<void> other = spawn([] { this_fiber::sleep_for(1h); });
        int thrown = 0;
        const auto count = [&thrown](auto call) {
            try {
                call();
            } catch (const failure& error) {
                EXPECT_STREQ(error.what(), "early");
                ++thrown;
            }
        };
        EXPECT_THROW(
            {
                task_group group;
                group.spawn(fail_after, 1s, "early");
                count([] { this_fiber::sleep_for(1min); });
                EXPECT_EQ(driver.elapsed(), 1s);
                count([] { this_fiber::yield(); });
                count([&] { other.join(); });
                count([&] { group.spawn([] {}); });
                std::error_code error;
                this_fiber::sleep_for(1min, error);
                EXPECT_EQ(error, std::errc::operation_canceled);
                EXPECT_EQ(source.wait(), wake_reason::cancelled);
                // A call in an inner scope, too: it is not that one's cancellation.
                count([] { coir::with_timeout(1min, [] { this_fiber::yield(); }); });
            },
            failure);
        EXPECT_EQ(thrown, 5);
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

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

TEST_F(a_task_group, whose_body_leaves_by_an_exception_cancels_and_awaits_the_members) {
    run_on(driver, [this] {
        std::string log;
        try {
            task_group group;
            group.spawn([&] { sleep_and_tell(1h, log); });
            group.spawn([&] {
                const coir::shield in_peace; // takes its time
                this_fiber::sleep_for(2s);
                log += "slow ";
            });
            this_fiber::yield();
            throw std::logic_error("of the body");
        } catch (const std::logic_error& error) {
            log += error.what();
        }
        EXPECT_EQ(log, "cancelled slow of the body");
        EXPECT_EQ(driver.elapsed(), 2s);
    });
}

TEST_F(a_task_group, may_be_left_by_return_and_break) {
    run_on(driver, [this] {
        const auto returns = [] {
            task_group group;
            group.spawn([] { this_fiber::sleep_for(1s); });
            return std::make_unique<int>(5);
        };
        EXPECT_EQ(*returns(), 5);
        for (;;) {
            task_group group;
            group.spawn([] { this_fiber::sleep_for(1s); });
            break;
        }
        EXPECT_EQ(driver.elapsed(), 2s);
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

// Trees of groups may be deeper than a stack: nothing in here recurses.
TEST_F(a_task_group, may_be_nested_thousands_deep) {
    struct chain {
        int& deepest;
        int depth = 0;
        void operator()() const {
            ++deepest;
            task_group group;
            if (depth < 5000)
                group.spawn(chain{deepest, depth + 1});
            this_fiber::sleep_for(1h);
        }
    };
    int deepest = 0;
    run_on(driver, [&] {
        EXPECT_FALSE(coir::try_with_timeout(1s, [&] {
            task_group group;
            group.spawn(chain{deepest});
            group.join();
        }));
        EXPECT_EQ(driver.elapsed(), 1s);
    });
    EXPECT_EQ(deepest, 5001);
}

TEST_F(a_task_group, fails_outwards_through_the_groups_around_it) {
    run_on(driver, [this] {
        std::string log;
        try {
            task_group outer;
            outer.spawn([&] { sleep_and_tell(1h, log); });
            outer.spawn([&] {
                task_group inner;
                inner.spawn([&] { sleep_and_tell(1h, log); });
                inner.spawn(fail_after, 1s, "deep inside");
            });
        } catch (const failure& error) {
            log += error.what();
        }
        EXPECT_EQ(log, "cancelled cancelled deep inside");
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(a_task_group, is_not_failed_by_members_that_were_cancelled) {
    run_on(driver, [] {
        fiber<void> sleeper = spawn([] { this_fiber::sleep_for(1h); });
        bool other_done = false;
        task_group group;
        group.spawn([&] {
            sleeper.cancel();
            sleeper.join(); // throws cancelled
        });
        group.spawn([&] {
            this_fiber::sleep_for(1s);
            other_done = true;
        });
        group.join();
        EXPECT_TRUE(other_done);
    });
}

TEST_F(a_task_group, takes_members_from_its_members) {
    run_on(driver, [] {
        int count = 0;
        {
            task_group group;
            struct doubling {
                task_group& group;
                int& count;
                int depth;
                void operator()() const {
                    ++count;
                    this_fiber::yield();
                    for (int i = 0; i < 2 && depth > 0; ++i)
                        group.spawn(doubling{group, count, depth - 1});
                }
            };
            group.spawn(doubling{group, count, 6});
        }
        EXPECT_EQ(count, 127);
    });
}

// What a member has captured may refer to the opener's variables as well.
TEST_F(a_task_group, is_left_after_the_members_functions_have_been_destroyed) {
    struct writes_at_end {
        std::string* log;
        explicit writes_at_end(std::string& to) : log(&to) {}
        writes_at_end(writes_at_end&& other) noexcept : log(std::exchange(other.log, nullptr)) {}
        ~writes_at_end() {
            if (!log)
                return;
            this_fiber::sleep_for(1s);
            *log += "destroyed ";
        }
    };
    run_on(driver, [] {
        std::string log;
        {
            task_group group;
            group.spawn([end = writes_at_end{log}] {});
            group.join();
            log += "joined ";
        }
        EXPECT_EQ(log, "destroyed joined ");

        // Also in a member that is being cancelled: it unwinds, so its destructors may block (A5).
        log.clear();
        {
            task_group group;
            group.spawn([end = writes_at_end{log}] { this_fiber::sleep_for(1h); });
            this_fiber::yield();
            group.cancel();
        }
        EXPECT_EQ(log, "destroyed ");
    });
}

TEST_F(a_task_group, that_cannot_copy_a_function_has_no_new_member) {
    struct throws_when_copied {
        throws_when_copied() = default;
        throws_when_copied(const throws_when_copied&) { throw failure("copy"); }
        void operator()() const {}
    };
    run_on(driver, [] {
        task_group group{.max_concurrent = 1};
        const throws_when_copied function;
        for (int i = 0; i < 3; ++i)
            EXPECT_THROW(group.spawn(function), failure);
        EXPECT_EQ(group.size(), 0U);
        EXPECT_THROW(group.spawn({.stack_size = 1}, [] {}), std::invalid_argument);
        bool ran = false;
        group.spawn([&] { ran = true; });
        group.join();
        EXPECT_TRUE(ran);
    });
}

TEST_F(a_task_group, refuses_to_be_joined_by_others) {
    run_on(driver, [] {
        task_group group;
        std::string what;
        group.spawn([&] {
            try {
                group.join(); // would wait for itself
            } catch (const std::logic_error& error) {
                what = error.what();
            }
        });
        group.join();
        EXPECT_NE(what.find("task_group::join by fiber"), std::string::npos) << what;
    });
    EXPECT_THROW((void)task_group{}, std::logic_error);
}

TEST_F(a_task_group, may_be_opened_in_a_destructor_during_unwinding) {
    struct runs_members_at_end {
        std::string& log;
        ~runs_members_at_end() {
            try {
                task_group group;
                group.spawn([&] { sleep_and_tell(1s, log); });
                group.spawn([] { throw failure("in between "); });
            } catch (const failure& error) {
                log += error.what();
            }
        }
    };
    run_on(driver, [] {
        std::string log;
        try {
            const runs_members_at_end at_end{log};
            throw std::logic_error("outer");
        } catch (const std::logic_error& error) {
            log += error.what();
        }
        EXPECT_EQ(log, "cancelled in between outer");
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

TEST_F(a_task_group, of_many_members_ends_them_all) {
    run_on(driver, [this] {
        int unwound = 0;
        struct count_end {
            int& unwound;
            ~count_end() { ++unwound; }
        };
        EXPECT_THROW(
            {
                task_group group;
                for (int i = 0; i < 1000; ++i)
                    group.spawn([&] {
                        const count_end at_end{unwound};
                        this_fiber::sleep_for(1h);
                    });
                group.spawn(fail_after, 1s, "one");
            },
            failure);
        EXPECT_EQ(unwound, 1000);
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

} // namespace
