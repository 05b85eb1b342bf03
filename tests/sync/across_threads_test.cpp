// Every primitive between two loops and a thread without a loop. COIR_STRESS_SECONDS=n repeats them for so long, all in all.

#include <coir/channel.hpp>
#include <coir/condition_variable.hpp>
#include <coir/event.hpp>
#include <coir/fiber.hpp>
#include <coir/mutex.hpp>
#include <coir/recursive_mutex.hpp>
#include <coir/run.hpp>
#include <coir/select.hpp>
#include <coir/semaphore.hpp>
#include <coir/shared_mutex.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using coir::channel;
using coir::fiber;
using coir::spawn;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;
using steady_clock = std::chrono::steady_clock;

constexpr int tests = 17; // instances of the typed ones, too

/// Calls `round` once, or again and again for this test's part of COIR_STRESS_SECONDS.
template <class Round> void stress(Round round) {
    const char* seconds = std::getenv("COIR_STRESS_SECONDS");
    const auto end = steady_clock::now() + 1000ms * (seconds ? std::atoi(seconds) : 0) / tests;
    do
        round();
    while (steady_clock::now() < end);
}

/// Four at once: two threads with a loop, with two fibers each, and two threads without. Calls `work` in each of the six.
template <class Work> void everywhere(Work work) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back(work);
        threads.emplace_back([&work] {
            coir::run([&work] {
                fiber<void> one = spawn([&work] { work(); });
                fiber<void> two = spawn([&work] { work(); });
                one.join();
                two.join();
            });
        });
    }
    for (auto& each : threads)
        each.join();
}

constexpr int places = 6;
constexpr int turns = 300;

// Gives others a chance to come in between.
void pause_now_and_then(int turn) {
    if (turn % 16 == 0)
        std::this_thread::yield();
}

template <class Mutex> class mutex_across_threads : public testing::Test {};
using all_lockables = testing::Types<coir::mutex, coir::recursive_mutex, coir::shared_mutex>;
TYPED_TEST_SUITE(mutex_across_threads, all_lockables, );

TYPED_TEST(mutex_across_threads, excludes_and_lets_everybody_in) {
    stress([] {
        TypeParam mutex;
        int counter = 0; // plain: ThreadSanitizer says if it is not guarded
        everywhere([&] {
            for (int i = 0; i < turns; ++i) {
                const std::lock_guard hold{mutex};
                ++counter;
                pause_now_and_then(i);
            }
        });
        EXPECT_EQ(counter, places * turns);
    });
}

TYPED_TEST(mutex_across_threads, deadlines_and_locks_come_at_the_same_time) {
    stress([] {
        TypeParam mutex;
        int counter = 0;
        std::atomic<int> locked{0};
        everywhere([&] {
            for (int i = 0; i < turns / 3; ++i)
                if (mutex.try_lock_for(std::chrono::microseconds{i % 50})) {
                    ++counter;
                    ++locked;
                    pause_now_and_then(i);
                    mutex.unlock();
                }
        });
        EXPECT_EQ(counter, locked);
        EXPECT_TRUE(mutex.try_lock()); // nobody who gave up holds it
        mutex.unlock();
    });
}

// A fiber waits for what a thread without a loop holds, and the other way round; deterministic.
TYPED_TEST(mutex_across_threads, a_thread_waits_for_a_fiber_and_a_fiber_for_a_thread) {
    TypeParam mutex;
    coir::event held;
    std::atomic<int> order{0};
    std::thread other{[&] {
        mutex.lock();
        held.set();
        order = 1;
        mutex.unlock();
    }};
    coir::run([&] {
        held.wait();
        const std::lock_guard hold{mutex};
        EXPECT_EQ(order, 1);
    });
    other.join();
    std::thread waiter;
    coir::run([&] {
        mutex.lock();
        waiter = std::thread{[&] {
            const std::lock_guard hold{mutex};
            EXPECT_EQ(order, 2);
        }};
        this_fiber::sleep_for(1ms);
        order = 2;
        mutex.unlock();
    });
    waiter.join();
}

TEST(across_threads, shared_mutex_keeps_readers_and_writers_apart) {
    stress([] {
        coir::shared_mutex mutex;
        int value = 0;
        everywhere([&] {
            for (int i = 0; i < turns; ++i)
                if (i % 4 == 0) {
                    const std::lock_guard hold{mutex};
                    ++value;
                } else {
                    const std::shared_lock hold{mutex};
                    const int before = value;
                    pause_now_and_then(i);
                    EXPECT_EQ(value, before);
                }
        });
        EXPECT_EQ(value, places * turns / 4);
    });
}

// One slot, passed to and fro: a single lost wake-up stops it (hazard G2).
template <class Wait, class Wake> void ping_pong(Wait wait, Wake wake, bool plain_thread) {
    const auto one_side = [&](int own) {
        for (int i = 0; i < turns; ++i) {
            wait(own);
            wake(1 - own);
        }
    };
    std::thread other{[&] {
        if (plain_thread)
            one_side(1);
        else
            coir::run([&] { one_side(1); });
    }};
    coir::run([&] { one_side(0); });
    other.join();
}

TEST(across_threads, condition_variable_ping_pong) {
    stress([] {
        for (const bool plain_thread : {false, true}) {
            coir::mutex mutex;
            coir::condition_variable changed;
            int turn = 0;
            ping_pong(
                [&](int own) {
                    std::unique_lock lock{mutex};
                    changed.wait(lock, [&] { return turn == own; });
                },
                [&](int other) {
                    const std::lock_guard hold{mutex};
                    turn = other;
                    changed.notify_one();
                },
                plain_thread);
        }
    });
}

