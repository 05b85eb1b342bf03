// Hazard G1: who is greedy, and takes the mutex again at the very moment when it is free, cannot keep it from one that waits. In
// an order that leaves nothing to chance: the greedy ones are always in time, and without hand-over would be for ever.

#include "sched/fake_driver.hpp"

#include <coir/deadline.hpp>
#include <coir/fiber.hpp>
#include <coir/mutex.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <semaphore>
#include <thread>
#include <utility>

namespace {

using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

constexpr int most_rounds = 6; // lib/sync/mutex.cpp needs fewer, whoever waits behind

/// A thread without a loop that does what it is told, while the one that tells it blocks its own thread.
class obedient_thread {
public:
    obedient_thread() = default;
    obedient_thread(const obedient_thread&) = delete;
    obedient_thread& operator=(const obedient_thread&) = delete;
    ~obedient_thread() {
        task_ = nullptr;
        told_.release();
        thread_.join();
    }

    void perform(std::function<void()> task) {
        task_ = std::move(task);
        told_.release();
        done_.acquire();
    }

private:
    void live() {
        for (told_.acquire(); task_; told_.acquire()) {
            task_();
            done_.release();
        }
    }

    std::function<void()> task_;
    std::binary_semaphore told_{0};
    std::binary_semaphore done_{0};
    std::thread thread_{[this] { live(); }};
};

/// Two threads that take the mutex from one another.
class greedy_pair {
public:
    explicit greedy_pair(coir::mutex& mutex) : mutex_(mutex) {
        greedy_[holder_].perform([this] { mutex_.lock(); });
    }

    /// The one that has the mutex unlocks it, and the other takes it, as lock() does: try_lock() alone would respect those in
    /// the queue. False: it is not free.
    bool pass_on() {
        release();
        holder_ = 1 - holder_;
        bool taken = false;
        greedy_[holder_].perform([&] { taken = mutex_.try_lock_until(coir::deadline::passed()); });
        return taken;
    }

    void release() {
        greedy_[holder_].perform([this] { mutex_.unlock(); });
    }

private:
    coir::mutex& mutex_;
    std::array<obedient_thread, 2> greedy_;
    std::size_t holder_ = 0;
};

// The waiter's thread is blocked whenever the mutex is free. So it is woken to compete, and too late, each time.
TEST(hand_over, to_a_fiber_of_another_thread_comes_after_some_losses) {
    fake_driver driver;
    run_on(driver, [] {
        coir::mutex mutex;
        greedy_pair greedy{mutex};
        bool has_been_in = false;
        fiber<void> waiter = spawn([&] {
            const std::lock_guard hold{mutex};
            has_been_in = true;
        });
        const auto let_it_try = [] { this_fiber::sleep_for(1ms); };
        let_it_try();
        int lost = 0;
        while (lost < most_rounds && greedy.pass_on()) {
            ++lost;
            let_it_try();
            EXPECT_FALSE(has_been_in);
        }
        EXPECT_GT(lost, 0) << "is not woken to compete, so this says nothing about greedy threads";
        EXPECT_LT(lost, most_rounds) << "starves";
        if (lost == most_rounds)
            greedy.release();
        waiter.join();
        EXPECT_TRUE(has_been_in);
    });
}

// The same when another one waits behind it, and has its turn after it.
TEST(hand_over, to_fibers_of_another_thread_comes_in_their_order) {
    fake_driver driver;
    run_on(driver, [] {
        coir::mutex mutex;
        greedy_pair greedy{mutex};
        int been_in = 0;
        const auto wait_for_it = [&](int turn) {
            const std::lock_guard hold{mutex};
            EXPECT_EQ(been_in++, turn);
        };
        fiber<void> first = spawn([&] { wait_for_it(0); });
        fiber<void> second = spawn([&] { wait_for_it(1); });
        this_fiber::sleep_for(1ms);
        int lost = 0;
        for (; lost < most_rounds && greedy.pass_on(); ++lost)
            this_fiber::sleep_for(1ms);
        EXPECT_LT(lost, most_rounds) << "starves";
        if (lost == most_rounds)
            greedy.release();
        first.join();
        second.join();
        EXPECT_EQ(been_in, 2);
    });
}

// Whenever it is free for good, after however many losses: also if that is when it is handed over.
TEST(hand_over, to_one_does_not_forget_the_other) {
    for (int passes = 0; passes < most_rounds; ++passes) {
        fake_driver driver;
        run_on(driver, [passes] {
            coir::mutex mutex;
            greedy_pair greedy{mutex};
            const auto wait_for_it = [&] { const std::lock_guard hold{mutex}; };
            fiber<void> first = spawn(wait_for_it);
            fiber<void> second = spawn(wait_for_it);
            this_fiber::sleep_for(1ms);
            bool is_taken = true;
            for (int i = 0; i < passes && is_taken; ++i) {
                is_taken = greedy.pass_on();
                this_fiber::sleep_for(1ms);
            }
            if (is_taken)
                greedy.release();
            EXPECT_TRUE(first.wait(1h));
            EXPECT_TRUE(second.wait(1h));
        });
    }
}

// Within a loop the waiter has it at once: a fiber that locks it again without having suspended finds it taken.
TEST(hand_over, to_a_fiber_of_the_same_loop_comes_at_once) {
    fake_driver driver;
    run_on(driver, [] {
        coir::mutex mutex;
        bool has_been_in = false;
        mutex.lock();
        fiber<void> waiter = spawn([&] {
            const std::lock_guard hold{mutex};
            has_been_in = true;
        });
        this_fiber::yield();
        int lost = 0;
        for (mutex.unlock(); lost < most_rounds && mutex.try_lock(); mutex.unlock())
            ++lost;
        EXPECT_EQ(lost, 0);
        EXPECT_FALSE(has_been_in); // has it, and has not run yet
        waiter.join();
        EXPECT_TRUE(has_been_in);
    });
}

} // namespace
