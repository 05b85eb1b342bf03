// Waits that other threads can end: who claims first wins, whatever the order, and nobody is woken twice or never.
// COIR_SHARED_WAITS=n: so many waits in the stress test, instead of 80,000.

#include "base/spin_lock.hpp"
#include "sched/fake_driver.hpp"
#include "sched/shared_wait.hpp"
#include "sched/thread_parker.hpp"

#include <coir/detail/shared_wait.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using coir::deadline;
using coir::fiber;
using coir::spawn;
using coir::detail::claim;
using coir::detail::deliver;
using coir::detail::fake_driver;
using coir::detail::intrusive_list;
using coir::detail::run_on;
using coir::detail::select_case;
using coir::detail::shared_wait;
using coir::detail::sleeping_driver;
using coir::detail::spin_lock;
using coir::detail::wait_kind;
using coir::detail::wait_record;
using coir::detail::wake_reason;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

/// What objects of lib/sync have in common: those who wait, in turn, under a lock.
class gate {
public:
    wake_reason wait(deadline until = {}) {
        coir::detail::guard held{lock_};
        shared_wait record{wait_kind::event, this};
        record.begin();
        waiters_.push_back(record);
        held.unlock();
        record.park(until);
        if (record.plainly_notified())
            return wake_reason::notified;
        const wake_reason reason = record.end();
        held.lock();
        if (record.is_linked())
            record.unlink();
        return reason;
    }

    /// Claims the first that still waits; the caller delivers it.
    wait_record* claim_one() {
        const coir::detail::guard held{lock_};
        while (!waiters_.empty())
            if (wait_record& first = waiters_.pop_front(); claim(first, wake_reason::notified))
                return &first;
        return nullptr;
    }

    bool notify_one() {
        wait_record* const claimed = claim_one();
        if (claimed)
            deliver(*claimed);
        return claimed != nullptr;
    }

    bool has_waiters() {
        const coir::detail::guard held{lock_};
        return !waiters_.empty();
    }

private:
    spin_lock lock_;
    intrusive_list<wait_record> waiters_;
};

template <class Function> void on_another_thread(Function function) {
    std::thread(function).join();
}

TEST(shared_wait, is_ended_within_the_loop) {
    fake_driver driver;
    run_on(driver, [&] {
        gate door;
        std::optional<wake_reason> seen;
        fiber<void> waiter = spawn([&] { seen = door.wait(1h); });
        this_fiber::yield();
        EXPECT_TRUE(door.notify_one());
        EXPECT_FALSE(door.notify_one());
        EXPECT_FALSE(seen); // waking only makes ready
        waiter.join();
        EXPECT_EQ(seen, wake_reason::notified);
        EXPECT_EQ(door.wait(1s), wake_reason::timed_out);
        EXPECT_EQ(door.wait(deadline::passed()), wake_reason::timed_out);
        EXPECT_EQ(door.wait(-1s), wake_reason::timed_out);
        EXPECT_FALSE(door.has_waiters());
        this_fiber::sleep_for(2h); // its timer has gone, too
    });
    EXPECT_EQ(driver.elapsed(), 1s + 2h);
}

TEST(shared_wait, is_ended_by_another_thread_while_the_loop_runs) {
    fake_driver driver;
    run_on(driver, [&] {
        gate door;
        int notified = 0;
        std::vector<fiber<void>> waiters;
        for (int i = 0; i < 5; ++i)
            waiters.push_back(spawn([&] { notified += door.wait() == wake_reason::notified ? 1 : 0; }));
        this_fiber::yield();
        on_another_thread([&] {
            for (int i = 0; i < 5; ++i)
                EXPECT_TRUE(door.notify_one());
            EXPECT_FALSE(door.notify_one());
        });
        EXPECT_EQ(notified, 0);
        for (auto& each : waiters)
            each.join();
        EXPECT_EQ(notified, 5);
    });
    EXPECT_EQ(driver.notifications(), 0U); // the loop was awake
}

