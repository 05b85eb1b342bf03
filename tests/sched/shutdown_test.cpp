// What run() does with the fibers that are left when its function has ended, and with those that do not end.

#include "child_process.hpp"
#include "sched/fake_driver.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/channel.hpp>
#include <coir/condition_variable.hpp>
#include <coir/event.hpp>
#include <coir/fiber.hpp>
#include <coir/mutex.hpp>
#include <coir/select.hpp>
#include <coir/semaphore.hpp>
#include <coir/shared_mutex.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using coir::cancelled;
using coir::fiber;
using coir::loop_options;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::fake_source;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using shutdown = coir::detail::with_fake_driver;

constexpr loop_options five_seconds{.shutdown_deadline = 5s};

void ignore_cancellation() {
    const coir::shield for_ever;
    this_fiber::sleep_for(24h);
}

TEST_F(shutdown, unwinds_fibers_in_whatever_they_wait_for) {
    int unwound = 0;
    struct count_end {
        int& unwound;
        ~count_end() { ++unwound; }
    };
    fake_source source;
    coir::mutex mutex;
    run_on(driver, [&] {
        const auto in_each = [&](auto wait) {
            spawn([&unwound, wait] {
                const count_end at_end{unwound};
                wait();
            }).detach();
        };
        for (int i = 0; i < 100; ++i) {
            in_each([] { this_fiber::sleep_for(1h); });
            in_each([&] {
                source.wait();
                this_fiber::yield();
            });
            in_each([&] {
                const std::lock_guard hold{mutex};
                this_fiber::sleep_for(1h);
            });
            in_each([] {
                coir::task_group group;
                group.spawn([] { this_fiber::sleep_for(1h); });
            });
            in_each([] { spawn([] { this_fiber::sleep_for(1h); }).join(); });
        }
        this_fiber::yield();
    });
    EXPECT_EQ(unwound, 500);
    EXPECT_EQ(driver.elapsed(), 0s);
}

TEST_F(shutdown, waits_for_those_that_take_their_time) {
    bool ended = false;
    run_on(
        driver,
        [&] {
            spawn([&] {
                const coir::shield in_peace;
                this_fiber::sleep_for(4s);
                ended = true;
            }).detach();
            this_fiber::yield();
        },
        five_seconds);
    EXPECT_TRUE(ended);
    EXPECT_EQ(driver.elapsed(), 4s);
}

TEST_F(shutdown, cancels_who_is_spawned_meanwhile_but_not_the_members_of_who_is_shielded) {
    std::string log;
    const auto sleep_and_tell = [&log](const char* name) {
        try {
            this_fiber::sleep_for(1s);
            log += std::string{name} + " slept ";
        } catch (const cancelled&) {
            log += std::string{name} + " cancelled ";
            throw;
        }
    };
    run_on(
        driver,
        [&] {
            spawn([&] {
                const coir::shield in_peace;
                this_fiber::sleep_for(1s);
                spawn(sleep_and_tell, "new").detach();
                coir::task_group group;
                group.spawn(sleep_and_tell, "member");
            }).detach();
            this_fiber::yield();
        },
        five_seconds);
    EXPECT_EQ(log, "new cancelled member slept ");
    EXPECT_EQ(driver.elapsed(), 2s);
}

