// What all mutexes have in common.

#include "child_process.hpp"
#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/mutex.hpp>
#include <coir/recursive_mutex.hpp>
#include <coir/shared_mutex.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

namespace {

using coir::cancelled;
using coir::deadline;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

template <class Mutex> class lockable : public testing::Test {
protected:
    // A fiber that locks, says so, and unlocks.
    fiber<void> spawn_locker(char name, deadline until = {}) {
        return spawn([this, name, until] {
            const std::unique_lock hold{mutex, until.time()};
            log += hold ? std::string{name} : std::string{"not "} + name;
        });
    }

    fake_driver driver;
    Mutex mutex;
    std::string log;
};

using all_lockables = testing::Types<coir::mutex, coir::recursive_mutex, coir::shared_mutex>;
TYPED_TEST_SUITE(lockable, all_lockables, );

TYPED_TEST(lockable, one_at_a_time) {
    run_on(this->driver, [this] {
        int inside = 0;
        const auto work = [&] {
            for (int i = 0; i < 10; ++i) {
                const std::lock_guard hold{this->mutex};
                EXPECT_EQ(++inside, 1);
                this_fiber::yield();
                --inside;
            }
        };
        fiber<void> first = spawn(work);
        fiber<void> second = spawn(work);
        first.join();
        second.join();
    });
}

TYPED_TEST(lockable, try_lock_fails_while_another_has_it_and_never_waits) {
    run_on(this->driver, [this] {
        EXPECT_TRUE(this->mutex.try_lock());
        EXPECT_FALSE(spawn([this] { return this->mutex.try_lock(); }).join());
        this->mutex.unlock();
        EXPECT_TRUE(spawn([this] {
                        const bool locked = this->mutex.try_lock();
                        this->mutex.unlock();
                        return locked;
                    }).join());
    });
}

TYPED_TEST(lockable, first_come_first_served) {
    run_on(this->driver, [this] {
        this->mutex.lock();
        std::vector<fiber<void>> lockers;
        for (const char name : {'a', 'b', 'c', 'd'})
            lockers.push_back(this->spawn_locker(name));
        this_fiber::yield();
        this->mutex.unlock();
        EXPECT_FALSE(this->mutex.try_lock()); // it is the first one's already
        for (auto& each : lockers)
            each.join();
    });
    EXPECT_EQ(this->log, "abcd");
}

// Hazard G1.
TYPED_TEST(lockable, two_greedy_fibers_do_not_starve_a_third) {
    run_on(this->driver, [this] {
        int turns = 0;
        bool done = false;
        const auto greedy = [&] {
            while (!done) {
                const std::lock_guard hold{this->mutex};
                ++turns;
                this_fiber::yield();
            }
        };
        fiber<void> first = spawn(greedy);
        fiber<void> second = spawn(greedy);
        while (turns < 10)
            this_fiber::yield();
        const int before = turns;
        this->mutex.lock();
        EXPECT_LE(turns, before + 2);
        done = true;
        this->mutex.unlock();
        first.join();
        second.join();
    });
}

TYPED_TEST(lockable, a_deadline_ends_the_wait_and_leaves_no_trace) {
    run_on(this->driver, [this] {
        this->mutex.lock();
        fiber<void> impatient = this->spawn_locker('a', 1s);
        fiber<void> patient = this->spawn_locker('b', 3s);
        impatient.join();
        EXPECT_EQ(this->driver.elapsed(), 1s);
        this->mutex.unlock();
        patient.join();
        EXPECT_EQ(this->driver.elapsed(), 1s);
        EXPECT_TRUE(this->mutex.try_lock_for(-1s));
        this->mutex.unlock();
    });
    EXPECT_EQ(this->log, "not ab");
}

TYPED_TEST(lockable, a_cancelled_waiter_leaves_no_trace) {
    run_on(this->driver, [this] {
        this->mutex.lock();
        fiber<void> unlucky = this->spawn_locker('a');
        fiber<void> next = this->spawn_locker('b');
        this_fiber::yield();
        unlucky.cancel();
        this->mutex.unlock(); // finds it cancelled, before it has run
        EXPECT_THROW(unlucky.join(), cancelled);
        next.join();
        EXPECT_TRUE(this->mutex.try_lock());
        this->mutex.unlock();
    });
    EXPECT_EQ(this->log, "b");
}

TYPED_TEST(lockable, whoever_ends_the_wait_first_wins) {
    for (const bool unlock_first : {false, true}) {
        this->log.clear();
        run_on(this->driver, [&] {
            this->mutex.lock();
            fiber<void> waiter = this->spawn_locker('a', 1s);
            this_fiber::yield();
            this->driver.at(this->driver.elapsed() + 500ms, [&] { // no fiber runs between the two
                if (!unlock_first)
                    waiter.cancel();
            });
            if (unlock_first) {
                this->mutex.unlock();
                waiter.cancel();
                waiter.join();
            } else {
                this_fiber::sleep_for(600ms);
                this->mutex.unlock();
                EXPECT_THROW(waiter.join(), cancelled);
            }
        });
        EXPECT_EQ(this->log, unlock_first ? "a" : "");
    }
}

TYPED_TEST(lockable, what_can_be_had_at_once_is_not_refused_to_the_cancelled) {
    run_on(this->driver, [this] {
        fiber<void> worker = spawn([this] {
            this_fiber::yield();
            const std::lock_guard hold{this->mutex};
            this->log += "locked";
        });
        this_fiber::yield();
        worker.cancel();
        worker.join();
    });
    EXPECT_EQ(this->log, "locked");
}

TYPED_TEST(lockable, scoped_lock_takes_several_in_any_order) {
    run_on(this->driver, [this] {
        TypeParam other;
        int inside = 0;
        const auto work = [&](auto& first, auto& second) {
            for (int i = 0; i < 20; ++i) {
                const std::scoped_lock both{first, second};
                EXPECT_EQ(++inside, 1);
                this_fiber::yield();
                --inside;
            }
        };
        fiber<void> one = spawn([&] { work(this->mutex, other); });
        fiber<void> two = spawn([&] { work(other, this->mutex); });
        one.join();
        two.join();
    });
}

TYPED_TEST(lockable, a_stranger_who_unlocks_is_named) {
    run_on(this->driver, [this] {
        this->mutex.lock();
        fiber<void> stranger = spawn({.name = "stranger"}, [this] { this->mutex.unlock(); });
        try {
            stranger.join();
            ADD_FAILURE();
        } catch (const std::logic_error& error) {
            EXPECT_NE(std::string{error.what()}.find("stranger"), std::string::npos) << error.what();
        }
        EXPECT_FALSE(spawn([this] { return this->mutex.try_lock(); }).join());
        this->mutex.unlock();
        EXPECT_THROW(this->mutex.unlock(), std::logic_error);
    });
}

TYPED_TEST(lockable, who_has_it_already_is_told_of_the_deadlock) {
    if constexpr (std::is_same_v<TypeParam, coir::recursive_mutex>) {
        run_on(this->driver, [this] {
            const std::lock_guard first{this->mutex};
            const std::lock_guard second{this->mutex};
            EXPECT_TRUE(this->mutex.try_lock());
            this->mutex.unlock();
            EXPECT_FALSE(spawn([this] { return this->mutex.try_lock(); }).join());
        });
        run_on(this->driver, [this] {
            EXPECT_TRUE(this->mutex.try_lock());
            this->mutex.unlock();
        });
    } else {
        run_on(this->driver, [this] {
            fiber<void> locker = spawn({.name = "twice"}, [this] {
                const std::lock_guard first{this->mutex};
                this->mutex.lock();
            });
            try {
                locker.join();
                ADD_FAILURE();
            } catch (const std::system_error& error) {
                EXPECT_EQ(error.code(), std::errc::resource_deadlock_would_occur);
                EXPECT_NE(std::string{error.what()}.find("twice"), std::string::npos) << error.what();
            }
            EXPECT_TRUE(this->mutex.try_lock());
            this->mutex.unlock();
        });
    }
}

TYPED_TEST(lockable, destroying_one_that_is_held_ends_the_program_by_name) {
    const child_end end = in_child([this] {
        run_on(this->driver, [] {
            spawn({.name = "careless"}, [] {
                TypeParam mutex;
                mutex.lock();
            }).join();
        });
        return true;
    });
    EXPECT_TRUE(end.was_killed_by(SIGABRT));
    EXPECT_TRUE(end.says("careless")) << end.errors;
}

} // namespace
