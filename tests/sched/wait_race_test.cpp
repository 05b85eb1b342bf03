// Several sources may end one wait within one turn of the loop. Whatever the order, the fiber resumes once (hazard F7).

#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <random>
#include <string>
#include <system_error>
#include <vector>

namespace {

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

using wait_race = coir::detail::with_fake_driver;

/// All that may end a wait, in the order in which they come.
using order = std::array<wake_reason, 3>;

std::vector<order> all_orders() {
    order each{wake_reason::notified, wake_reason::timed_out, wake_reason::cancelled};
    std::vector<order> all;
    do
        all.push_back(each);
    while (std::next_permutation(each.begin(), each.end()));
    return all;
}

// From one event of the driver: as when one epoll_wait reports all of it.
TEST_F(wait_race, the_first_of_three_sources_wins_whatever_the_order) {
    for (const order& sources : all_orders()) {
        run_on(driver, [&] {
            fake_source source;
            int resumed = 0;
            wake_reason seen = wake_reason::none;
            fiber<void> waiter = spawn([&] {
                seen = source.wait(1h);
                ++resumed;
                EXPECT_FALSE(source.has_waiters()); // it is in nobody's list any more
                const auto before = driver.elapsed();
                std::error_code error;
                this_fiber::sleep_for(10h, error); // nor in the queue of timers
                EXPECT_TRUE(error || driver.elapsed() == before + 10h);
            });
            this_fiber::yield();
            driver.at(driver.elapsed() + 1s, [&] {
                for (const wake_reason each : sources) {
                    if (each == wake_reason::notified)
                        source.notify_one();
                    else if (each == wake_reason::timed_out)
                        driver.advance(2h); // timers fire after the events
                    else
                        waiter.cancel();
                }
            });
            waiter.join();
            EXPECT_EQ(resumed, 1);
            const bool notified_first = std::find(sources.begin(), sources.end(), wake_reason::notified) <
                                        std::find(sources.begin(), sources.end(), wake_reason::cancelled);
            EXPECT_EQ(seen, notified_first ? wake_reason::notified : wake_reason::cancelled);
        });
    }
}

// From another fiber, between the turns.
TEST_F(wait_race, the_first_of_two_sources_wins_before_the_waiter_runs) {
    for (const bool notify_first : {false, true}) {
        run_on(driver, [&] {
            fake_source source;
            wake_reason seen = wake_reason::none;
            int resumed = 0;
            fiber<void> waiter = spawn([&] {
                seen = source.wait(1h);
                ++resumed;
            });
            this_fiber::yield();
            if (notify_first) {
                EXPECT_TRUE(source.notify_one());
                waiter.cancel();
            } else {
                waiter.cancel();
                EXPECT_FALSE(source.notify_one()); // the token is not lost: the caller knows
            }
            waiter.join();
            EXPECT_EQ(resumed, 1);
            EXPECT_EQ(seen, notify_first ? wake_reason::notified : wake_reason::cancelled);
        });
    }
}

TEST_F(wait_race, expiry_wins_over_what_comes_later_in_the_same_turn) {
    run_on(driver, [&] {
        fake_source source;
        wake_reason seen = wake_reason::none;
        fiber<void> waiter = spawn([&] { seen = source.wait(1s); });
        fiber<void> other = spawn([&] {
            this_fiber::sleep_for(1s); // ends in the same turn
            EXPECT_FALSE(source.notify_one());
        });
        this_fiber::yield();
        other.wait();
        waiter.cancel();
        waiter.wait();
        EXPECT_EQ(seen, wake_reason::timed_out);
    });
}

TEST_F(wait_race, a_deadline_that_has_passed_asks_without_waiting) {
    run_on(driver, [&] {
        fake_source source;
        EXPECT_EQ(source.wait(deadline::passed()), wake_reason::timed_out);
        EXPECT_FALSE(source.has_waiters());
        EXPECT_EQ(driver.elapsed(), 0s);
        EXPECT_EQ(source.wait(-5s), wake_reason::timed_out);
        EXPECT_FALSE(source.has_waiters());
        EXPECT_EQ(driver.elapsed(), 0s);
    });
}

TEST_F(wait_race, the_end_of_a_fiber_and_the_joiners_deadline_in_the_same_turn) {
    for (const bool worker_first : {false, true}) {
        run_on(driver, [&] {
            const deadline when = 1s;
            const auto work = [when] {
                this_fiber::sleep_until(when);
                return 6;
            };
            fiber<int> worker;
            if (worker_first) {
                worker = spawn(work);
                this_fiber::yield();
            } else {
                worker = spawn([=] {
                    this_fiber::yield();
                    return work();
                });
            }
            try {
                EXPECT_EQ(worker.join(when), 6);
            } catch (const std::system_error& error) {
                EXPECT_EQ(error.code(), std::errc::timed_out);
                EXPECT_EQ(worker.join(), 6); // the result is not lost
            }
        });
    }
}

TEST_F(wait_race, a_result_that_came_with_cancellation_is_delivered) {
    run_on(driver, [&] {
        fiber<int> worker = spawn([] {
            this_fiber::sleep_for(1s);
            return 6;
        });
        int joined = 0;
        fiber<void> joiner = spawn([&] { joined = worker.join(); });
        this_fiber::yield();
        driver.at(1s, [] {});
        worker.wait(); // queued behind the joiner
        joiner.cancel();
        joiner.wait();
        EXPECT_EQ(joined == 6, !worker.joinable());
        if (worker.joinable()) {
            EXPECT_EQ(worker.join(), 6);
        }
    });
}

TEST_F(wait_race, timeouts_do_not_swallow_later_notifications) {
    run_on(driver, [&] {
        fake_source source;
        std::string log;
        fiber<void> impatient = spawn([&] { log += source.wait(1s) == wake_reason::timed_out ? "timed out, " : "?"; });
        fiber<void> patient = spawn([&] { log += source.wait() == wake_reason::notified ? "notified" : "?"; });
        this_fiber::sleep_for(2s);
        EXPECT_TRUE(source.notify_one());
        patient.join();
        impatient.join();
        EXPECT_EQ(log, "timed out, notified");
    });
}

// Random times of everything: each wait ends exactly once, and every successful notification is a wait that says so.
TEST_F(wait_race, a_thousand_random_waits_end_once_each) {
    for (unsigned seed = 1; seed <= 5; ++seed) {
        run_on(driver, [&] {
            std::minstd_rand random{seed};
            std::array<fake_source, 8> sources;
            std::size_t notified = 0;
            std::size_t expired = 0;
            std::size_t ended_by_cancel = 0;
            std::size_t waits = 0;
            std::size_t given = 0;
            std::vector<fiber<void>> waiters;
            for (int i = 0; i < 100; ++i)
                waiters.push_back(spawn([&, own_seed = static_cast<unsigned>(random())] {
                    std::minstd_rand own{own_seed};
                    for (int turn = 0; turn < 50; ++turn) {
                        ++waits;
                        const auto reason = sources[own() % sources.size()].wait(
                            own() % 4 == 0 ? deadline::never() : deadline{std::chrono::milliseconds{own() % 20}});
                        notified += reason == wake_reason::notified ? 1U : 0U;
                        expired += reason == wake_reason::timed_out ? 1U : 0U;
                        if (reason == wake_reason::cancelled) {
                            ++ended_by_cancel;
                            return;
                        }
                    }
                }));
            const fiber<void> notifier = spawn([&] {
                std::minstd_rand own{seed + 100};
                for (;;) {
                    this_fiber::sleep_for(std::chrono::milliseconds{own() % 3});
                    for (auto times = own() % 30; times > 0; --times)
                        given += sources[own() % sources.size()].notify_one() ? 1U : 0U;
                    if (own() % 8 == 0)
                        waiters[own() % waiters.size()].cancel();
                }
            });
            for (auto& each : waiters)
                each.wait();
            EXPECT_EQ(notified, given);
            EXPECT_EQ(notified + expired + ended_by_cancel, waits);
            EXPECT_GT(notified, 100U);
            EXPECT_GT(expired, 100U);
        });
    }
}

} // namespace
