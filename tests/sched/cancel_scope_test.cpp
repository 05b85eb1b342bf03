#include "child_process.hpp"
#include "sched/fake_driver.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>
#include <coir/with_timeout.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

namespace {

using coir::cancel_scope;
using coir::cancelled;
using coir::deadline;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::fake_source;
using coir::detail::run_on;
using coir::detail::wake_reason;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using a_cancel_scope = coir::detail::with_fake_driver;

TEST_F(a_cancel_scope, lets_through_what_ends_in_time) {
    run_on(driver, [this] {
        cancel_scope scope{2s};
        int slept = 0;
        EXPECT_TRUE(scope.run([&] {
            this_fiber::sleep_for(1s);
            ++slept;
        }));
        EXPECT_EQ(slept, 1);
        EXPECT_FALSE(scope.cancel_called());
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(a_cancel_scope, ends_the_call_in_which_its_deadline_passes) {
    run_on(driver, [this] {
        cancel_scope scope{2s};
        EXPECT_FALSE(scope.run([] { this_fiber::sleep_for(1h); }));
        EXPECT_TRUE(scope.cancel_called());
        EXPECT_EQ(driver.elapsed(), 2s);
    });
}

TEST_F(a_cancel_scope, fails_every_further_call_until_it_is_left) {
    run_on(driver, [this] {
        fiber<void> other = spawn([] { this_fiber::sleep_for(10h); });
        int failed = 0;
        {
            const cancel_scope scope{1s};
            const auto count = [&failed](auto call) {
                try {
                    call();
                } catch (const cancelled&) {
                    ++failed;
                }
            };
            fake_source source;
            for (int i = 0; i < 3; ++i) {
                count([] { this_fiber::sleep_for(1h); });
                count([] { this_fiber::sleep_until(deadline::passed()); });
                count([] { this_fiber::yield(); });
                count([&] { other.join(); });
                count([] { coir::task_group{}.spawn([] {}); });
                EXPECT_EQ(source.wait(), wake_reason::cancelled);
                std::error_code error;
                this_fiber::sleep_for(1h, error);
                EXPECT_EQ(error, std::errc::operation_canceled);
            }
            EXPECT_TRUE(this_fiber::cancel_requested());
        }
        EXPECT_EQ(failed, 15);
        EXPECT_EQ(driver.elapsed(), 1s);
        EXPECT_FALSE(this_fiber::cancel_requested());
        this_fiber::sleep_for(1s); // the fiber itself was never cancelled
        EXPECT_EQ(driver.elapsed(), 2s);
    });
}

TEST_F(a_cancel_scope, can_be_cancelled_by_another_fiber_and_from_inside) {
    run_on(driver, [this] {
        cancel_scope scope;
        const fiber<void> canceller = spawn([&] {
            this_fiber::sleep_for(1s);
            scope.cancel();
            scope.cancel();
        });
        EXPECT_FALSE(scope.run([] { this_fiber::sleep_for(1h); }));
        EXPECT_EQ(driver.elapsed(), 1s);
        EXPECT_TRUE(scope.cancel_called());

        cancel_scope own;
        bool went_on = false;
        EXPECT_FALSE(own.run([&] {
            own.cancel(); // takes effect at the next blocking call
            went_on = true;
            this_fiber::yield();
            FAIL();
        }));
        EXPECT_TRUE(went_on);
    });
}

// What comes after run() in the same block is not lost: `if (!scope.run(work)) say_so();`
TEST_F(a_cancel_scope, has_done_its_work_when_run_returns_false) {
    run_on(driver, [this] {
        cancel_scope scope{1s};
        EXPECT_FALSE(scope.run([] { this_fiber::sleep_for(1h); }));
        EXPECT_FALSE(this_fiber::cancel_requested());
        this_fiber::sleep_for(1s);
        EXPECT_EQ(driver.elapsed(), 2s);
        EXPECT_TRUE(scope.run([] { this_fiber::sleep_for(1s); }));
        EXPECT_TRUE(scope.cancel_called());
        scope.cancel(); // anew
        EXPECT_FALSE(scope.run([] { this_fiber::sleep_for(1s); }));
        EXPECT_EQ(driver.elapsed(), 3s);
    });
}

TEST_F(a_cancel_scope, of_several_the_tightest_deadline_wins) {
    using seconds = std::chrono::seconds;
    std::array<seconds, 3> limits{1s, 2s, 3s};
    do {
        fake_driver fresh;
        run_on(fresh, [&] {
            std::array<bool, 3> in_time{};
            cancel_scope outer{limits[0]};
            in_time[0] = outer.run([&] {
                cancel_scope middle{limits[1]};
                in_time[1] = middle.run([&] {
                    cancel_scope inner{limits[2]};
                    in_time[2] = inner.run([] { this_fiber::sleep_for(1h); });
                });
            });
            EXPECT_EQ(fresh.elapsed(), 1s);
            // The one with the second ends; those inside it were unwound as well, those outside go on.
            const auto tightest = std::find(limits.begin(), limits.end(), 1s) - limits.begin();
            for (int i = 0; i < 3; ++i)
                EXPECT_EQ(in_time.at(static_cast<std::size_t>(i)), i < tightest);
        });
    } while (std::next_permutation(limits.begin(), limits.end()));
}

TEST_F(a_cancel_scope, leaves_what_is_outside_of_it_alone) {
    run_on(driver, [this] {
        std::string log;
        cancel_scope outer{10s};
        EXPECT_TRUE(outer.run([&] {
            for (int i = 0; i < 3; ++i) {
                cancel_scope inner{1s};
                log += inner.run([] { this_fiber::sleep_for(1h); }) ? '?' : 't';
            }
            this_fiber::sleep_for(1s);
        }));
        EXPECT_EQ(log, "ttt");
        EXPECT_EQ(driver.elapsed(), 4s);
    });
}

TEST_F(a_cancel_scope, passes_on_what_is_meant_for_others) {
    run_on(driver, [] {
        // The fiber as a whole.
        bool inner_returned = false;
        fiber<void> worker = spawn([&] {
            cancel_scope scope{1h};
            scope.run([] { this_fiber::sleep_for(2h); });
            inner_returned = true;
        });
        this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_FALSE(inner_returned);

        // Both at once: the outer one counts.
        cancel_scope outer;
        bool asked = true;
        EXPECT_FALSE(outer.run([&] {
            cancel_scope inner;
            inner.cancel();
            EXPECT_TRUE(inner.is_cause());
            outer.cancel();
            asked = inner.is_cause();
            inner.run([] { this_fiber::yield(); });
            FAIL();
        }));
        EXPECT_FALSE(asked);

        // The end of a fiber that somebody else has cancelled.
        fiber<void> sleeper = spawn([] { this_fiber::sleep_for(1h); });
        sleeper.cancel();
        cancel_scope scope;
        EXPECT_THROW(scope.run([&] { sleeper.join(); }), cancelled);
        EXPECT_THROW(scope.run([] { throw std::runtime_error("x"); }), std::runtime_error);
    });
}

TEST_F(a_cancel_scope, may_get_another_deadline) {
    run_on(driver, [this] {
        cancel_scope later{1s};
        EXPECT_TRUE(later.run([&] {
            later.expires_at(3s);
            this_fiber::sleep_for(2s);
            later.expires_at({});
            this_fiber::sleep_for(2s);
        }));
        EXPECT_EQ(driver.elapsed(), 4s);
        cancel_scope earlier;
        EXPECT_FALSE(earlier.run([&] {
            earlier.expires_at(1h);
            earlier.expires_at(1s);
            this_fiber::sleep_for(1min);
        }));
        EXPECT_EQ(driver.elapsed(), 5s);
        cancel_scope at_once{1h};
        EXPECT_FALSE(at_once.run([&] {
            at_once.expires_at(deadline::passed());
            this_fiber::yield();
        }));
        EXPECT_EQ(driver.elapsed(), 5s);
    });
}

TEST_F(a_cancel_scope, with_a_deadline_in_the_past_stops_at_the_first_wait) {
    run_on(driver, [this] {
        fake_source source;
        cancel_scope passed{deadline::passed()};
        EXPECT_FALSE(passed.run([] { this_fiber::yield(); }));
        for (const auto time : {0s, -5s}) {
            cancel_scope scope{time};
            EXPECT_FALSE(scope.run([] { this_fiber::sleep_for(1s); }));
        }
        EXPECT_EQ(driver.elapsed(), 0s);
        // And one that never waits is told as soon as the loop looks at the clock.
        cancel_scope busy{0s};
        driver.advance_at_each_look(1ms);
        EXPECT_FALSE(busy.run([] {
            for (;;)
                this_fiber::yield();
        }));
        EXPECT_LT(driver.elapsed(), 1s);
    });
}

TEST_F(a_cancel_scope, leaves_no_timer_behind) {
    run_on(driver, [this] {
        for (int i = 0; i < 1000; ++i)
            const cancel_scope scope{1h};
        this_fiber::sleep_for(2h);
        EXPECT_EQ(driver.elapsed(), 2h);
    });
    EXPECT_LE(driver.looks(), 8U); // none of the thousand has woken the loop
}

// Whatever comes first in one pass of the loop: each wait ends once, and what has been completed is not lost.
TEST_F(a_cancel_scope, ready_expired_and_cancelled_in_one_pass_in_every_order) {
    enum event { ready, wait_expires, scope_expires, scope_cancelled, fiber_cancelled };
    std::array<event, 5> order{ready, wait_expires, scope_expires, scope_cancelled, fiber_cancelled};
    int completed = 0;
    do {
        fake_driver fresh;
        run_on(fresh, [&] {
            fake_source source;
            cancel_scope* scope_of_waiter = nullptr;
            std::optional<wake_reason> seen;
            bool scope_was_cause = false;
            bool next_call_failed = false;
            fiber<void> waiter = spawn([&] {
                cancel_scope scope{2s};
                scope_of_waiter = &scope;
                seen = source.wait(2s);
                try {
                    this_fiber::yield();
                } catch (const cancelled&) {
                    next_call_failed = true;
                    scope_was_cause = scope.is_cause();
                }
            });
            this_fiber::yield();
            bool token_taken = false;
            fresh.at(1s, [&] {
                for (const event each : order) {
                    switch (each) {
                    case ready:
                        token_taken = source.notify_one();
                        break;
                    case wait_expires: // both timers fire after the events of this pass
                    case scope_expires:
                        fresh.advance(10s);
                        break;
                    case scope_cancelled:
                        scope_of_waiter->cancel();
                        break;
                    case fiber_cancelled:
                        waiter.cancel();
                        break;
                    }
                }
            });
            waiter.wait();
            const auto place = [&order](event which) { return std::find(order.begin(), order.end(), which); };
            const bool ready_first = place(ready) < std::min(place(scope_cancelled), place(fiber_cancelled));
            ASSERT_TRUE(seen.has_value());
            EXPECT_EQ(*seen, ready_first ? wake_reason::notified : wake_reason::cancelled);
            EXPECT_EQ(token_taken, ready_first); // who notifies knows whether it was taken
            EXPECT_TRUE(next_call_failed);
            EXPECT_FALSE(scope_was_cause);
            EXPECT_FALSE(source.has_waiters());
            completed += ready_first ? 1 : 0;
        });
    } while (std::next_permutation(order.begin(), order.end()));
    EXPECT_EQ(completed, 40); // of 120: `ready` is the first of three in a third of the orders
}

// A5: an exception out of a destructor while another one unwinds the stack would end the program.
TEST_F(a_cancel_scope, cancelled_while_a_destructor_unwinds_waits_until_that_is_over) {
    struct sleeps_at_end {
        std::string& log;
        ~sleeps_at_end() {
            this_fiber::sleep_for(2s); // the scope's deadline passes meanwhile
            this_fiber::yield();
            log += "slept ";
        }
    };
    run_on(driver, [this] {
        std::string log;
        cancel_scope scope{1s};
        EXPECT_FALSE(scope.run([&] {
            try {
                const sleeps_at_end at_end{log};
                throw std::runtime_error("its own ");
            } catch (const std::runtime_error& error) {
                log += error.what();
            }
            this_fiber::yield();
            FAIL();
        }));
        EXPECT_EQ(log, "slept its own ");
        EXPECT_EQ(driver.elapsed(), 2s);

        // Unwound by the scope's own cancellation: destructors may block as if nobody had cancelled.
        log.clear();
        cancel_scope again{1s};
        EXPECT_FALSE(again.run([&] {
            const sleeps_at_end at_end{log};
            this_fiber::sleep_for(1h);
        }));
        EXPECT_EQ(log, "slept ");
        EXPECT_EQ(driver.elapsed(), 5s);
    });
}

TEST_F(a_cancel_scope, in_a_noexcept_function_is_told_by_error_code) {
    run_on(driver, [] {
        cancel_scope scope{1s};
        EXPECT_TRUE(scope.run([]() noexcept {
            std::error_code error;
            this_fiber::sleep_for(1h, error);
            EXPECT_EQ(error, std::errc::operation_canceled);
        }));
        EXPECT_TRUE(scope.cancel_called());
        EXPECT_TRUE(this_fiber::cancel_requested()); // until it is left
    });
}

TEST_F(a_cancel_scope, is_of_the_fiber_that_made_it_not_of_those_it_spawns) {
    run_on(driver, [this] {
        fiber<int> worker;
        cancel_scope scope{1s};
        EXPECT_FALSE(scope.run([&] {
            worker = spawn([] {
                this_fiber::sleep_for(2s);
                return 1;
            });
            worker.join();
        }));
        EXPECT_EQ(worker.join(), 1);
        EXPECT_EQ(driver.elapsed(), 2s);
    });
}

TEST_F(a_cancel_scope, makes_no_difference_to_a_handle_that_waits_in_its_destructor) {
    run_on(driver, [this] {
        bool ended = false;
        cancel_scope scope{1s};
        EXPECT_FALSE(scope.run([&] {
            const fiber<void> stubborn = spawn([&] {
                const coir::shield in_peace;
                this_fiber::sleep_for(5s);
                ended = true;
            });
            this_fiber::sleep_for(1h);
        }));
        EXPECT_TRUE(ended);
        EXPECT_EQ(driver.elapsed(), 5s);
    });
}

TEST_F(a_cancel_scope, may_be_nested_deeply) {
    struct nest {
        static void enter(int depth) { // NOLINT(misc-no-recursion)
            const cancel_scope scope{1h};
            if (depth > 0)
                enter(depth - 1);
            else
                this_fiber::sleep_for(1h);
        }
    };
    run_on(driver, [this] {
        cancel_scope scope{1s};
        EXPECT_FALSE(scope.run([] { nest::enter(300); }));
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(a_cancel_scope, that_does_not_end_where_it_should_ends_the_program) {
    const auto expect_end = [](void (*misuse)()) {
        const auto end = in_child([misuse] {
            coir::run(misuse);
            return true;
        });
        EXPECT_TRUE(end.was_killed_by(SIGABRT));
        EXPECT_TRUE(end.says("a cancel_scope is destroyed by another fiber, or before one inside it")) << end.errors;
    };
    expect_end([] {
        auto outer = std::make_unique<cancel_scope>();
        const cancel_scope inner;
        outer.reset();
    });
    expect_end([] {
        auto scope = std::make_unique<cancel_scope>();
        spawn([&] { scope.reset(); }).join();
    });
}

TEST_F(a_cancel_scope, outside_of_a_loop_is_an_error) {
    EXPECT_THROW(cancel_scope{}, std::logic_error);
    EXPECT_THROW(cancel_scope{1s}, std::logic_error);
    EXPECT_THROW(coir::with_timeout(1s, [] {}), std::logic_error);
}

} // namespace