TEST(shared_wait, wakes_a_loop_that_sleeps_with_one_call_for_many) {
    sleeping_driver driver;
    gate door;
    std::thread other([&] {
        driver.await_sleep();
        std::array<wait_record*, 5> claimed{};
        for (wait_record*& each : claimed)
            each = door.claim_one();
        for (wait_record* each : claimed)
            deliver(*each);
    });
    int notified = 0;
    run_on(driver, [&] {
        std::vector<fiber<void>> waiters;
        for (int i = 0; i < 5; ++i)
            waiters.push_back(spawn([&] { notified += door.wait() == wake_reason::notified ? 1 : 0; }));
        for (auto& each : waiters)
            each.join();
    });
    other.join();
    EXPECT_EQ(notified, 5);
    // The loop may have woken up after the first, and slept again before the last.
    EXPECT_GE(driver.notifications(), 1);
    EXPECT_LE(driver.notifications(), 5);
}

// From the claim to the delivery nothing else ends the wait, and its frame stays.
TEST(shared_wait, that_has_been_claimed_waits_for_its_delivery) {
    for (const bool cancel : {false, true}) {
        fake_driver driver;
        run_on(driver, [&] {
            gate door;
            std::optional<wake_reason> seen;
            fiber<void> waiter = spawn([&] { seen = door.wait(1h); });
            this_fiber::yield();
            wait_record* claimed = nullptr;
            on_another_thread([&] { claimed = door.claim_one(); });
            ASSERT_NE(claimed, nullptr);
            if (cancel)
                waiter.cancel();
            else
                this_fiber::sleep_for(2h);
            this_fiber::yield();
            EXPECT_FALSE(seen);
            on_another_thread([&] { deliver(*claimed); });
            waiter.wait();
            EXPECT_EQ(seen, wake_reason::notified); // completion wins
        });
    }
}

// Claimed after the record could be seen and before its fiber has parked.
TEST(shared_wait, that_is_claimed_before_it_parks_is_delivered_nevertheless) {
    for (const bool deliver_early : {false, true})
        for (const deadline until : {deadline::never(), deadline::passed(), deadline{1h}})
            for (const bool cancelled : {false, true}) {
                fake_driver driver;
                run_on(driver, [&] {
                    fiber<void> waiter = spawn([&] {
                        shared_wait record{wait_kind::event, nullptr};
                        record.begin();
                        on_another_thread([&] {
                            EXPECT_TRUE(claim(record, wake_reason::notified));
                            if (deliver_early)
                                deliver(record);
                        });
                        fiber<void> late;
                        if (!deliver_early)
                            late = spawn([&] { deliver(record); });
                        record.park(until);
                        EXPECT_EQ(record.end(), wake_reason::notified);
                        late = {};
                    });
                    if (cancelled)
                        waiter.cancel();
                    waiter.wait();
                });
                EXPECT_EQ(driver.elapsed(), 0s);
            }
}

TEST(shared_wait, that_was_cancelled_or_has_expired_is_nobodys_to_claim) {
    fake_driver driver;
    run_on(driver, [&] {
        gate door;
        std::optional<wake_reason> seen;
        fiber<void> waiter = spawn([&] { seen = door.wait(); });
        this_fiber::yield();
        waiter.cancel();
        on_another_thread([&] { EXPECT_FALSE(door.notify_one()); }); // whose notification is not lost: it knows
        waiter.wait();
        EXPECT_EQ(seen, wake_reason::cancelled);

        waiter = spawn([&] { seen = door.wait(1s); });
        fiber<void> notifier = spawn([&] {
            this_fiber::sleep_for(1s); // in the same pass of the loop
            on_another_thread([&] { door.notify_one(); });
        });
        notifier.join();
        waiter.join();
        EXPECT_TRUE(seen == wake_reason::timed_out || seen == wake_reason::notified);
        EXPECT_FALSE(door.has_waiters());
    });
}

TEST(shared_wait, of_a_cancelled_fiber_ends_at_once) {
    fake_driver driver;
    run_on(driver, [&] {
        gate door;
        std::vector<wake_reason> seen;
        fiber<void> waiter = spawn([&] {
            for (const deadline until : {deadline::never(), deadline{1h}, deadline::passed()})
                seen.push_back(door.wait(until));
        });
        waiter.cancel();
        waiter.wait();
        EXPECT_EQ(seen, std::vector(3, wake_reason::cancelled));
        EXPECT_FALSE(door.has_waiters());
    });
}

