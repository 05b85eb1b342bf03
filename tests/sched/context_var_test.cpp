#include "failing_memory.hpp"
#include "sched/fake_driver.hpp"

#include <coir/context_var.hpp>
#include <coir/fiber.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using coir::context_var;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using a_context_var = coir::detail::with_fake_driver;

TEST_F(a_context_var, holds_until_its_binding_ends) {
    const context_var<std::string> user{"nobody"};
    run_on(driver, [&] {
        EXPECT_EQ(*user, "nobody");
        {
            const auto outer = user.bind("alice");
            EXPECT_EQ(*user, "alice");
            {
                const auto inner = user.bind("bob");
                EXPECT_EQ(user->size(), 3U);
            }
            EXPECT_EQ(*user, "alice");
            user.set("carol");
            EXPECT_EQ(*user, "carol");
        }
        EXPECT_EQ(*user, "nobody");
    });
}

TEST_F(a_context_var, goes_along_with_what_is_spawned) {
    const context_var<int> depth;
    run_on(driver, [&] {
        const auto bound = depth.bind(1);
        spawn([&] {
            EXPECT_EQ(*depth, 1);
            const auto deeper = depth.bind(2);
            coir::task_group group;
            group.spawn([&] { EXPECT_EQ(spawn([&] { return *depth; }).join(), 2); });
        }).join();
        EXPECT_EQ(*depth, 1);
    });
}

TEST_F(a_context_var, is_inherited_at_spawn_and_not_changed_by_the_other_side_later) {
    const context_var<int> value;
    run_on(driver, [&] {
        value.set(1);
        fiber<int> child = spawn([&] {
            this_fiber::yield();
            const int seen = *value;
            value.set(3);
            this_fiber::yield();
            return 10 * seen + *value;
        });
        value.set(2);
        this_fiber::yield();
        this_fiber::yield();
        EXPECT_EQ(*value, 2);
        EXPECT_EQ(child.join(), 13);
    });
}

TEST_F(a_context_var, does_not_touch_another) {
    const context_var<int> first{1};
    const context_var<std::string> second{"x"};
    run_on(driver, [&] {
        const auto bound = first.bind(5);
        second.set("y");
        {
            const auto rebound = first.bind(6);
            second.set("z"); // stays when the other's binding ends
        }
        EXPECT_EQ(*first, 5);
        EXPECT_EQ(*second, "z");
    });
}

TEST_F(a_context_var, keeps_the_value_as_long_as_a_fiber_sees_it) {
    const context_var<std::shared_ptr<int>> shared;
    run_on(driver, [&] {
        std::weak_ptr<int> observer;
        fiber<int> child;
        {
            auto value = std::make_shared<int>(4);
            observer = value;
            const auto bound = shared.bind(std::move(value));
            child = spawn([&] {
                this_fiber::sleep_for(1s);
                return **shared;
            });
        }
        EXPECT_FALSE(observer.expired());
        EXPECT_EQ(*shared, nullptr);
        EXPECT_EQ(child.join(), 4);
        EXPECT_TRUE(observer.expired());
    });
}

// It is the end of a local variable, and cannot fail.
TEST_F(a_context_var, has_values_whose_destructors_may_block) {
    struct sleeps_at_the_end {
        explicit sleeps_at_the_end(std::vector<std::string>& kept) : log(kept) {}
        std::vector<std::string>& log;
        ~sleeps_at_the_end() {
            this_fiber::sleep_for(1s);
            log.push_back("has slept in " + std::string{this_fiber::name()});
        }
    };
    using shared = std::shared_ptr<sleeps_at_the_end>;
    const context_var<shared> value;
    std::vector<std::string> log;
    run_on(driver, [&] {
        auto first = spawn({.name = "a"}, [&] { value.set(std::make_shared<sleeps_at_the_end>(log)); });
        spawn({.name = "b"}, [&] { value.set(std::make_shared<sleeps_at_the_end>(log)); }).detach();
        first.join();
        this_fiber::sleep_for(1s);
        coir::task_group group;
        group.spawn({.name = "c"}, [&] { value.set(std::make_shared<sleeps_at_the_end>(log)); });
        group.join();
        log.emplace_back("joined");
    });
    EXPECT_EQ(log, (std::vector<std::string>{"has slept in a", "has slept in b", "has slept in c", "joined"}));
}

TEST_F(a_context_var, is_unbound_without_memory) {
    const context_var<int> first;
    const context_var<int> second;
    run_on(driver, [&] {
        std::vector<fiber<void>> heirs;
        std::optional<coir::test::memory_limit> no_memory;
        {
            const auto of_first = first.bind(1);
            {
                const auto inner = first.bind(2);
                second.set(3);
                heirs.push_back(spawn([&] { EXPECT_EQ(*first, 2); }));
                no_memory.emplace(0);
                EXPECT_THROW((void)second.bind(4), std::bad_alloc);
            }
            EXPECT_EQ(*first, 1);
        }
        EXPECT_EQ(*first, 0);
        EXPECT_EQ(*second, 3);
        no_memory.reset();
        for (auto& each : heirs)
            each.join();
    });
}

TEST_F(a_context_var, outside_of_fibers_is_the_threads_and_run_inherits_it) {
    const context_var<int> value;
    const auto bound = value.bind(1);
    std::thread([&] {
        EXPECT_EQ(*value, 0);
        const auto its = value.bind(2);
        fake_driver its_driver;
        EXPECT_EQ(run_on(its_driver, [&] { return spawn([&] { return *value; }).join(); }), 2);
    }).join();
    EXPECT_EQ(run_on(driver, [&] { return *value; }), 1);
    run_on(driver, [&] { value.set(3); });
    EXPECT_EQ(*value, 1);
}

} // namespace