TEST(across_threads, semaphore_ping_pong) {
    stress([] {
        for (const bool plain_thread : {false, true}) {
            std::array<coir::binary_semaphore, 2> turn{coir::binary_semaphore{1}, coir::binary_semaphore{0}};
            ping_pong([&](int own) { turn.at(static_cast<std::size_t>(own)).acquire(); },
                      [&](int other) { turn.at(static_cast<std::size_t>(other)).release(); }, plain_thread);
        }
    });
}

TEST(across_threads, condition_variable_waits_expire_while_it_is_notified_and_destroyed) {
    stress([] {
        for (int round = 0; round < turns / 6; ++round) {
            coir::mutex mutex;
            auto changed = std::make_unique<coir::condition_variable>();
            int waiting = 0;
            std::thread other{[&] {
                coir::run([&] {
                    std::unique_lock lock{mutex};
                    ++waiting;
                    changed->wait_for(lock, std::chrono::microseconds{round * 2});
                });
            }};
            for (bool seen = false; !seen;) {
                std::this_thread::yield();
                const std::lock_guard hold{mutex};
                if (waiting == 1) {
                    seen = true;
                    changed->notify_all();
                    changed.reset(); // though the one that was notified has not returned
                }
            }
            other.join();
        }
    });
}

TEST(across_threads, event_wakes_all_and_may_be_destroyed_by_the_first) {
    stress([] {
        for (int round = 0; round < turns / 6; ++round) {
            auto happened = std::make_unique<coir::event>();
            std::thread setter{[event = happened.get()] { event->set(); }};
            if (round % 2 == 0)
                happened->wait();
            else
                coir::run([&] { happened->wait(); });
            happened.reset();
            setter.join();
        }
    });
}

TEST(across_threads, channels_lose_nothing_to_deadlines_and_close) {
    for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{64}, channel<int>::unbounded})
        stress([capacity] {
            channel<std::unique_ptr<int>> numbers{capacity};
            std::atomic<long> sent{0};
            std::atomic<long> received{0};
            std::atomic<int> senders_left{places};
            std::thread receivers{[&] {
                everywhere([&] {
                    std::error_code error;
                    for (;;) {
                        const auto message = numbers.receive(error, 50us);
                        if (message)
                            received += **message;
                        else if (!error)
                            return; // closed
                    }
                });
            }};
            everywhere([&] {
                for (int i = 1; i <= turns; ++i) {
                    auto message = std::make_unique<int>(i);
                    std::error_code error;
                    if (numbers.send(std::move(message), error, 50us))
                        sent += i;
                    else
                        EXPECT_TRUE(message);
                }
                if (--senders_left == 1)
                    numbers.close(); // while others still send
            });
            receivers.join();
            EXPECT_EQ(sent, received);
            EXPECT_GT(sent, 0);
        });
}

// Loops that end at random moments: what was sent has been received once and in order, or the sender was told (hazard E8).
TEST(across_threads, what_four_threads_send_arrives_or_is_refused) {
    stress([] {
        struct message {
            std::size_t thread;
            std::size_t number;
        };
        constexpr std::size_t threads = 4;
        constexpr std::size_t each_sends = 250'000;
        for (std::size_t expected : {std::size_t{1}, std::size_t{1'000}, std::size_t{333'333}, threads * each_sends}) {
            channel<message> messages{channel<message>::unbounded};
            std::array<std::size_t, threads> sent{};
            std::array<std::size_t, threads> received{};
            std::vector<std::thread> senders;
            for (std::size_t t = 0; t < threads; ++t)
                senders.emplace_back([&messages, &count = sent[t], t] {
                    std::error_code error;
                    while (count < each_sends && messages.send({t, count}, error))
                        ++count;
                    EXPECT_TRUE(!error || error == std::errc::broken_pipe);
                });
            coir::run([&] {
                for (std::size_t count = 1; const auto next = messages.receive(); ++count) {
                    EXPECT_EQ(next->number, received[next->thread]++);
                    if (count == expected)
                        messages.close(); // and then what is left
                }
            });
            for (auto& each : senders)
                each.join();
            EXPECT_EQ(received, sent);
        }
    });
}

TEST(across_threads, select_chooses_once) {
    stress([] {
        std::array<channel<int>, 4> all;
        coir::event done;
        std::atomic<long> sent{0};
        std::atomic<long> received{0};
        std::thread receivers{[&] {
            everywhere([&] {
                std::array<std::optional<int>, 4> into;
                for (;;) {
                    const std::size_t which =
                        coir::select(coir::receive_from(all[0], into[0]), coir::receive_from(all[1], into[1]),
                                     coir::receive_from(all[2], into[2]), coir::receive_from(all[3], into[3]),
                                     coir::is_set(done), coir::after(100us));
                    if (which < 4)
                        received += into.at(which).value();
                    else if (which == 4)
                        return;
                }
            });
        }};
        everywhere([&] {
            for (int i = 1; i <= turns / 3; ++i) {
                int one = i;
                int two = i;
                const auto first = static_cast<std::size_t>(i) % 4;
                if (coir::select(coir::send_to(all.at(first), one), coir::send_to(all.at((first + 1) % 4), two),
                                 coir::after(100us)) < 2)
                    sent += i;
            }
        });
        done.set();
        receivers.join();
        EXPECT_EQ(sent, received);
        EXPECT_GT(sent, 0);
    });
}

} // namespace
