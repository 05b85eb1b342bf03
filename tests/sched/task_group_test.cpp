#include "sched/fake_driver.hpp"
#include "sched/group_members.hpp"

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
using coir::detail::fake_source;
using coir::detail::run_on;
using coir::detail::wake_reason;
using coir::test::fail_after;
using coir::test::failure;
using coir::test::sleep_and_tell;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using a_task_group = coir::detail::with_fake_driver;

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
    try {
        const task_group outside;
        ADD_FAILURE();
    } catch (const std::logic_error& error) {
        EXPECT_STREQ(error.what(), "coir: task_group was called outside coir::run()");
    }
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
