// Fibers wait for each other: that is reported, and, when it is all of them, ends the loop (hazard G7).

#include "base/diagnostic.hpp"
#include "base/single_threaded.hpp"
#include "child_process.hpp"
#include "sched/fake_driver.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/channel.hpp>
#include <coir/event.hpp>
#include <coir/fiber.hpp>
#include <coir/mutex.hpp>
#include <coir/run.hpp>
#include <coir/select.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using coir::cancelled;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::fake_source;
using coir::detail::run_on;
using coir::detail::sleeping_driver;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

/// From the first thread on, the process counts as one with others that might come and unlock; the threads of a sanitizer
/// count, too.
class deadlock : public testing::Test {
protected:
    static bool is_seen() { return coir::detail::is_single_threaded(); }
};

/// How a loop ends, in a child process, in which `work` deadlocks.
child_end end_of(const std::function<void()>& work, const coir::loop_options& options = {}) {
    return in_child([&] {
        fake_driver driver;
        try {
            run_on(driver, work, options);
        } catch (const std::system_error& error) {
            return error.code() == std::errc::resource_deadlock_would_occur && !testing::Test::HasFailure();
        }
        return false;
    });
}

void lock_both(coir::mutex& first, coir::mutex& second) {
    const std::lock_guard hold_first{first};
    this_fiber::sleep_for(1s);
    const std::lock_guard hold_second{second};
}

constexpr const char* verdict = "\" is in a deadlock: nothing can wake it; it ";

