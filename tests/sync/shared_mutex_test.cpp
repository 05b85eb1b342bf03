#include "child_process.hpp"
#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/shared_mutex.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <system_error>
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

class shared_mutex : public testing::Test {
protected:
    // Each says that it is in, and stays there until the next turn.
    fiber<void> spawn_reader(std::string name, deadline until = {}) {
        return spawn([this, name, until] {
            if (const std::shared_lock hold{mutex, until.time()}) {
                log += name;
                this_fiber::yield();
            }
        });
    }
    fiber<void> spawn_writer(std::string name, deadline until = {}) {
        return spawn([this, name, until] {
            if (const std::unique_lock hold{mutex, until.time()}) {
                log += name;
                this_fiber::yield();
                log += '.';
            }
        });
    }

    fake_driver driver;
    coir::shared_mutex mutex;
    std::string log;
};

TEST_F(shared_mutex, readers_are_in_together_and_a_writer_alone) {
    run_on(driver, [this] {
        const std::shared_lock one{mutex};
        EXPECT_TRUE(spawn([this] { return std::shared_lock{mutex, std::try_to_lock}.owns_lock(); }).join());
        EXPECT_FALSE(spawn([this] { return std::unique_lock{mutex, std::try_to_lock}.owns_lock(); }).join());
    });
    run_on(driver, [this] {
        const std::unique_lock alone{mutex};
        EXPECT_FALSE(spawn([this] { return std::shared_lock{mutex, std::try_to_lock}.owns_lock(); }).join());
    });
}

TEST_F(shared_mutex, readers_next_to_each_other_in_the_queue_are_let_in_together) {
    run_on(driver, [this] {
        std::vector<fiber<void>> all;
        {
            const std::unique_lock hold{mutex};
            all.push_back(spawn_reader("r1 "));
            all.push_back(spawn_reader("r2 "));
            all.push_back(spawn_writer("w"));
            all.push_back(spawn_reader(" r3 "));
            this_fiber::yield();
        }
        for (auto& each : all)
            each.join();
    });
    EXPECT_EQ(log, "r1 r2 w. r3 ");
}

TEST_F(shared_mutex, readers_who_come_and_go_do_not_starve_a_writer) {
    run_on(driver, [this] {
        bool done = false;
        int turns = 0;
        const auto read = [&] {
            while (!done) {
                const std::shared_lock hold{mutex};
                ++turns;
                this_fiber::yield();
            }
        };
        fiber<void> one = spawn(read);
        this_fiber::yield();
        fiber<void> two = spawn(read); // between them, it is never free
        this_fiber::yield();
        const int before = turns;
        mutex.lock();
        EXPECT_LE(turns, before + 2);
        done = true;
        mutex.unlock();
        one.join();
        two.join();
    });
}

// A reader behind a writer waits for nothing else.
TEST_F(shared_mutex, a_writer_who_gives_up_lets_those_behind_it_in) {
    run_on(driver, [this] {
        mutex.lock_shared();
        fiber<void> impatient = spawn_writer("w", 1s);
        this_fiber::yield();
        fiber<void> behind = spawn_reader("r1");
        behind.join();
        EXPECT_EQ(driver.elapsed(), 1s);
        impatient.join();

        fiber<void> unlucky = spawn_writer("w");
        this_fiber::yield();
        fiber<void> next = spawn_reader("r2");
        this_fiber::yield();
        unlucky.cancel();
        EXPECT_TRUE(mutex.try_lock_shared()); // before it has run
        next.join();
        EXPECT_THROW(unlucky.join(), cancelled);
        mutex.unlock_shared();
        mutex.unlock_shared();
        EXPECT_TRUE(mutex.try_lock());
        mutex.unlock();
    });
    EXPECT_EQ(log, "r1r2");
}

// Who comes before a writer that gives up has run finds the readers behind it, and lets them in; and waits for them.
TEST_F(shared_mutex, those_whom_a_newcomer_lets_in_go_on_although_it_waits) {
    run_on(driver, [this] {
        std::unique_lock hold{mutex};
        const fiber<void> first = spawn_reader("r1 ");
        fiber<void> writer = spawn_writer("w1");
        const fiber<void> behind = spawn_reader("r2 ");
        const fiber<void> second_writer = spawn_writer("w2");
        this_fiber::yield();
        hold.unlock(); // r1 is in
        writer.cancel();
        {
            const std::shared_lock newcomer{mutex};
            log += " r3";
        }
    });
    EXPECT_EQ(log, "r1 r2 w2. r3");
    log.clear();
    run_on(driver, [this] {
        std::unique_lock hold{mutex};
        const fiber<void> first = spawn_reader("r1 ");
        fiber<void> writer = spawn_writer("w1");
        const fiber<void> behind = spawn_reader("r2 ");
        this_fiber::yield();
        hold.unlock();
        writer.cancel();
        const std::unique_lock newcomer{mutex};
        log += "w2";
    });
    EXPECT_EQ(log, "r1 r2 w2");
}

// From then on they hold it, whatever happens to them before they run.
TEST_F(shared_mutex, readers_behind_a_writer_that_has_given_up_are_let_in_by_whoever_tries) {
    for (const bool as_reader : {false, true}) {
        log.clear();
        run_on(driver, [&] {
            mutex.lock_shared();
            fiber<void> writer = spawn_writer("w");
            fiber<void> behind = spawn_reader("r");
            this_fiber::yield();
            writer.cancel();
            if (as_reader ? mutex.try_lock_shared() : mutex.try_lock())
                mutex.unlock_shared();
            behind.cancel();
            EXPECT_THROW(behind.join(), cancelled); // in the yield()
            mutex.unlock_shared();
        });
        EXPECT_EQ(log, "r");
    }
}

TEST_F(shared_mutex, a_reader_who_gives_up_leaves_no_trace) {
    run_on(driver, [this] {
        mutex.lock();
        fiber<void> impatient = spawn_reader("r", 1s);
        fiber<void> unlucky = spawn_reader("r");
        this_fiber::yield();
        unlucky.cancel();
        EXPECT_THROW(unlucky.join(), cancelled);
        impatient.join();
        mutex.unlock();
        EXPECT_TRUE(mutex.try_lock());
        mutex.unlock();
    });
    EXPECT_EQ(log, "");
}

TEST_F(shared_mutex, misuse_that_is_seen) {
    run_on(driver, [this] {
        EXPECT_THROW(mutex.unlock_shared(), std::logic_error);
        const std::unique_lock alone{mutex};
        try {
            mutex.lock_shared();
            ADD_FAILURE();
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code(), std::errc::resource_deadlock_would_occur);
        }
    });
    run_on(driver, [this] {
        const std::shared_lock together{mutex};
        EXPECT_THROW(mutex.unlock(), std::logic_error);
    });
    const child_end end = in_child([this] {
        run_on(driver, [] {
            coir::shared_mutex shared;
            shared.lock_shared();
        });
        return true;
    });
    EXPECT_TRUE(end.was_killed_by(SIGABRT));
    EXPECT_TRUE(end.says("destroys a shared_mutex that readers hold")) << end.errors;
}

} // namespace
