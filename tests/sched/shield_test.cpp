#include "sched/fake_driver.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using coir::cancel_scope;
using coir::cancelled;
using coir::fiber;
using coir::shield;
using coir::spawn;
using coir::task_group;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using a_shield = coir::detail::with_fake_driver;

TEST_F(a_shield, keeps_cancellation_of_the_fiber_out_until_it_is_left) {
    run_on(driver, [this] {
        std::string log;
        fiber<void> worker = spawn([&] {
            {
                const shield in_peace;
                this_fiber::sleep_for(1s);
                EXPECT_FALSE(this_fiber::cancel_requested());
                log += "goodbye";
            }
            EXPECT_TRUE(this_fiber::cancel_requested());
            this_fiber::yield();
            log += ", went on";
        });
        this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(log, "goodbye");
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(a_shield, may_be_entered_by_a_fiber_that_is_cancelled_already) {
    run_on(driver, [this] {
        bool said_goodbye = false;
        fiber<void> worker = spawn([&] {
            try {
                this_fiber::sleep_for(1h);
            } catch (const cancelled&) {
                const shield in_peace{5s};
                this_fiber::sleep_for(1s);
                said_goodbye = true;
                throw;
            }
        });
        this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_TRUE(said_goodbye);
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(a_shield, has_its_own_deadline_and_its_own_cancel) {
    run_on(driver, [this] {
        shield in_peace{1s};
        EXPECT_FALSE(in_peace.run([] { this_fiber::sleep_for(1h); }));
        EXPECT_EQ(driver.elapsed(), 1s);
        shield again;
        EXPECT_FALSE(again.run([&] {
            again.cancel();
            this_fiber::yield();
        }));
        // Its own cancellation is its own, also when there is another one outside.
        cancel_scope outer;
        outer.cancel();
        bool was_cause = false;
        {
            shield inner{1s};
            try {
                this_fiber::sleep_for(1h);
            } catch (const cancelled&) {
                was_cause = inner.is_cause();
            }
        }
        EXPECT_TRUE(was_cause);
        EXPECT_EQ(driver.elapsed(), 2s);
    });
}

TEST_F(a_shield, lets_scopes_inside_be_cancelled) {
    run_on(driver, [this] {
        const shield in_peace;
        cancel_scope inner{1s};
        EXPECT_FALSE(inner.run([] { this_fiber::sleep_for(1h); }));
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(a_shield, protects_the_members_of_groups_inside) {
    run_on(driver, [this] {
        std::string log;
        fiber<void> worker = spawn([&] {
            task_group outside;
            outside.spawn([&] {
                try {
                    this_fiber::sleep_for(1h);
                } catch (const cancelled&) {
                    log += "outside cancelled, ";
                    throw;
                }
            });
            const shield in_peace;
            task_group inside;
            inside.spawn([&] {
                this_fiber::sleep_for(2s);
                task_group further_in;
                further_in.spawn([&] {
                    this_fiber::sleep_for(1s);
                    log += "inside done, ";
                });
            });
        });
        this_fiber::sleep_for(1s);
        worker.cancel();
        worker.join(); // it has never blocked outside of the shield
        EXPECT_EQ(log, "outside cancelled, inside done, ");
        EXPECT_EQ(driver.elapsed(), 3s);
    });
}

// Also of those that are spawned when the loop is ending.
TEST_F(a_shield, protects_the_members_of_groups_inside_from_the_end_of_the_loop) {
    int said_goodbye = 0;
    run_on(driver, [&] {
        spawn([&] {
            const shield in_peace;
            task_group goodbyes;
            for (int i = 0; i < 2; ++i)
                goodbyes.spawn([&] {
                    this_fiber::sleep_for(1s);
                    ++said_goodbye;
                });
            this_fiber::sleep_for(500ms); // the first function has ended meanwhile
            for (int i = 0; i < 2; ++i)
                goodbyes.spawn([&] {
                    this_fiber::sleep_for(1s);
                    ++said_goodbye;
                });
        }).detach();
        this_fiber::sleep_for(250ms);
    });
    EXPECT_EQ(said_goodbye, 4);
    EXPECT_EQ(driver.elapsed(), 1500ms);
}

TEST_F(a_shield, around_a_group_does_not_hold_up_its_failure) {
    run_on(driver, [this] {
        const shield in_peace;
        EXPECT_THROW(
            {
                task_group group;
                group.spawn([] { throw std::runtime_error("failed"); });
                this_fiber::sleep_for(1h);
            },
            std::runtime_error);
        // But inside the group it does: who is shielded is not disturbed.
        bool done = false;
        EXPECT_THROW(
            {
                task_group group;
                group.spawn([] { throw std::runtime_error("failed"); });
                {
                    const shield inner;
                    this_fiber::sleep_for(1s);
                    done = true;
                }
                this_fiber::sleep_for(1h);
            },
            std::runtime_error);
        EXPECT_TRUE(done);
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

} // namespace
