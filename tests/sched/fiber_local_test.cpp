#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/fiber_local.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using coir::cancelled;
using coir::fiber;
using coir::fiber_local;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using a_fiber_local = coir::detail::with_fake_driver;

TEST_F(a_fiber_local, is_each_fibers_own) {
    const fiber_local<int> number;
    run_on(driver, [&] {
        *number = 1;
        std::vector<fiber<int>> workers;
        for (int i = 0; i < 5; ++i)
            workers.push_back(spawn([&number, i] {
                EXPECT_EQ(*number, 0);
                *number = 10 * i;
                this_fiber::yield();
                *number += i;
                this_fiber::sleep_for(1s);
                return *number;
            }));
        for (int i = 0; i < 5; ++i)
            EXPECT_EQ(workers[static_cast<std::size_t>(i)].join(), 11 * i);
        EXPECT_EQ(*number, 1);
    });
}

TEST_F(a_fiber_local, makes_a_value_when_it_is_first_used_in_a_fiber) {
    int made = 0;
    const fiber_local<std::string> text{[&made] {
        ++made;
        return std::string("fresh");
    }};
    run_on(driver, [&] {
        EXPECT_EQ(text.find(), nullptr);
        EXPECT_EQ(made, 0);
        EXPECT_EQ(text->size(), 5U);
        EXPECT_EQ(&*text, text.find());
        *text = "used";
        EXPECT_EQ(*text, "used");
        EXPECT_EQ(made, 1);
        spawn([&] {
            EXPECT_EQ(text.find(), nullptr);
            EXPECT_EQ(*text, "fresh");
        }).join();
        EXPECT_EQ(made, 2);
    });
}

struct writes_at_end {
    std::string* log = nullptr;
    char name = '?';
    ~writes_at_end() {
        if (log)
            *log += name;
    }
};

TEST_F(a_fiber_local, is_destroyed_at_the_end_of_the_fiber_newest_first) {
    std::string log;
    const fiber_local<std::unique_ptr<writes_at_end>> first;
    const fiber_local<std::unique_ptr<writes_at_end>> second;
    run_on(driver, [&] {
        fiber<void> worker = spawn([&] {
            first.get().reset(new writes_at_end{&log, '1'});
            second.get().reset(new writes_at_end{&log, '2'});
            log += 'f';
        });
        worker.wait();
        EXPECT_EQ(log, "f21"); // before anybody is told of the end
        worker.join();
        // Of one that fails, and of one that is cancelled.
        log.clear();
        fiber<void> failing = spawn([&] {
            first.get().reset(new writes_at_end{&log, '1'});
            throw std::runtime_error("x");
        });
        EXPECT_THROW(failing.join(), std::runtime_error);
        fiber<void> sleeping = spawn([&] {
            first.get().reset(new writes_at_end{&log, '1'});
            this_fiber::sleep_for(1h);
        });
        this_fiber::yield();
        sleeping.cancel();
        EXPECT_THROW(sleeping.join(), cancelled);
        EXPECT_EQ(log, "11");
    });
}

/// Uses another fiber_local, and blocks, in its destructor.
struct last_words {
    const fiber_local<std::string>* text = nullptr;
    std::string* log = nullptr;
    ~last_words() {
        if (!text)
            return;
        **text += "words ";
        this_fiber::sleep_for(1s);
        *log += **text + std::string{this_fiber::name()};
    }
};

TEST_F(a_fiber_local, may_block_in_its_destructor_also_in_a_cancelled_fiber) {
    const fiber_local<std::string> text;
    const fiber_local<std::optional<last_words>> local;
    std::string log;
    run_on(driver, [&] {
        const auto work = [&](std::chrono::seconds time) {
            auto& words = local->emplace();
            words.text = &text;
            words.log = &log;
            this_fiber::sleep_for(time);
        };
        fiber<void> ends = spawn({.name = "a "}, [&] { work(1s); });
        ends.join();
        fiber<void> is_cancelled = spawn({.name = "b "}, [&] { work(1h); });
        this_fiber::yield();
        is_cancelled.cancel();
        EXPECT_THROW(is_cancelled.join(), cancelled);
    });
    EXPECT_EQ(log, "words a words b ");
    EXPECT_EQ(driver.elapsed(), 3s);
}

// As everything that a member does: its destructor may use the opener's variables, and block.
TEST_F(a_fiber_local, of_a_member_of_a_task_group_is_destroyed_before_the_group_is_left) {
    const fiber_local<std::string> text;
    const fiber_local<std::optional<last_words>> local;
    run_on(driver, [&] {
        std::string log;
        {
            coir::task_group group;
            group.spawn({.name = "member "}, [&] {
                auto& words = local->emplace();
                words.text = &text;
                words.log = &log;
            });
            group.join();
            log += "joined";
        }
        EXPECT_EQ(log, "words member joined");
    });
}

TEST_F(a_fiber_local, whose_constructor_throws_has_no_value_and_may_try_again) {
    int attempts = 0;
    const fiber_local<int> number{[&attempts] {
        if (++attempts == 1)
            throw std::runtime_error("not yet");
        this_fiber::sleep_for(1s); // it may also wait
        return attempts;
    }};
    run_on(driver, [&] {
        EXPECT_THROW((void)*number, std::runtime_error);
        EXPECT_EQ(number.find(), nullptr);
        EXPECT_EQ(*number, 2);
        EXPECT_EQ(*number, 2);
    });
    EXPECT_EQ(driver.elapsed(), 1s);
}

TEST_F(a_fiber_local, outside_of_fibers_is_the_threads) {
    std::string log;
    const fiber_local<std::unique_ptr<writes_at_end>> local;
    const fiber_local<int> number;
    *number = 5;
    std::thread([&] {
        EXPECT_EQ(*number, 0);
        *number = 6;
        local.get().reset(new writes_at_end{&log, 't'});
    }).join();
    EXPECT_EQ(log, "t");
    run_on(driver, [&] {
        EXPECT_EQ(*number, 0);
        *number = 7;
    });
    EXPECT_EQ(*number, 5);
}

TEST_F(a_fiber_local, may_be_destroyed_before_the_fibers_that_used_it) {
    std::string log;
    run_on(driver, [&] {
        auto local = std::make_unique<fiber_local<std::unique_ptr<writes_at_end>>>();
        fiber<void> worker = spawn([&] {
            local->get().reset(new writes_at_end{&log, 'w'});
            this_fiber::sleep_for(1s);
        });
        this_fiber::yield();
        local.reset();
        local = std::make_unique<fiber_local<std::unique_ptr<writes_at_end>>>(); // is another one
        EXPECT_EQ(local->find(), nullptr);
        worker.join();
        EXPECT_EQ(log, "w");
    });
}

} // namespace
