#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/condition_variable.hpp>
#include <coir/fiber.hpp>
#include <coir/mutex.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using coir::cancelled;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

class condition_variable : public testing::Test {
protected:
    fiber<void> spawn_waiter(char name) {
        return spawn([this, name] {
            std::unique_lock lock{mutex};
            changed.wait(lock);
            EXPECT_TRUE(mutex.is_held());
            log += name;
        });
    }

    fake_driver driver;
    coir::mutex mutex;
    coir::condition_variable changed;
    std::string log;
};

/// A lock whose unlock() does what the test wants.
struct odd_lock {
    void lock() { held = true; }
    void unlock() {
        at_unlock();
        held = false;
    }
    std::function<void()> at_unlock = [] {};
    bool held = true;
};

TEST_F(condition_variable, notify_one_wakes_who_has_waited_longest) {
    run_on(driver, [this] {
        changed.notify_one(); // nobody is there: it is not kept
        std::vector<fiber<void>> waiters;
        for (const char name : {'a', 'b', 'c', 'd'})
            waiters.push_back(spawn_waiter(name));
        this_fiber::yield();
        changed.notify_one();
        changed.notify_one();
        for (int i = 0; i < 3; ++i)
            this_fiber::yield();
        EXPECT_EQ(log, "ab");
        changed.notify_all();
        for (auto& each : waiters)
            each.join();
        EXPECT_EQ(log, "abcd");
    });
}

TEST_F(condition_variable, a_predicate_is_asked_under_the_lock_until_it_holds) {
    run_on(driver, [this] {
        int value = 0;
        fiber<void> waiter = spawn([&] {
            std::unique_lock lock{mutex};
            changed.wait(lock, [&] {
                EXPECT_TRUE(mutex.is_held());
                return value == 2;
            });
            EXPECT_EQ(value, 2);
        });
        for (int i = 1; i <= 2; ++i) {
            this_fiber::yield();
            const std::lock_guard hold{mutex};
            value = i;
            changed.notify_one();
        }
        waiter.join();
    });
}

TEST_F(condition_variable, a_deadline_ends_the_wait_with_the_lock_held) {
    run_on(driver, [this] {
        std::unique_lock lock{mutex};
        EXPECT_EQ(changed.wait_for(lock, 1s), std::cv_status::timeout);
        EXPECT_EQ(driver.elapsed(), 1s);
        EXPECT_TRUE(mutex.is_held());
        EXPECT_FALSE(changed.wait_for(lock, 1s, [] { return false; }));
        EXPECT_EQ(driver.elapsed(), 2s);
        EXPECT_TRUE(changed.wait_for(lock, -1s, [] { return true; }));
        EXPECT_TRUE(changed.wait_for(lock, 1s, [this] { return driver.elapsed() == 3s; })); // is asked once more
        changed.notify_one(); // no trace is left of those who gave up
    });
}

TEST_F(condition_variable, cancellation_is_thrown_with_the_lock_held) {
    run_on(driver, [this] {
        fiber<void> unlucky = spawn([this] {
            std::unique_lock lock{mutex};
            try {
                changed.wait(lock);
            } catch (const cancelled&) {
                EXPECT_TRUE(mutex.is_held());
                throw;
            }
        });
        fiber<void> next = spawn_waiter('b');
        this_fiber::yield();
        mutex.lock(); // so that the cancelled one has to wait for it: that is not interrupted
        unlucky.cancel();
        changed.notify_one(); // not for the one that is cancelled
        this_fiber::yield();
        mutex.unlock();
        EXPECT_THROW(unlucky.join(), cancelled);
        next.join();
    });
    EXPECT_EQ(log, "b");
}

TEST_F(condition_variable, a_notification_that_has_come_is_not_lost_to_what_comes_later) {
    run_on(driver, [this] {
        fiber<std::cv_status> waiter = spawn([this] {
            std::unique_lock lock{mutex};
            return changed.wait_for(lock, 1s);
        });
        this_fiber::yield();
        changed.notify_one();
        waiter.cancel();
        driver.advance(2s);
        EXPECT_EQ(waiter.join(), std::cv_status::no_timeout);
    });
}

TEST_F(condition_variable, takes_any_lock_whose_unlock_may_suspend_notify_or_throw) {
    run_on(driver, [this] {
        odd_lock lock;
        lock.at_unlock = [this] { changed.notify_one(); }; // before it has parked
        EXPECT_EQ(changed.wait_for(lock, 1s), std::cv_status::no_timeout);
        EXPECT_TRUE(lock.held);

        fiber<void> notifier = spawn([this] { changed.notify_one(); });
        lock.at_unlock = [] { this_fiber::sleep_for(1ms); }; // a wait inside the wait, in which it is notified
        EXPECT_EQ(changed.wait_for(lock, 1s), std::cv_status::no_timeout);
        notifier.join();

        lock.at_unlock = [] { throw std::runtime_error{"unlock"}; };
        EXPECT_THROW(changed.wait(lock), std::runtime_error);
        lock.at_unlock = [this] {
            changed.notify_one();
            throw std::runtime_error{"unlock"};
        };
        EXPECT_THROW(changed.wait(lock), std::runtime_error);
        changed.notify_all(); // they are not in the queue any more
    });
    EXPECT_EQ(driver.elapsed(), 1ms);
}

// std::unique_lock has a try_lock(), which does not compile for such a lock.
TEST_F(condition_variable, takes_a_unique_lock_of_what_cannot_be_tried) {
    run_on(driver, [this] {
        odd_lock lockable{.held = false};
        std::unique_lock lock{lockable};
        EXPECT_EQ(changed.wait_for(lock, 1ms), std::cv_status::timeout);
        EXPECT_TRUE(lock.owns_lock() && lockable.held);
    });
}

TEST_F(condition_variable, locks_again_in_peace_what_waits_in_try_lock) {
    struct waiting_lock {
        void lock() { mutex.lock(); }
        bool try_lock() { return mutex.try_lock_for(0ns); }
        void unlock() { mutex.unlock(); }
        coir::mutex& mutex;
    };
    run_on(driver, [this] {
        fiber<void> waiter = spawn([this] {
            waiting_lock lock{mutex};
            lock.lock();
            changed.wait(lock);
            EXPECT_TRUE(mutex.is_held());
            mutex.unlock();
            log += 'w';
        });
        this_fiber::yield();
        const std::lock_guard hold{mutex};
        changed.notify_one();
        waiter.cancel();
        this_fiber::sleep_for(1ms);
    });
    EXPECT_EQ(log, "w");
}

TEST_F(condition_variable, may_be_destroyed_once_all_have_been_notified) {
    run_on(driver, [this] {
        auto shortlived = std::make_unique<coir::condition_variable>();
        const auto wait = [&] {
            std::unique_lock lock{mutex};
            return shortlived->wait_for(lock, 1s);
        };
        fiber<std::cv_status> notified = spawn(wait);
        fiber<std::cv_status> unlucky = spawn(wait);
        this_fiber::yield();
        unlucky.cancel(); // is still in the queue
        shortlived->notify_all();
        shortlived.reset();
        EXPECT_EQ(notified.join(), std::cv_status::no_timeout);
        EXPECT_THROW(unlucky.join(), cancelled);
    });
}

} // namespace