TEST_F(shutdown, names_at_the_deadline_who_has_not_ended_and_what_it_waits_for) {
    const auto end = in_child([] {
        fake_driver driver;
        fake_source source;
        const int result = run_on(
            driver,
            [&] {
                spawn({.name = "sleeper"}, ignore_cancellation).detach();
                spawn({.name = "reader"}, [&] {
                    const coir::shield for_ever;
                    source.wait();
                }).detach();
                spawn({.name = "opener"}, [] {
                    const coir::shield for_ever;
                    coir::task_group group;
                    group.spawn({.name = "member"}, [] { this_fiber::sleep_for(24h); });
                }).detach();
                spawn({.name = "good"}, [] { this_fiber::sleep_for(24h); }).detach();
                this_fiber::sleep_for(1s);
                return 42;
            },
            five_seconds);
        return result == 42 && driver.elapsed() == 6s;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    const std::string verdict = "\" has not ended by the shutdown deadline, and is given up; it ";
    EXPECT_TRUE(end.says("\"sleeper" + verdict + "sleeps")) << end.errors;
    EXPECT_TRUE(end.says("\"reader" + verdict + "waits to read from descriptor")) << end.errors;
    EXPECT_TRUE(end.says("\"opener" + verdict + "waits for the task group")) << end.errors;
    EXPECT_TRUE(end.says("\"member" + verdict + "sleeps")) << end.errors;
    EXPECT_FALSE(end.says("good")) << end.errors;
}

TEST_F(shutdown, at_the_deadline_is_not_held_up_by_who_is_busy) {
    const auto end = in_child([] {
        fake_driver driver;
        driver.advance_at_each_look(1ms);
        run_on(
            driver,
            [] {
                spawn({.name = "busy"}, [] {
                    const coir::shield for_ever;
                    for (;;)
                        this_fiber::yield();
                }).detach();
                this_fiber::yield();
            },
            five_seconds);
        return driver.elapsed() < 10s;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_TRUE(end.says("\"busy\" has not ended by the shutdown deadline, and is given up; it is ready to run"))
        << end.errors;
}

TEST_F(shutdown, without_time_gives_up_who_does_not_end_at_once) {
    const auto end = in_child([] {
        fake_driver driver;
        std::string log;
        run_on(driver,
               [&] {
                   spawn({.name = "stubborn"}, ignore_cancellation).detach();
                   spawn([&] {
                       try {
                           this_fiber::sleep_for(1h);
                       } catch (const cancelled&) {
                           log += "unwound";
                           throw;
                       }
                   }).detach();
                   this_fiber::yield();
               },
               {.shutdown_deadline = 0s});
        return log == "unwound" && driver.elapsed() == 0s;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_TRUE(end.says("stubborn")) << end.errors;
}

// The deadline is for what is left, not for the function.
TEST_F(shutdown, deadline_does_not_run_while_the_function_does) {
    run_on(
        driver, [] { this_fiber::sleep_for(1h); }, five_seconds);
    EXPECT_EQ(driver.elapsed(), 1h);
}

TEST_F(shutdown, keeps_the_functions_own_exception) {
    const auto end = in_child([] {
        fake_driver driver;
        try {
            run_on(
                driver,
                [] {
                    spawn(ignore_cancellation).detach();
                    this_fiber::yield();
                    throw std::runtime_error("its own");
                },
                five_seconds);
        } catch (const std::runtime_error& error) {
            return std::string{error.what()} == "its own";
        }
        return false;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

TEST_F(shutdown, leaves_handles_of_fibers_that_were_given_up_harmless) {
    const auto end = in_child([] {
        std::vector<fiber<void>> handles(5);
        run_on(
            *new fake_driver, // the given-up loop still refers to it
            [&] {
                for (auto& each : handles)
                    each = spawn(ignore_cancellation);
                this_fiber::yield();
            },
            five_seconds);
        EXPECT_TRUE(handles[0].joinable());
        EXPECT_NE(handles[0].id(), 0U);
        EXPECT_THROW(handles[0].join(), std::logic_error); // never ends
        EXPECT_THROW((void)handles[0].wait(), std::logic_error);
        handles[1].cancel();
        handles[2].detach();
        handles[3] = {};
        // The thread may have another loop, and the handles may be destroyed in it.
        fake_driver driver;
        const int result = run_on(driver, [&] {
            EXPECT_THROW(handles[0].join(), std::logic_error);
            handles[4].cancel();
            handles.clear();
            return spawn([] { return 6; }).join();
        });
        return result == 6 && !testing::Test::HasFailure();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

// In the child, which ends by _exit(), what they have waited for need not outlive them.
void give_up_who(const std::function<void()>& waits) {
    run_on(
        *new fake_driver,
        [&] {
            spawn([&] {
                const coir::shield for_ever;
                waits();
            }).detach();
            this_fiber::yield();
        },
        five_seconds);
}

TEST_F(shutdown, gives_nothing_to_fibers_that_were_given_up) {
    const auto end = in_child([] {
        auto& permits = *new coir::counting_semaphore<>{0};
        give_up_who([&] { permits.acquire(); });
        permits.release();
        EXPECT_TRUE(permits.try_acquire());

        auto& messages = *new coir::channel<int>{1};
        give_up_who([&] { (void)messages.receive(); });
        EXPECT_TRUE(messages.try_send(1));
        EXPECT_EQ(messages.try_receive(), 1);
        give_up_who([&] {
            std::optional<int> message;
            coir::select(coir::receive_from(messages, message), coir::is_set(*new coir::event));
        });
        EXPECT_TRUE(messages.try_send(2));
        EXPECT_EQ(messages.try_receive(), 2);

        auto& shared = *new coir::shared_mutex;
        shared.lock_shared();
        give_up_who([&] { shared.lock(); });
        EXPECT_TRUE(shared.try_lock_shared());
        return !testing::Test::HasFailure();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

TEST_F(shutdown, leaves_the_waiters_behind_fibers_that_were_given_up_their_turn) {
    const auto end = in_child([] {
        auto& mutex = *new coir::mutex;
        auto& changed = *new coir::condition_variable;
        bool has_changed = false;
        mutex.lock();
        give_up_who([&] { mutex.lock(); });
        give_up_who([&] {
            coir::mutex own;
            std::unique_lock lock{own};
            changed.wait(lock);
        });
        std::atomic<bool> is_begun{false};
        std::thread other{[&] {
            is_begun = true;
            std::unique_lock<coir::mutex> lock{mutex, 10s};
            EXPECT_TRUE(lock.owns_lock());
            EXPECT_TRUE(changed.wait_for(lock, 10s, [&] { return has_changed; }));
        }};
        while (!is_begun)
            std::this_thread::yield();
        std::this_thread::sleep_for(20ms);
        mutex.unlock();
        std::this_thread::sleep_for(20ms);
        {
            const std::lock_guard lock{mutex};
            has_changed = true;
            changed.notify_one();
        }
        other.join();
        return !testing::Test::HasFailure();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

TEST_F(shutdown, leaves_scopes_of_fibers_that_were_given_up_harmless) {
    const auto end = in_child([] {
        coir::cancel_scope* scope = nullptr;
        give_up_who([&] {
            coir::cancel_scope inside;
            scope = &inside; // which stays where it is
            this_fiber::sleep_for(24h);
        });
        scope->cancel();
        return scope != nullptr;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

TEST_F(shutdown, may_give_up_loop_after_loop) {
    const auto end = in_child([] {
        for (int i = 0; i < 20; ++i)
            run_on(
                *new fake_driver,
                [] {
                    for (int j = 0; j < 10; ++j)
                        spawn(ignore_cancellation).detach();
                    this_fiber::yield();
                },
                five_seconds);
        return true;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

} // namespace
