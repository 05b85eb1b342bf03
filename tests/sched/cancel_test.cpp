#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <system_error>
#include <vector>

namespace {

using coir::cancelled;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::fake_source;
using coir::detail::run_on;
using coir::detail::wake_reason;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using cancel = coir::detail::with_fake_driver;

TEST_F(cancel, ends_the_wait_of_a_parked_fiber) {
    run_on(driver, [] {
        bool went_on = false;
        fiber<void> worker = spawn([&] {
            this_fiber::sleep_for(1h);
            went_on = true;
        });
        this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_FALSE(went_on);
    });
    EXPECT_EQ(driver.elapsed(), 0s);
}

TEST_F(cancel, reaches_a_ready_fiber_at_its_next_blocking_call) {
    run_on(driver, [] {
        std::string log;
        fiber<void> worker = spawn([&] {
            this_fiber::yield();
            log += "after yield";
            this_fiber::yield();
            log += ", after another";
        });
        this_fiber::yield(); // it is in the ready queue again
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(log, "after yield");
    });
}

TEST_F(cancel, lets_a_fiber_that_has_not_started_run_to_its_first_blocking_call) {
    run_on(driver, [] {
        std::string log;
        fiber<int> calls = spawn([&] {
            log += "began";
            this_fiber::sleep_for(1s);
            log += ", went on";
            return 1;
        });
        fiber<int> does_not_call = spawn([] { return 2; });
        calls.cancel();
        does_not_call.cancel();
        EXPECT_THROW(calls.join(), cancelled);
        EXPECT_EQ(log, "began");
        EXPECT_EQ(does_not_call.join(), 2);
    });
}

TEST_F(cancel, of_a_finished_fiber_changes_nothing) {
    run_on(driver, [] {
        fiber<int> worker = spawn([] { return 3; });
        worker.wait();
        worker.cancel();
        worker.cancel();
        EXPECT_EQ(worker.join(), 3);
    });
}

TEST_F(cancel, of_oneself_takes_effect_at_the_next_blocking_call) {
    run_on(driver, [] {
        fiber<void> itself;
        bool before = false;
        itself = spawn([&] {
            EXPECT_FALSE(this_fiber::cancel_requested());
            itself.cancel();
            EXPECT_TRUE(this_fiber::cancel_requested());
            before = true;
            this_fiber::yield();
            FAIL();
        });
        itself.wait();
        EXPECT_TRUE(before);
        EXPECT_THROW(itself.join(), cancelled);
    });
}

TEST_F(cancel, by_several_ends_the_fiber_once) {
    run_on(driver, [] {
        int ends = 0;
        fiber<void> worker = spawn([&] {
            try {
                this_fiber::sleep_for(1h);
            } catch (const cancelled&) {
                ++ends;
                throw;
            }
        });
        this_fiber::yield();
        std::vector<fiber<void>> cancellers;
        for (int i = 0; i < 5; ++i)
            cancellers.push_back(spawn([&] { worker.cancel(); }));
        for (auto& each : cancellers)
            each.join();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(ends, 1);
    });
}

TEST_F(cancel, is_sticky_for_every_further_call) {
    run_on(driver, [this] {
        int thrown = 0;
        fiber<void> other = spawn([] { this_fiber::sleep_for(5h); });
        fiber<void> worker = spawn([&] {
            const auto count = [&](auto call) {
                try {
                    call();
                } catch (...) { // swallows it, as careless code does
                    ++thrown;
                }
            };
            fake_source source;
            for (int i = 0; i < 3; ++i) {
                count([] { this_fiber::sleep_for(1h); });
                count([] { this_fiber::sleep_for(-1h); });
                count([] { this_fiber::sleep_until(coir::deadline::passed()); });
                count([] { this_fiber::yield(); });
                count([&] { other.join(); });
                count([&] { other.wait(); });
                EXPECT_EQ(source.wait(), wake_reason::cancelled);
                EXPECT_EQ(source.wait(1h), wake_reason::cancelled);
                EXPECT_EQ(source.wait(coir::deadline::passed()), wake_reason::cancelled);
                EXPECT_FALSE(source.has_waiters());
            }
            EXPECT_TRUE(this_fiber::cancel_requested());
        });
        this_fiber::yield();
        worker.cancel();
        worker.join(); // it has swallowed everything: an ordinary end
        EXPECT_EQ(thrown, 18);
        EXPECT_EQ(driver.elapsed(), 0s);
    });
}

TEST_F(cancel, is_reported_to_who_asks_for_an_error_code) {
    run_on(driver, [] {
        fiber<void> worker = spawn([]() noexcept {
            std::error_code error;
            this_fiber::sleep_for(1h, error);
            EXPECT_EQ(error, std::errc::operation_canceled);
            error.clear();
            this_fiber::sleep_until(coir::deadline::never(), error);
            EXPECT_EQ(error, std::errc::operation_canceled);
        });
        this_fiber::yield();
        worker.cancel();
        worker.join();
    });
}

TEST_F(cancel, does_not_undo_what_has_happened_in_the_same_turn) {
    run_on(driver, [] {
        fake_source source;
        std::string log;
        fiber<void> worker = spawn([&] {
            log += source.wait() == wake_reason::notified ? "notified" : "not notified";
            this_fiber::yield();
            log += ", went on";
        });
        this_fiber::yield();
        EXPECT_TRUE(source.notify_one());
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(log, "notified");
    });
}

TEST_F(cancel, of_a_joiner_leaves_the_joined_alone) {
    run_on(driver, [] {
        fiber<int> worker = spawn([] {
            this_fiber::sleep_for(1s);
            return 8;
        });
        fiber<void> joiner = spawn([&] { worker.join(); });
        this_fiber::yield();
        joiner.cancel();
        EXPECT_THROW(joiner.join(), cancelled);
        EXPECT_TRUE(worker.joinable());
        EXPECT_EQ(worker.join(), 8);
    });
}

TEST_F(cancel, is_not_stopped_by_streams_and_packaged_tasks) {
    struct sleeping_buffer : std::streambuf {
        int_type overflow(int_type character) override {
            this_fiber::sleep_for(1h);
            return character;
        }
    };
    run_on(driver, [] {
        bool went_on = false;
        std::vector<fiber<void>> workers;
        workers.push_back(spawn([&] {
            sleeping_buffer buffer;
            std::ostream stream{&buffer};
            stream << "text" << 42;
            went_on = true;
        }));
        workers.push_back(spawn([&] {
            std::packaged_task<void()> task{[] { this_fiber::sleep_for(1h); }};
            task();
            went_on = true;
        }));
        this_fiber::yield();
        for (auto& each : workers)
            each.cancel();
        for (auto& each : workers)
            EXPECT_THROW(each.join(), cancelled);
        EXPECT_FALSE(went_on);
    });
}

/// Blocks in its destructor, and says what it saw.
struct sleeps_at_end {
    std::string& log;
    ~sleeps_at_end() {
        const int before = std::uncaught_exceptions();
        this_fiber::sleep_for(1s);
        this_fiber::yield();
        log += before == std::uncaught_exceptions() ? "slept " : "miscounted ";
    }
};

// A5: an exception out of a destructor would end the program.
TEST_F(cancel, lets_destructors_block_while_it_unwinds) {
    run_on(driver, [this] {
        std::string log;
        fiber<void> worker = spawn([&] {
            const sleeps_at_end first{log};
            const sleeps_at_end second{log};
            this_fiber::sleep_for(1h);
        });
        this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(log, "slept slept ");
        EXPECT_EQ(driver.elapsed(), 2s);
    });
}

TEST_F(cancel, of_a_fiber_in_a_destructor_during_unwinding_waits_until_that_is_over) {
    run_on(driver, [this] {
        std::string log;
        fiber<void> worker = spawn([&] {
            try {
                const sleeps_at_end at_end{log};
                throw std::runtime_error("its own");
            } catch (const std::runtime_error& error) {
                log += error.what();
            }
            this_fiber::yield();
            log += " went on";
        });
        this_fiber::yield(); // now it sleeps in the destructor
        worker.cancel();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(log, "slept its own");
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(cancel, during_unwinding_is_not_reported_to_error_codes_either) {
    run_on(driver, [] {
        struct sleeps_without_exceptions {
            std::error_code& error;
            ~sleeps_without_exceptions() { this_fiber::sleep_for(1s, error); }
        };
        std::error_code seen = std::make_error_code(std::errc::io_error);
        fiber<void> worker = spawn([&] {
            const sleeps_without_exceptions at_end{seen};
            this_fiber::sleep_for(1h);
        });
        this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(seen, std::error_code{});
    });
}

TEST_F(cancel, in_a_catch_block_of_a_cancelled_fiber_throws_again) {
    run_on(driver, [] {
        bool again = false;
        fiber<void> worker = spawn([&] {
            try {
                this_fiber::sleep_for(1h);
            } catch (const cancelled&) {
                try {
                    this_fiber::sleep_for(1h); // not unwinding any more
                } catch (const cancelled&) {
                    again = true;
                }
                throw;
            }
        });
        this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_TRUE(again);
    });
}

TEST_F(cancel, is_what_the_destructor_of_a_handle_does_and_it_waits) {
    run_on(driver, [this] {
        std::string log;
        {
            const fiber<void> worker = spawn([&] {
                const sleeps_at_end at_end{log};
                this_fiber::sleep_for(1h);
            });
            this_fiber::yield();
        }
        EXPECT_EQ(log, "slept ");
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(cancel, is_what_assignment_to_a_handle_does_and_it_waits) {
    run_on(driver, [] {
        bool unwound = false;
        struct sets {
            bool& value;
            ~sets() { value = true; }
        };
        fiber<void> worker = spawn([&] {
            const sets at_end{unwound};
            this_fiber::sleep_for(1h);
        });
        this_fiber::yield();
        worker = spawn([] {});
        EXPECT_TRUE(unwound);
        worker.join();
    });
}

TEST_F(cancel, does_not_disturb_a_cancelled_fiber_that_waits_for_its_own_children) {
    run_on(driver, [this] {
        std::string log;
        fiber<void> parent = spawn([&] {
            const fiber<void> child = spawn([&] {
                const sleeps_at_end at_end{log};
                this_fiber::sleep_for(1h);
            });
            this_fiber::sleep_for(1h);
        });
        this_fiber::yield();
        this_fiber::yield();
        parent.cancel();
        this_fiber::yield();
        parent.cancel(); // now it is in the destructor of `child`
        EXPECT_THROW(parent.join(), cancelled);
        EXPECT_EQ(log, "slept ");
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

} // namespace