TEST_F(deadlock, of_two_fibers_that_hold_what_the_other_wants) {
    if (!is_seen())
        GTEST_SKIP() << "there are other threads in this process";
    const auto end = end_of([] {
        coir::mutex a;
        coir::mutex b;
        fiber<void> first = spawn({.name = "first"}, lock_both, std::ref(a), std::ref(b));
        fiber<void> second = spawn({.name = "second"}, lock_both, std::ref(b), std::ref(a));
        first.join();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_TRUE(end.says(std::string{"\"first"} + verdict + "waits for the mutex 0x")) << end.errors;
    EXPECT_TRUE(end.says(std::string{"\"second"} + verdict + "waits for the mutex 0x")) << end.errors;
    EXPECT_TRUE(end.says(std::string{"\"main"} + verdict + "joins fiber ")) << end.errors;
    EXPECT_TRUE(end.says("\"first\" holds\n")) << end.errors;
    EXPECT_TRUE(end.says("\"second\" holds\n")) << end.errors;
}

TEST_F(deadlock, of_fibers_that_join_each_other) {
    const auto end = end_of([] {
        std::array<fiber<void>, 3> ring;
        for (std::size_t i = 0; i < ring.size(); ++i)
            ring.at(i) = spawn({.name = "link"}, [&ring, i] {
                this_fiber::yield();
                ring.at((i + 1) % ring.size()).wait();
            });
        ring[0].wait();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_TRUE(end.says(std::string{"\"link"} + verdict + "joins fiber ")) << end.errors;
    EXPECT_TRUE(end.says("\"link\"\n")) << end.errors; // and says which
}

TEST_F(deadlock, of_select_over_channels_is_one_too) {
    if (!is_seen())
        GTEST_SKIP() << "there are other threads in this process";
    const auto end = end_of([] {
        coir::channel<int> nobody_sends;
        std::optional<int> got;
        coir::select(coir::receive_from(nobody_sends, got));
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_TRUE(end.says(std::string{"\"main"} + verdict + "is in select()")) << end.errors;
}

TEST_F(deadlock, ends_shields_which_wait_for_what_will_never_come) {
    if (!is_seen())
        GTEST_SKIP() << "there are other threads in this process";
    const auto end = end_of([] {
        coir::event never;
        fiber<void> shielded = spawn([&] {
            const coir::shield in_peace;
            never.wait();
        });
        shielded.join();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

// Unlike a shield of the program's: its members may use variables around it.
TEST_F(deadlock, does_not_end_the_wait_of_a_task_group_for_its_members) {
    const auto end = end_of([] {
        struct tells_its_end {
            ~tells_its_end() {
                this_fiber::sleep_for(1s);
                coir::detail::report("member ends");
            }
        };
        fiber<void> opener;
        opener = spawn([&] {
            {
                coir::task_group group;
                group.spawn([&] {
                    const tells_its_end at_end;
                    opener.wait();
                });
            }
            coir::detail::report("group ends");
        });
        opener.wait();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_LT(end.errors.find("member ends"), end.errors.find("group ends")) << end.errors;
}

/// What is said while `work` runs beside a fiber that never rests.
child_end beside_a_ticker(const std::function<void()>& work) {
    return in_child([&work] {
        fake_driver driver;
        run_on(driver, [&work] {
            fiber<void> ticker = spawn([] {
                for (;;)
                    this_fiber::sleep_for(10ms);
            });
            work();
            ticker.cancel();
        });
        return !testing::Test::HasFailure();
    });
}

std::size_t times(const child_end& end, const std::string& text) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = end.errors.find(text, at)) != std::string::npos; ++at)
        ++count;
    return count;
}

constexpr const char* cycle = "\" is in a deadlock: only cancellation can end that; it ";

TEST_F(deadlock, of_some_is_told_while_others_run) {
    const auto end = beside_a_ticker([] {
        coir::mutex a;
        coir::mutex b;
        fiber<void> first = spawn({.name = "first"}, lock_both, std::ref(a), std::ref(b));
        fiber<void> second = spawn({.name = "second"}, lock_both, std::ref(b), std::ref(a));
        fiber<void> third = spawn({.name = "third"}, [&] { const std::lock_guard behind{a}; });
        this_fiber::sleep_for(1min);
        fiber<void> stranger = spawn([&] { const std::lock_guard behind{a}; }); // a reason to look again
        this_fiber::sleep_for(1min);
        first.cancel();
        second.join();
        third.join();
        stranger.join();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_EQ(times(end, std::string{"\"first"} + cycle + "waits for the mutex 0x"), 1U) << end.errors;
    EXPECT_EQ(times(end, std::string{"\"second"} + cycle + "waits for the mutex 0x"), 1U) << end.errors;
    EXPECT_EQ(times(end, "\"first\" holds\n"), 1U) << end.errors;
    EXPECT_EQ(times(end, cycle), 2U) << "those behind them are not in it: " << end.errors;
}

// A search soon after another one is put off, and not forgotten when nobody wakes the loop.
TEST_F(deadlock, of_some_right_after_others_is_told_too) {
    const auto end = in_child([] {
        fake_driver driver;
        run_on(driver, [] {
            const fiber<void> sleeper = spawn([] { this_fiber::sleep_for(24h); });
            std::array<coir::mutex, 4> mutexes;
            std::vector<fiber<void>> all;
            for (const std::size_t i : {0U, 2U}) {
                all.push_back(
                    spawn({.name = "first"}, lock_both, std::ref(mutexes.at(i)), std::ref(mutexes.at(i + 1))));
                all.push_back(
                    spawn({.name = "second"}, lock_both, std::ref(mutexes.at(i + 1)), std::ref(mutexes.at(i))));
                this_fiber::sleep_for(500ms);
            }
            this_fiber::sleep_for(1h);
            coir::detail::report("an hour later");
            all[0].cancel();
            all[2].cancel();
            all[1].join();
            all[3].join();
        });
        return !testing::Test::HasFailure();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_EQ(times(end, cycle), 4U) << end.errors;
    EXPECT_GT(end.errors.find("an hour later"), end.errors.rfind(cycle)) << end.errors;
}

TEST_F(deadlock, of_a_fiber_that_joins_who_waits_for_its_mutex_is_told_while_others_run) {
    const auto end = beside_a_ticker([] {
        coir::mutex mutex;
        fiber<void> holder = spawn({.name = "holder"}, [&] {
            const std::lock_guard hold{mutex};
            spawn({.name = "joined"}, [&] { const std::lock_guard never{mutex}; }).join();
        });
        this_fiber::sleep_for(2s);
        holder.cancel();
        holder.wait();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_EQ(times(end, std::string{"\"holder"} + cycle + "joins fiber "), 1U) << end.errors;
    EXPECT_EQ(times(end, std::string{"\"joined"} + cycle + "waits for the mutex 0x"), 1U) << end.errors;
}

// As a condition variable does when it locks again.
TEST_F(deadlock, behind_a_shield_is_told_whatever_the_deadline_around_it) {
    const auto end = beside_a_ticker([] {
        coir::mutex mutex;
        fiber<void> holder = spawn({.name = "holder"}, [&] {
            const std::lock_guard hold{mutex};
            fiber<void> shielded = spawn({.name = "shielded"}, [&] {
                coir::cancel_scope scope{1h};
                scope.run([&] {
                    const coir::shield in_peace;
                    const std::lock_guard never{mutex};
                });
            });
            this_fiber::yield();
            shielded.wait();
        });
        this_fiber::sleep_for(2s);
        holder.cancel(); // its destructor of `shielded` waits, and the mutex is free only after that
        this_fiber::sleep_for(2s);
        ::_exit(0);
    });
    EXPECT_EQ(times(end, std::string{"\"shielded"} + cycle + "waits for the mutex 0x"), 1U) << end.errors;
}

TEST_F(deadlock, that_a_deadline_ends_is_not_told) {
    const auto end = beside_a_ticker([] {
        for (const bool own_deadline : {true, false}) {
            coir::mutex a;
            coir::mutex b;
            fiber<void> first = spawn({.name = "first"}, [&] {
                const std::lock_guard hold{a};
                this_fiber::sleep_for(1s);
                if (own_deadline) {
                    EXPECT_FALSE(b.try_lock_for(1min));
                } else {
                    coir::cancel_scope scope{1min};
                    EXPECT_FALSE(scope.run([&] { const std::lock_guard never{b}; }));
                }
            });
            fiber<void> second = spawn({.name = "second"}, lock_both, std::ref(b), std::ref(a));
            first.join();
            second.join();
        }
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_EQ(end.errors, "");
}

TEST_F(deadlock, with_oneself_is_an_error_at_once) {
    fake_driver driver;
    run_on(driver, [] {
        fiber<void> itself;
        itself = spawn([&] { EXPECT_THROW(itself.join(), std::logic_error); });
        itself.wait();
        itself.join();
        coir::mutex mutex;
        const std::lock_guard hold{mutex};
        EXPECT_THROW(mutex.lock(), std::system_error);
    });
}

TEST_F(deadlock, of_task_groups_whose_members_wait_for_each_others_places) {
    const auto end = end_of([] {
        coir::task_group one{.max_concurrent = 1};
        coir::task_group other{.max_concurrent = 1};
        one.spawn({.name = "member"}, [&] { other.spawn([] {}); });
        other.spawn({.name = "member"}, [&] { one.spawn([] {}); });
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_TRUE(end.says(std::string{"\"member"} + verdict + "waits for the task group")) << end.errors;
}

TEST_F(deadlock, unwinds_everybody_before_it_is_thrown) {
    if (!is_seen())
        GTEST_SKIP() << "there are other threads in this process";
    const auto end = end_of([] {
        static int unwound = 0;
        struct count_end {
            ~count_end() {
                if (++unwound == 3)
                    coir::detail::report("all unwound");
            }
        };
        coir::mutex mutex;
        const count_end of_main;
        fiber<void> holder = spawn([&] {
            const count_end at_end;
            const std::lock_guard hold{mutex};
            spawn([&] {
                const count_end inside;
                const std::lock_guard never{mutex};
            }).join();
        });
        holder.join();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_TRUE(end.says("all unwound")) << end.errors;
}

TEST_F(deadlock, is_not_what_cancellation_or_a_timer_may_still_end) {
    fake_driver driver;
    run_on(driver, [&] {
        coir::mutex a;
        coir::mutex b;
        fiber<void> first = spawn(lock_both, std::ref(a), std::ref(b));
        fiber<void> second = spawn(lock_both, std::ref(b), std::ref(a));
        EXPECT_FALSE(first.wait(1h)); // a deadline of anybody
        coir::cancel_scope scope{1h};
        EXPECT_FALSE(scope.run([&] { first.join(); }));
        this_fiber::sleep_for(1h);
        first.cancel();
        second.join();
        EXPECT_THROW(first.join(), cancelled);
    });
    EXPECT_GE(driver.elapsed(), 3h);
}

TEST_F(deadlock, is_not_where_a_descriptor_may_still_become_ready) {
    fake_driver driver;
    run_on(driver, [&] {
        coir::mutex mutex;
        fake_source source; // waits as for a descriptor
        fiber<void> reader = spawn([&] {
            const std::lock_guard hold{mutex};
            source.wait();
        });
        this_fiber::yield();
        driver.at(1h, [&] { source.notify_one(); });
        const std::lock_guard hold{mutex};
        EXPECT_EQ(driver.elapsed(), 1h);
    });
}

/// As a select() of a descriptor.
class descriptor_case final : public coir::detail::selectable {
public:
    explicit descriptor_case(coir::detail::wait_kind kind) : selectable(kind) {}
    bool try_now() override { return false; }
    bool enter() noexcept override { return true; }
    void leave() noexcept override {}
    bool complete(coir::detail::wake_reason /*why*/) override { return true; }
};

// All but one wait for that one to end.
TEST_F(deadlock, is_not_where_something_from_outside_may_still_come) {
    using coir::detail::loop;
    using coir::detail::wait_kind;
    for (const wait_kind kind : {wait_kind::sleep, wait_kind::readable, wait_kind::writable, wait_kind::file}) {
        fake_driver driver;
        run_on(driver, [&] {
            coir::detail::wait_record record{kind, nullptr};
            driver.at(1h, [&] { loop::current()->wake(record, coir::detail::wake_reason::notified); });
            spawn([&] { (void)loop::current()->wait(record, coir::deadline::never()); }).join();
        });
        EXPECT_EQ(driver.elapsed(), 1h);
    }
    for (const wait_kind kind : {wait_kind::readable, wait_kind::writable}) {
        fake_driver driver;
        run_on(driver, [&] {
            coir::event event;
            driver.at(1h, [&] { event.set(); });
            spawn([&] { coir::select(descriptor_case{kind}, coir::is_set(event)); }).join();
        });
        EXPECT_EQ(driver.elapsed(), 1h);
    }
}

// What they do in destructors may take longer than a shutdown.
TEST_F(deadlock, has_ended_when_the_first_fiber_has) {
    const auto work = [] {
        struct sleeps_at_end {
            ~sleeps_at_end() {
                this_fiber::sleep_for(24h);
                coir::detail::report("has slept");
            }
        };
        const sleeps_at_end at_end;
        std::array<fiber<void>, 2> ring;
        for (std::size_t i = 0; i < ring.size(); ++i)
            ring.at(i) = spawn([&ring, i] {
                this_fiber::yield();
                ring.at(1 - i).wait();
            });
        ring[0].wait();
    };
    const auto end = end_of(work, {.shutdown_deadline = 5s});
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_TRUE(end.says("has slept")) << end.errors;
    EXPECT_FALSE(end.says("given up")) << end.errors;
}

TEST_F(deadlock, is_not_where_another_thread_may_still_come) {
    coir::mutex mutex;
    std::atomic<bool> held{false};
    sleeping_driver driver;
    std::thread other([&] {
        const std::lock_guard hold{mutex};
        held = true;
        held.notify_one();
        driver.await_sleep();
    });
    held.wait(false);
    bool locked = false;
    run_on(driver, [&] {
        const std::lock_guard hold{mutex};
        locked = true;
    });
    other.join();
    EXPECT_TRUE(locked);
}

} // namespace