TEST(shared_wait, of_a_select_is_claimed_through_one_of_its_cases) {
    fake_driver driver;
    run_on(driver, [&] {
        for (const bool from_another_thread : {false, true}) {
            fiber<void> notifier;
            shared_wait whole{wait_kind::select, nullptr};
            whole.begin();
            select_case first{wait_kind::receive, nullptr, whole};
            select_case second{wait_kind::send, nullptr, whole};
            notifier = spawn([&] {
                const auto notify = [&] {
                    EXPECT_TRUE(claim(second, wake_reason::notified));
                    EXPECT_FALSE(claim(first, wake_reason::notified));
                    EXPECT_FALSE(claim(second, wake_reason::notified));
                    EXPECT_FALSE(claim(whole, wake_reason::timed_out));
                    deliver(second);
                };
                if (from_another_thread)
                    on_another_thread(notify);
                else
                    notify();
            });
            whole.park(1h);
            EXPECT_EQ(whole.end(), wake_reason::notified);
            EXPECT_EQ(whole.chosen, &second);
            notifier.join();
        }
    });
}

TEST(shared_wait, of_a_thread_without_a_loop_blocks_the_thread) {
    gate door;
    EXPECT_EQ(door.wait(1ms), wake_reason::timed_out);
    EXPECT_EQ(door.wait(deadline::passed()), wake_reason::timed_out);
    EXPECT_FALSE(door.has_waiters());
    std::atomic<bool> notified{false};
    std::thread waiter([&] {
        EXPECT_EQ(door.wait(), wake_reason::notified);
        EXPECT_TRUE(notified);
    });
    while (!door.has_waiters())
        std::this_thread::yield();
    notified = true;
    fake_driver driver; // by a fiber
    run_on(driver, [&] { EXPECT_TRUE(door.notify_one()); });
    waiter.join();
}

// The loop may end as soon as its fibers have; who has woken the last one is still on the way back from it.
TEST(shared_wait, may_be_the_last_thing_in_the_life_of_a_loop) {
    for (int i = 0; i < 300; ++i) {
        gate door;
        std::thread other([&] {
            while (!door.notify_one())
                std::this_thread::yield();
        });
        coir::run([&] { door.wait(); });
        other.join();
    }
}

/// Waits of the stress test, in all threads. COIR_SHARED_WAITS=10000000 is what hazards F7 and G2 ask for.
long waits_in_all() {
    const char* const text = std::getenv("COIR_SHARED_WAITS");
    return text ? std::atol(text) : 80'000;
}

// Fibers of four loops wait at four gates, with deadlines about as long as the notifications take.
TEST(shared_wait, ends_exactly_once_under_stress) {
    std::array<gate, 4> gates;
    std::atomic<long> given{0};
    std::atomic<long> notified{0};
    std::atomic<long> expired{0};
    constexpr unsigned loops = 4;
    constexpr unsigned fibers = 8; // of each
    const long waits = waits_in_all() / (loops * fibers);
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < loops; ++t)
        threads.emplace_back([&, t] {
            coir::run([&, t] {
                std::vector<fiber<void>> workers;
                for (unsigned f = 0; f < fibers; ++f)
                    workers.push_back(spawn([&, seed = 100 * t + f] {
                        std::minstd_rand random{seed + 1};
                        for (long i = 0; i < waits; ++i) {
                            if (gates[random() % gates.size()].notify_one())
                                given.fetch_add(1, std::memory_order_relaxed);
                            const auto time = std::chrono::microseconds{random() % 200};
                            const wake_reason reason = gates[random() % gates.size()].wait(time);
                            ASSERT_TRUE(reason == wake_reason::notified || reason == wake_reason::timed_out);
                            (reason == wake_reason::notified ? notified : expired)
                                .fetch_add(1, std::memory_order_relaxed);
                        }
                    }));
                for (auto& each : workers)
                    each.join();
            });
        });
    for (auto& each : threads)
        each.join();
    EXPECT_EQ(notified, given);
    EXPECT_EQ(notified + expired, loops * fibers * waits);
    testing::Test::RecordProperty("notified", std::to_string(notified));
    testing::Test::RecordProperty("timed_out", std::to_string(expired));
    EXPECT_GT(notified, 0);
    EXPECT_GT(expired, 0);
    for (gate& each : gates)
        EXPECT_FALSE(each.has_waiters());
}

} // namespace
